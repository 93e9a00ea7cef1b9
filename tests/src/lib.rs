//! What whole-system tests share: a real agent, sockets that say exactly what they are told, and plugins that mean
//! harm.

pub mod agent;
pub mod hostile;
pub mod lab;
pub mod raw;
pub mod tls;
