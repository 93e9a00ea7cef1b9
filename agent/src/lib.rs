//! The agent of one node: it serves requests, and keeps models loaded in worker processes.
//!
//! This crate acts: sockets, files, processes, clocks. What is to be done is decided by
//! `skep-core`, which never acts; what a request costs is computed by `skep-hw` in workers.
//!
//! # What runs
//!
//! Started in this order by [`boot`], each owning its state; nothing here waits without bound.
//!
//! | task or thread | woken by | tells | its door |
//! |---|---|---|---|
//! | threads `telemetry`, `nvidia`, `amd` | their interval | `follow` of [`telemetry`] | inside `telemetry` |
//! | thread `spawner` of [`fleet`] | requests for a process | the process | inside `fleet` |
//! | one `tend` per replica | its worker's socket, its own timers | the exchanges of its requests | [`fleet::Fleet`] |
//! | `follow_fleet` of [`router`] | the fleet's changes | the core, and through it the scheduler | [`router::Router`] |
//! | `keep_time` of [`router`] | the core's earliest timer | the core | [`router::Router`] |
//! | one `load` or `unload` at a time per model | the core | the core, when it failed | [`router::Router::want`] |
//! | thread `shadow` of [`scheduling`], while there is one | its queue | nobody: it counts and keeps what differs | [`scheduling::Policies`] |
//! | `follow` of [`telemetry`] | looks at the machine, and their absence | the log, the core, a `watch` with the newest look | [`agent::Agent::telemetry`] |
//! | the listener of [`http`] | connections, and the end | one task for each connection | [`http::Server`] |
//! | one task per connection | its client | everything above | none |
//! | thread `store` of [`store`] | what is to be written or read | whoever asked, once it is on the disk | [`store::Store`] |
//! | the task of [`keeper`] | commands, and what the leader sent | `watch`es with the newest state and its number | [`keeper::Keeper`] |
//! | the task of [`acme`], where names are configured | what is due, wishes for a renewal | what callers are shown, its files | [`acme::Certificates`] |
//! | `until_stopped` of [`boot`] | signals, a minute's timer | the listener, the router, the fleet | [`boot::Running`] |

pub mod acme;
pub mod act;
pub mod agent;
pub mod alerts;
pub mod backup;
pub mod boot;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod compiler;
pub mod config;
pub mod confine;
mod conformance;
pub mod diagnosis;
pub mod doctor;
pub mod egress;
pub mod fleet;
pub mod host;
pub mod http;
pub mod identity;
mod json;
pub mod keeper;
pub mod keys;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod models;
pub mod net;
pub mod paths;
pub mod pki;
pub mod plugins;
pub mod protocol;
pub mod router;
pub mod scheduling;
pub mod service;
pub mod services;
pub mod setup;
pub mod ssh;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod users;
pub mod version;
pub mod wire;
pub mod worker;
