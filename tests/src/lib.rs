//! What whole-system tests share: a real agent, and sockets that say exactly what they are told.

pub mod agent;
pub mod lab;
pub mod raw;
