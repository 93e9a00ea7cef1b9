//! The whole system, as its clients and its enemies see it: real agents, real sockets.

mod devices;
mod disk;
mod http;
mod start;
