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
    };
    words.iter().map(ToString::to_string).collect()
}

/// What a plugin of this world may not touch, whatever was granted; `reaches`: whether it may reach anything by network.
#[must_use]
pub fn may_not(world: World, reaches: bool) -> Vec<String> {
    let files = match world {
        World::Engine => "files, but its model's",
        World::Scheduler | World::Upstream | World::Notifier => "files",
    };
    let network = if reaches {
        "the network, but what is named above"
    } else {
        "the network"
    };
    let devices = match world {
        World::Engine => "devices, but through the host",
        World::Scheduler | World::Upstream | World::Notifier => "devices",
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

/// The limits that hold for each plugin of this world.
#[must_use]
pub fn limits(world: World) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("component", bytes(host::COMPONENT_BYTES as u64)),
        ("compiling, memory", bytes(host::COMPILE_MEMORY_BYTES)),
        (
            "compiling, processor time",
            format!(
                "{}, and {} for each MiB",
                time(host::COMPILE_CPU),
                time(host::COMPILE_CPU_PER_MIB)
            ),
        ),
        (
            "compiling, time",
            format!("{} times that", host::COMPILE_PATIENCE),
        ),
        ("stack", bytes(host::WASM_STACK_BYTES as u64)),
        ("instances", host::INSTANCES.to_string()),
        (
            "memories and tables",
            format!("{} and {}", host::MEMORIES, host::TABLES),
        ),
    ];
    match world {
        World::Scheduler => all.extend([
            ("memory", bytes(host::SCHEDULER_MEMORY_BYTES as u64)),
            (
                "fuel for a decision",
                format!(
                    "{} and {} for each node and replica, {} at most",
                    host::SCHEDULER_FUEL,
                    host::SCHEDULER_FUEL_PER_FACT,
                    host::SCHEDULER_FUEL_MAX
                ),
            ),
            ("time to start", time(host::SCHEDULER_START_TIMEOUT)),
            (
                "failures until it is replaced",
                host::SCHEDULER_FAILURES_MAX.to_string(),
            ),
        ]),
        World::Engine => all.extend([
            (
                "memory besides weights",
                bytes(host::ENGINE_MEMORY_BYTES as u64),
            ),
            ("time to open a model", time(host::OPEN_TIMEOUT)),
            ("time for a step", time(host::STEP_TIMEOUT)),
            (
                "bytes in one read of a file",
                bytes(u64::from(host::FILE_READ_BYTES)),
            ),
        ]),
        World::Upstream | World::Notifier => {}
    }
    if world != World::Scheduler {
        all.extend([
            ("handles", host::HANDLES.to_string()),
            (
                "bytes in one call of the host",
                bytes(host::HOSTCALL_BYTES as u64),
            ),
            ("random bytes in one call", bytes(host::RANDOM_BYTES)),
            ("log lines a second", host::LOG_LINES_PER_SECOND.to_string()),
            ("bytes of a log line", bytes(host::LOG_LINE_BYTES as u64)),
        ]);
    }
    all.push((
        "traps until the version before it takes over",
        format!("{} in {}", host::TRAPS_MAX, time(host::TRAPS_WINDOW)),
    ));
    all
}

/// The limits that hold for all plugins of a cluster together.
#[must_use]
pub fn cluster_limits() -> Vec<(&'static str, String)> {
    vec![
        ("plugins that were added", core::PLUGINS_MAX.to_string()),
        ("earlier versions of each", core::VERSIONS_KEPT.to_string()),
        ("grants of each", core::GRANTS_MAX.to_string()),
        ("trusted signers", core::SIGNERS_MAX.to_string()),
    ]
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
