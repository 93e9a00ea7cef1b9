//! The whole system, as its clients and its enemies see it: real agents, real sockets.

mod crash;
mod devices;
mod disk;
mod failover;
mod http;
mod start;
