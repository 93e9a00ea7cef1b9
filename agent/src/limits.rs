//! Every limit of the host, the worker and the fleet, each with its reason.
//!
//! Decides numbers and nothing else. What a plugin or a model file can make this program allocate,
//! wait for or keep is bounded here and nowhere else.

use std::time::Duration;

mod acme;
mod acting;
mod adopt;
mod authors;
mod backup;
mod conformance;
mod installers;
mod nodes;
mod services;
mod setup;
mod shelf;
mod signin;
mod ssh;
mod supervision;
mod upstreams;
mod walls;

pub use self::acme::*;
pub use self::acting::*;
pub use self::adopt::*;
pub use self::authors::*;
pub use self::backup::*;
pub use self::conformance::*;
pub use self::installers::*;
pub use self::nodes::*;
pub use self::services::*;
pub use self::setup::*;
pub use self::shelf::*;
pub use self::signin::*;
pub use self::ssh::*;
pub use self::supervision::*;
pub use self::upstreams::*;
pub use self::walls::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

// === between agent and worker ===

/// The longest message between an agent and a worker. A prompt of a million tokens is 5 MB and a
/// batch of a thousand embeddings of 4,096 numbers is 16 MB; a length past this is damage.
pub const FRAME_BYTES_MAX: usize = 64 * MIB;

/// Messages of a conversation, inputs to embed, texts to stop at: elements of a list whose elements may be
/// empty. Eight million of nothing would fit into what a member may ask.
pub const LIST_ELEMENTS_MAX: usize = 65_536;

/// How much may wait to be written to one worker. A worker that reads nothing for so long is
/// overloaded, and more requests would only wait.
pub const OUTBOX_BYTES_MAX: usize = 64 * MIB;

/// How much of one request's answer waits for a reader that does not read: some 4,000 events, more
/// than any honest client falls behind.
pub const EXCHANGE_BYTES_MAX: usize = MIB;

/// Requests that one worker holds at once, waiting ones included. What waits behind a thousand
/// others will not be answered in time by one model.
pub const REQUESTS_MAX: usize = 4_096;

// === what a plugin may take ===

/// The plugin's own memory, all linear memories together. A tokenizer of 256,000 tokens with its
/// merges takes some 100 MiB in a plugin; weights and caches never count here.
pub const ENGINE_MEMORY_BYTES: usize = 512 * MIB;

/// The same for a scheduler, which knows 10,000 nodes and replicas at most.
pub const SCHEDULER_MEMORY_BYTES: usize = 64 * MIB;

/// Elements of one function table. A large Rust component has some 10,000.
pub const TABLE_ELEMENTS: usize = 100_000;

/// Linear memories and tables of one store. `wit-component` makes one memory and a few tables; interpreters of JavaScript have
/// three memories.
pub const MEMORIES: usize = 4;
pub const TABLES: usize = 16;

/// Core instances of one store: the main module and `wit-component`'s shims are four; an interpreter of Python with its
/// libraries is 38.
pub const INSTANCES: usize = 64;

/// Native stack that plugin code may use; the rest of the thread's stack is the host's. Templates and
/// schemas recurse some hundred levels.
pub const WASM_STACK_BYTES: usize = MIB;

/// The stack of the thread that drives a plugin: `WASM_STACK_BYTES` and the host's own calls.
pub const DRIVER_STACK_BYTES: usize = 8 * MIB;

/// Handles (weights, caches, plans, files, streams) that a plugin may hold: a model of 200 layers has
/// 12 weights in each.
pub const HANDLES: usize = 16_384;

/// Bytes that a plugin may pass in one host call or return from one call: a weight of
/// `WEIGHT_VALUES_BYTES` and its envelope, or a thousand embeddings of 4,096 numbers.
pub const HOSTCALL_BYTES: usize = 24 * MIB;

/// A weight made of the plugin's own numbers (`weight.from-values`), as `wit/compute.wit` says.
pub const WEIGHT_VALUES_BYTES: usize = 16 * MIB;

/// One `file.read`, as `wit/files.wit` says.
pub const FILE_READ_BYTES: u32 = 1 << 20;

/// Whole output rows that one `plan.run` may return. 64 rows of a vocabulary of 256,000; samplers
/// that need more take `top`.
pub const RUN_ROWS_BYTES: usize = 64 * MIB;

/// Candidates of one output. No sampler looks at more; a wider choice takes the row.
pub const TOP_COUNT: u32 = 65_536;

/// Operations of one graph: 200 layers of 40 operations are 8,000.
pub const GRAPH_OPS: usize = 16_384;

/// Model files of one model: the largest models come in some 200 parts.
pub const MODEL_FILES: usize = 512;

/// A line for the operator, as `wit/log.wit` says.
pub const LOG_LINE_BYTES: usize = 4 * KIB;

/// Lines for the operator in a second, as `wit/log.wit` says.
pub const LOG_LINES_PER_SECOND: u32 = 100;

/// Bytes of one `get-random-bytes`. A hash seed is 16.
pub const RANDOM_BYTES: u64 = 64 * KIB as u64;

/// How much of an error's text is kept. People read a sentence; the rest is a flood.
pub const ERROR_TEXT_BYTES: usize = 2 * KIB;

/// What a plugin says of itself: a page of text and some tens of settings.
pub const MANIFEST_BYTES: usize = 64 * KIB;

/// One text in it: what people read before they decide.
pub const MANIFEST_TEXT_BYTES: usize = 2 * KIB;

/// Entries of one of its lists.
pub const MANIFEST_ITEMS: usize = 64;

// === how long a plugin may run ===

/// How often deadlines are looked at. A plugin stops at most one tick late.
pub const TICK: Duration = Duration::from_millis(10);

/// Ticks without a call after which the ticker sleeps: a second of quiet.
pub const TICKS_IDLE: u32 = 100;

/// `open`, when the operator says nothing: reading headers and making plans takes seconds, a
/// tokenizer of 256,000 tokens one more.
pub const OPEN_TIMEOUT: Duration = Duration::from_mins(2);

/// The plugin's own time in one `step`, kernels not counted: sampling a full batch takes milliseconds.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// `submit`, `tokenize`, `detokenize`: a megabyte of text is tokenised in about a second.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// `info`, `load`, `cancel`, which the contract calls cheap.
pub const CHEAP_TIMEOUT: Duration = Duration::from_secs(2);

/// Units of work of one call to a scheduler that knows nothing, about one for each instruction and one for each byte that is
/// moved in bulk: 20 million run some 10 to 20 ms. This is its deadline, too: fuel is the same on every machine, and looking at
/// a clock would wake an idle agent.
pub const SCHEDULER_FUEL: u64 = 20_000_000;

/// More of it for each node and replica that it knows: a choice among replicas looks at each. That takes some 500 in Rust or
/// C, 8,000 in Python and 40,000 in JavaScript.
pub const SCHEDULER_FUEL_PER_FACT: u64 = 60_000;

/// The most of it, some 100 to 200 ms, however much it knows; a policy that takes longer for a request has no place before one.
pub const SCHEDULER_FUEL_MAX: u64 = 200_000_000;

/// How long telling everything to a fresh scheduler may take: 20,000 facts take some 50 ms.
pub const SCHEDULER_START_TIMEOUT: Duration = Duration::from_secs(1);

/// Decisions that a policy may fail at before the one before it takes over again: once is a slip, thrice is a habit.
pub const SCHEDULER_FAILURES_MAX: u32 = 3;

/// Places or replicas that a decision ranks or passes over by name, as `wit/scheduler.wit` says. Requests are sent to the
/// next when one refuses; where eight refuse, a ninth would too.
pub const RANKED_MAX: usize = 8;

/// Changes and decisions that wait for the shadow policy: a second of a busy node. What finds no room is dropped and counted.
pub const SHADOW_QUEUE: usize = 1_024;

/// Differing decisions that are kept to be looked at.
pub const DIFFERENCES_MAX: usize = 64;

/// Policies whose failures are remembered after they were replaced.
pub const TALLIES_MAX: usize = 32;

/// Changes that the host keeps to replay into a fresh scheduler: each node and replica once.
pub const SCHEDULER_FACTS: usize = 20_000;

/// A sentence that a scheduler gives as its reason.
pub const WHY_BYTES: usize = 512;

/// The few words on one of several places.
pub const CANDIDATE_WHY_BYTES: usize = 160;

// === requests whose replica is lost ===

/// Tokens of one request's answers that are kept to go on with them elsewhere: 4 MiB, a context of a million. What is
/// longer cannot be continued.
pub const REPLAY_TOKENS_MAX: usize = 1 << 20;

/// How often in a row a request is taken up again without gaining anything: what kills each worker that it touches may
/// kill three.
pub const MOVES_FRUITLESS_MAX: u32 = 2;

/// How often a request is taken up again in all. Each time costs its prompt and answer once more, and a replica that
/// died so often counts as failed (`QUICK_DEATHS_MAX`).
pub const MOVES_MAX: u32 = 8;

/// How long a request waits for a replica to go on with it: a worker is back in a second, a large model is mapped
/// again in some ten.
pub const MOVE_WAIT: Duration = Duration::from_mins(1);

/// How long a client's stream may be silent while its request moves, until a comment says that it lives. Proxies give
/// up after 30 s and more.
pub const MOVE_COMMENT: Duration = Duration::from_secs(5);

/// Moves that one trace tells of.
pub const MOVES_TRACED: usize = 16;

// === the compiler child ===

/// The largest component that is compiled. Ours are below 4 MiB.
pub const COMPONENT_BYTES: usize = 32 * MIB;

/// Address space of the compiler: our largest component takes below 1 GiB with two threads.
pub const COMPILE_MEMORY_BYTES: u64 = 4 << 30;

/// Processor time of the compiler for any component. Our own take a second for each MB; a small one that takes longer than
/// this was made to.
pub const COMPILE_CPU: Duration = Duration::from_secs(10);

/// What each MiB of a component adds to that. An interpreter of Python with its library (18 MB) takes under 2 s for each,
/// and machines may be three times slower.
pub const COMPILE_CPU_PER_MIB: Duration = Duration::from_secs(6);

/// How much longer the compiler may take by the clock than by the processor: others compute, too.
pub const COMPILE_PATIENCE: u32 = 3;

/// The largest compiled component: native code is some five times larger.
pub const COMPILED_BYTES: u64 = 512 << 20;

/// How much of a child's standard error is kept.
pub const CHILD_STDERR_BYTES: usize = 16 * KIB;

/// Compiled components that are kept. A node has some ten plugins in a few versions.
pub const COMPILED_FILES: usize = 64;

// === the worker ===

/// Packed weights of fewer bytes are not kept in a file: a start hardly feels that they are packed anew.
pub const PACKED_BYTES_MIN: u64 = 64 << 20;

/// What a disk must have free beside packed weights for them to be kept.
pub const PACKED_DISK_FREE_BYTES: u64 = 4 << 30;

/// Of the machine's free memory, one part in so many is left alone when the operator sets no limit.
pub const MEMORY_KEPT_FREE_SHARE: u64 = 10;

/// Messages that are taken before the next step, so that a flood of requests does not stop those that run.
pub const MESSAGES_BETWEEN_STEPS: usize = 512;

/// Steps in a row that may yield nothing while a request lives. A prompt of a million tokens in pieces of
/// 16 takes 62,500; a plugin that only spins gets here in about a second.
pub const EMPTY_STEPS_MAX: u32 = 100_000;

/// How long a worker may keep back what its steps yield while the next one is due before that: a small model makes
/// several tokens in it, and nobody reads that fast.
pub const EVENTS_HELD_MAX: Duration = Duration::from_millis(4);
/// Bytes of them: far below what a reader may be behind by.
pub const EVENT_BYTES_HELD_MAX: usize = 16 << 10;

/// How often a worker gives a sign of life while steps yield nothing.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

// === the fleet ===

/// How much is read from a worker at once: a full step of some hundred requests.
pub const READ_BYTES: usize = 64 * KIB;

/// The delay after a worker's first death; it doubles with each further one.
pub const RESTART_DELAY: Duration = Duration::from_millis(250);

/// No delay is longer while the replica does not count as failed.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);

/// Deaths in quick succession after which a replica counts as failed: two minutes of attempts.
pub const QUICK_DEATHS_MAX: u32 = 8;

/// Between two attempts of a replica that counts as failed: the cause may be gone (a disk, a neighbour).
pub const RESTART_DELAY_FAILED: Duration = Duration::from_mins(5);

/// A worker that was ready for so long did not die of what killed it before.
pub const STABLE_AFTER: Duration = Duration::from_mins(1);

/// How long a worker may give no sign while requests live. One step of the slowest model takes seconds, and plugins are
/// interrupted long before.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(2);

/// The same on a card, where the operator says nothing else. A step takes 512 tokens at most; 70 billion weights are some 70
/// trillion operations for that, which the slowest card that holds them does in some ten seconds. Nothing interrupts a
/// driver that never returns.
pub const DEVICE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often that is looked at.
pub const STALL_CHECK: Duration = Duration::from_secs(1);

/// What starting a process and reading its files may take beside the plugin's own `OPEN_TIMEOUT`.
pub const HANDSHAKE_SLACK: Duration = Duration::from_mins(1);

/// How long a worker that said or showed that it ends may take to be gone: its memory goes back meanwhile. Requests are
/// answered within a second, so this is shorter.
pub const EXIT_TIMEOUT: Duration = Duration::from_millis(700);

/// How long a killed worker is waited for. The system ends a process that is inside of a driver only when that lets go of
/// it, which may be never; it is then reaped when it ends.
pub const REAP_TIMEOUT: Duration = Duration::from_secs(2);

// === devices that fail workers ===

/// Faults within `DEVICE_FAULTS_WINDOW` after which a device counts as lost: nothing is placed on it. One may be a stray
/// particle, two a coincidence.
pub const DEVICE_FAULTS_MAX: usize = 3;

/// How long a fault is counted, and how long a device that counts as lost must be quiet until it is tried again: a reset or
/// a cooler night takes minutes.
pub const DEVICE_FAULTS_WINDOW: Duration = Duration::from_mins(10);

/// How long a fault that came alone makes its device count as degraded.
pub const DEVICE_FAULT_SHOWN: Duration = Duration::from_mins(1);

/// Devices of which faults are kept: more than a machine has.
pub const DEVICES_FAULTY_MAX: usize = 64;

// === the durable log ===

/// Bytes of one value in the engine. A page of sled holds up to 16 values, and what has more than an
/// eighth of a segment (64 KiB) may go to a file of its own, which sled does not sync.
pub const STORE_PART_BYTES: usize = 3 * KIB;

/// Bytes of one record: far more than any command has.
pub const STORE_RECORD_BYTES_MAX: usize = MIB;

/// Bytes of a snapshot: as `skep_core::limits::STATE_BYTES_MAX`, and room for what surrounds it.
pub const STORE_SNAPSHOT_BYTES_MAX: usize = 17 * MIB;

/// Bytes of one small value: a vote has some 30.
pub const STORE_VALUE_BYTES_MAX: usize = 256;

/// Small values that are kept.
pub const STORE_VALUES_MAX: usize = 8;

/// What the engine may keep in memory of what is on the disk. The log is read when it is opened and
/// when a follower is behind, never to serve.
pub const STORE_CACHE_BYTES: u64 = 256 * KIB as u64;

/// How often sled looks after its own files. Durability does not hang on it.
pub const STORE_SLED_TEND: Duration = Duration::from_secs(10);

/// How long sled may take to let go of a log that this process closed a moment ago, on a machine that is busy.
pub const STORE_SLED_LOCK_WAIT: Duration = Duration::from_secs(5);

/// Writes that may wait for the disk. Whoever comes next waits to be let in.
pub const STORE_QUEUE: usize = 256;

/// Writes that share one `fsync`: as many as may wait.
pub const STORE_GROUP: usize = 256;

/// Bytes of writes that share one `fsync`: what any disk writes in some milliseconds.
pub const STORE_GROUP_BYTES: usize = MIB;

/// Damaged logs that are set aside. One is bad luck; so many have a cause.
pub const STORE_DAMAGED_MAX: usize = 8;

// === the cluster's state ===

/// Commands that may wait to be done. Whoever comes next waits to be let in.
pub const KEEPER_QUEUE: usize = 256;

/// Commands that share one write.
pub const KEEPER_GROUP: usize = 128;

/// After so many entries the state is kept as a snapshot: replaying them takes milliseconds.
pub const KEEPER_SNAPSHOT_ENTRIES: u64 = 1_024;

/// Entries that are kept although a snapshot has them, for followers that were away for a while.
pub const KEEPER_ENTRIES_KEPT: u64 = 1_024;

/// Bytes of entries that are read at once when the state is restored.
pub const KEEPER_REPLAY_BYTES: usize = MIB;
