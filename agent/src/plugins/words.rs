//! What a person is told before agreeing to a plugin: what its world gives it, what it may not touch, and which limits hold.
//!
//! Decides words and nothing else. They are true because the host and `limits` make them so.

use std::time::Duration;

use skep_core::limits as core;

use crate::host::World;
use crate::limits as host;

/// What a plugin of this world gets whether or not anything is granted.
#[must_use]
pub fn gives(world: World) -> Vec<String> {
    let words: &[&str] = match world {
        World::Engine => &[
            "read the files of the model that it runs, and no others",
            "have the host compute on the devices that the model was placed on",
            "see the requests that it answers, texts included",
            "write lines into the log, which are marked as its own",
        ],
        World::Scheduler => &[
            "see which nodes, devices and models there are, and of requests their size, not their text",
        ],
        World::Upstream => &[
            "see the requests that it answers, texts included",
            "write lines into the log, which are marked as its own",
        ],
        World::Notifier => &[
            "see what people are to be told",
            "write lines into the log, which are marked as its own",
        ],
        World::Installer => &[
            "see what this machine is like, and the text of files that hold no secrets",
            "propose changes to it, each of which is shown and agreed to before the host makes it",
        ],
    };
    words.iter().map(ToString::to_string).collect()
}

/// What a plugin of this world may not touch, whatever was granted; `reaches`: whether it may reach anything by network.
#[must_use]
pub fn may_not(world: World, reaches: bool) -> Vec<String> {
    let files = match world {
        World::Engine => "files, but its model's",
        World::Scheduler | World::Upstream | World::Notifier => "files",
        World::Installer => "files, but by what it proposes",
    };
    let network = if reaches {
        "the network, but what is named above"
    } else {
        "the network"
    };
    let devices = match world {
        World::Engine => "devices, but through the host",
        World::Scheduler | World::Upstream | World::Notifier | World::Installer => "devices",
    };
    let rest = [
        "other processes",
        "the environment and the arguments of the agent",
        "other plugins",
        "the agent's own interface and keys",
    ];
    let all = [files, network, devices].into_iter().chain(rest);
    all.map(str::to_owned).collect()
}

/// A bound, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In words.
    pub of: &'static str,
    /// Its name in `limits`.
    pub name: &'static str,
    pub value: String,
}

/// A bound of `host` or `core` by its name there.
macro_rules! bound {
    ($of:literal, $place:ident :: $name:ident $(, $shown:expr)?) => {
        Bound {
            of: $of,
            name: stringify!($name),
            value: bound!(@value $place::$name $(, $shown)?),
        }
    };
    (@value $value:expr) => { $value.to_string() };
    (@value $value:expr, $shown:expr) => { $shown($value) };
}

/// The limits that hold for each plugin of this world.
#[must_use]
pub fn limits(world: World) -> Vec<Bound> {
    let mut all = vec![
        bound!("the component", host::COMPONENT_BYTES, size),
        bound!("memory of compiling it", host::COMPILE_MEMORY_BYTES, bytes),
        bound!("processor time of compiling it", host::COMPILE_CPU, time),
        bound!("and for each MiB of it", host::COMPILE_CPU_PER_MIB, time),
        bound!(
            "times that until compiling is ended",
            host::COMPILE_PATIENCE
        ),
        bound!("stack", host::WASM_STACK_BYTES, size),
        bound!("instances", host::INSTANCES),
        bound!("memories", host::MEMORIES),
        bound!("tables", host::TABLES),
        bound!("elements of a table", host::TABLE_ELEMENTS),
    ];
    all.extend(match world {
        World::Scheduler => schedulers(),
        World::Engine => engines(),
        World::Upstream | World::Notifier => services(),
        World::Installer => installers(),
    });
    if !matches!(world, World::Scheduler | World::Installer) {
        all.extend([
            bound!("random bytes in one call", host::RANDOM_BYTES, bytes),
            bound!("log lines a second", host::LOG_LINES_PER_SECOND),
            bound!("a log line", host::LOG_LINE_BYTES, size),
        ]);
    }
    all.push(bound!(
        "traps until the version before it takes over",
        host::TRAPS_MAX
    ));
    all.push(bound!(
        "time in which traps count",
        host::TRAPS_WINDOW,
        time
    ));
    all
}

fn schedulers() -> Vec<Bound> {
    vec![
        bound!("memory", host::SCHEDULER_MEMORY_BYTES, size),
        bound!("fuel for a decision", host::SCHEDULER_FUEL),
        bound!(
            "and for each node and replica",
            host::SCHEDULER_FUEL_PER_FACT
        ),
        bound!("and at most", host::SCHEDULER_FUEL_MAX),
        bound!("time to start", host::SCHEDULER_START_TIMEOUT, time),
        bound!(
            "failures until it is replaced",
            host::SCHEDULER_FAILURES_MAX
        ),
    ]
}

fn installers() -> Vec<Bound> {
    vec![
        bound!("memory", host::INSTALLER_MEMORY_BYTES, size),
        bound!("fuel for a call", host::INSTALLER_FUEL),
        bound!("all that it answers", host::INSTALLER_ANSWER_BYTES, size),
        bound!("what it wants to have looked at", host::STEP_NEEDS_MAX),
        bound!("questions", host::STEP_QUESTIONS_MAX),
        bound!("actions of a plan", host::PLAN_ACTIONS_MAX),
        bound!("findings", host::STEP_FINDINGS_MAX),
    ]
}

fn engines() -> Vec<Bound> {
    vec![
        bound!("memory besides weights", host::ENGINE_MEMORY_BYTES, size),
        bound!("time to open a model", host::OPEN_TIMEOUT, time),
        bound!("time for a step", host::STEP_TIMEOUT, time),
        bound!("one read of a file", host::FILE_READ_BYTES, |count| bytes(
            u64::from(count)
        )),
        bound!("handles", host::HANDLES),
        bound!("bytes in one call of the host", host::HOSTCALL_BYTES, size),
    ]
}

fn services() -> Vec<Bound> {
    vec![
        bound!("memory of one call", host::SERVICE_MEMORY_BYTES, size),
        bound!(
            "memory of all calls together",
            host::SERVICE_MEMORIES_BYTES,
            size
        ),
        bound!("calls under way", host::SERVICE_CALLS_MAX),
        bound!("processor time of one call", host::SERVICE_COMPUTING, time),
        bound!("time for a word of it", host::SERVICE_CALL_TIMEOUT, time),
        bound!("handles of one call", host::SERVICE_HANDLES),
        bound!(
            "bytes in one call of the host",
            host::SERVICE_HOSTCALL_BYTES,
            size
        ),
        bound!("requests of one call at once", host::REQUESTS_OUT_OF_CALL),
        bound!("requests of one call in all", host::REQUESTS_OUT_IN_CALL),
        bound!("requests of all calls at once", host::REQUESTS_OUT),
        bound!("headers that it sends", host::OUT_HEADERS_BYTES, size),
        bound!("body that it sends", host::OUT_BODY_BYTES, size),
        bound!("body that it is sent", host::IN_BODY_BYTES, bytes),
    ]
}

/// The limits that hold for all plugins of a cluster together.
#[must_use]
pub fn cluster_limits() -> Vec<Bound> {
    vec![
        bound!("plugins that were added", core::PLUGINS_MAX),
        bound!("earlier versions of each", core::VERSIONS_KEPT),
        bound!("grants of each", core::GRANTS_MAX),
        bound!("trusted signers", core::SIGNERS_MAX),
    ]
}

fn size(count: usize) -> String {
    bytes(count as u64)
}

fn bytes(count: u64) -> String {
    match count {
        count if count >= 1 << 30 && count.is_multiple_of(1 << 30) => {
            format!("{} GiB", count >> 30)
        }
        count if count >= 1 << 20 => format!("{} MiB", count >> 20),
        count if count >= 1 << 10 => format!("{} KiB", count >> 10),
        count => format!("{count} B"),
    }
}

fn time(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
