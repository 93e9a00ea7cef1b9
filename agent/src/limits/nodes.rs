//! The limits of what nodes say to each other, each with its reason.
//!
//! Decides numbers and nothing else: what another machine, member or not, can make this one hold, wait
//! for or do.

use std::time::Duration;

use super::{KIB, MIB};

/// What may be under way to this node from one other, unread: what a stream of model files needs to fill
/// a gigabit with 60 ms there and back. Also the most memory that one peer can take.
pub const LINK_WINDOW_BYTES: u32 = 8 << 20;

/// The same for one stream: four of them fill the whole.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// What may be under way from somebody who has not said hello yet, or wants to join: as much as a machine
/// that joins is answered, twice.
pub const WINDOW_BEFORE_HELLO_BYTES: u32 = 64 << 10;

/// Connections to one member: the one in use, the one that it replaces, and one more of each side.
pub const LINKS_OF_MEMBER: usize = 4;

/// Machines at the door at once. Each is heard or shown out within seconds.
pub const DOORS_MAX: usize = 32;

/// Streams that somebody may open before it is known who it is.
pub const STREAMS_BEFORE_HELLO: u32 = 16;

/// Streams that a member may have open: as many requests as one node sends another.
pub const STREAMS_OF_MEMBER: u32 = 1_024;

/// Datagrams that wait to be read or sent on one connection: some 60.
pub const DATAGRAMS_WAITING_BYTES: usize = 64 * KIB;

/// A connection on which nothing comes for so long is lost. Membership knows sooner.
pub const LINK_IDLE: Duration = Duration::from_secs(15);

/// How often an idle connection says that it is there.
pub const LINK_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Handshakes under way at once; further callers are ignored and try again.
pub const HANDSHAKES_MAX: usize = 256;

/// With more than so many under way a caller must prove its address first, which costs it a round trip.
pub const HANDSHAKES_BEFORE_RETRY: usize = 64;

/// What callers may have sent before their handshake is looked at, all together.
pub const HANDSHAKES_BUFFER_BYTES: u64 = 4 << 20;

/// A handshake takes two round trips; so long allows for losses.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reaching another node, handshake and hello included.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream that was opened says what it is for at once.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// What a member may ask in one message: a prompt of a million tokens is 5 MB.
pub const ASK_BYTES_MAX: usize = 8 * MIB;

/// What a message from a member may have without finding room among its others: more than most have.
pub const ASK_BYTES_FREE: usize = 16 * KIB;

/// What all larger messages of one connection that are not taken up yet may have together: one of the
/// largest, and some more beside it.
pub const ASKS_ROOM_BYTES: usize = 12 * MIB;

/// What it may be answered in one message: the whole state of the largest cluster is 16 MiB.
pub const ANSWER_BYTES_MAX: usize = 20 * MIB;

/// A hello is some 100 bytes.
pub const HELLO_BYTES_MAX: usize = KIB;

/// A machine that wants to join says some 600 bytes, and is answered with three certificates.
pub const JOIN_BYTES_MAX: usize = 32 * KIB;

/// How long such a machine may take to say it.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What members and joiners ask that waits to be taken up.
pub const VISITORS_WAITING: usize = 256;

/// How often the second connection between two nodes is looked at, until nothing is under way on it.
pub const DUPLICATE_LOOK: Duration = Duration::from_secs(5);

/// What membership is told that waits to be heard: a second of a large cluster's gossip.
pub const SWIM_WAITING: usize = 1_024;

/// How often a node looks whether the process of the neighbour after it is there: half of the time within
/// which it must be missed, and a little more; the rest is for asking once more and telling everybody.
pub const CANARY_PERIOD: Duration = Duration::from_millis(300);

/// The same for those after that: it matters only when the one between dies with it.
pub const CANARY_PERIOD_SECOND: Duration = Duration::from_secs(2);

/// How many nodes each node watches so: one may die with the node that watches it.
pub const CANARY_WATCHED: usize = 2;

/// Failed attempts to join from one address in a minute.
pub const JOIN_TRIES_EACH: u32 = 5;

/// The same from everywhere: a botnet guesses no faster. A token's secret has 128 bits.
pub const JOIN_TRIES_MAX: u32 = 100;

/// How much of the cluster's log goes to a follower in one message.
pub const LOG_BATCH_BYTES: usize = 256 * KIB;

/// Followers that are sent the whole state at once; others wait. It has up to 16 MiB.
pub const SNAPSHOTS_SENT: usize = 2;

/// How long one of them may take to read it.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Devices of one node that others hear of.
pub const FACTS_DEVICES_MAX: usize = 64;

/// Replicas of one node that others hear of.
pub const FACTS_REPLICAS_MAX: usize = 256;

/// Models of one node that others hear of.
pub const FACTS_MODELS_MAX: usize = 4_096;

/// Bytes of a name in what a node says of itself.
pub const FACTS_TEXT_BYTES_MAX: usize = 512;

/// Devices of one replica that others hear of.
pub const FACTS_PLACED_MAX: usize = 16;

/// How often a busy node tells others what changed: a scheduler needs no finer picture.
pub const FACTS_PERIOD: Duration = Duration::from_millis(100);

/// Neighbours on the local network that are listed: anybody there can say anything.
pub const NEIGHBOURS_MAX: usize = 64;

/// Bytes of what one of them says of itself in one word.
pub const NEIGHBOUR_TEXT_BYTES: usize = 256;

/// Places to look for nodes that somebody may list, and addresses of all of them that are asked.
pub const PLACES_MAX: usize = 64;

/// Finding out the addresses of a listed place, asking there who it is, and hearing it: so long for each.
pub const WHO_TIMEOUT: Duration = Duration::from_secs(3);

/// What somebody asks, or says of itself: two identities and two words.
pub const WHO_BYTES_MAX: usize = 2 << 10;

/// How long a join token is good unless it is said: time to walk to the other machine.
pub const TOKEN_LIFE: Duration = Duration::from_mins(15);

/// Shorter, and nobody could use it.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_secs(10);

/// Longer, and it would be lying about.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(skep_core::limits::TOKEN_TTL_S_MAX);

/// How long a node waits for its own copy of what was decided at its word.
pub const DECIDED_WAIT: Duration = Duration::from_secs(1);

/// How long another node waits for a model to be loaded here.
pub const LOAD_ASK_TIMEOUT: Duration = Duration::from_mins(10);
