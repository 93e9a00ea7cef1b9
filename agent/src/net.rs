//! The cluster's own network: QUIC between nodes, mutually authenticated, on one UDP port.
//!
//! Decides how nodes find, trust and reach each other, and in which order their streams go. Refuses to
//! know what is said over them (`cluster` does), who is a member (the cluster's state) and who is up
//! (`skep_core::membership`).
//!
//! One connection for each pair of nodes carries everything: membership in datagrams, and each
//! question in a stream of its own that goes away with it.

mod adopt;
mod canary;
mod entrance;
mod filter;
mod frames;
mod hello;
mod join;
mod kept;
mod link;
mod links;
mod neighbours;
mod roster;
mod swim;
mod thread;
mod tls;
mod transport;
mod who;
mod wire;

pub use self::adopt::{
    AdoptDoor, AdoptError, AdoptWord, Adopter, Compared, Introduction, Line, Myself, Stranger,
    call_to_adopt,
};
pub use self::canary::watch as watch_processes;
pub use self::entrance::{Entrance, Visitor};
pub use self::frames::{Answers, Asked, FrameError};
pub use self::hello::Hello;
pub use self::join::{Door, JoinError, knock};
pub use self::link::{Call, Closed, Link};
pub use self::links::{DialError, Links};
pub use self::neighbours::{Beacon, Card, Heard, answers, hear};
pub use self::roster::{Gate, Roster};
pub use self::swim::{Seen, Swim, SwimHandle};
pub use self::thread::NetThread;
pub use self::tls::Credentials;
pub use self::transport::{Socket, SocketError};
pub use self::who::{Said, WhoDoor, WhoError, who};
pub use self::wire::{
    Ask, JoinAnswer, JoinAsk, PROTOCOL, PROTOCOL_OLDEST, Priority, Request, Welcome,
};
