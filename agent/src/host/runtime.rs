//! How wasmtime is set up: one configuration for each world, with a compiler only in the compiler child.
//!
//! Decides which WebAssembly features exist here and how code is interrupted. A component compiled
//! under another configuration is refused when it is loaded, so both sides must come from `config`.

use wasmtime::{Config, Engine, OptLevel, Result};

use crate::limits::WASM_STACK_BYTES;

/// Which of the contract's worlds a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum World {
    /// A model backend, run in a worker.
    Engine,
    /// Where models and requests go, run in the agent.
    Scheduler,
    /// An adapter to a service elsewhere, run in a worker.
    Upstream,
    /// A way to tell people elsewhere what happens, run in a worker.
    Notifier,
    /// A step of a setup, run in the agent.
    Installer,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Engine,
        Self::Scheduler,
        Self::Upstream,
        Self::Notifier,
        Self::Installer,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Scheduler => "scheduler",
            Self::Upstream => "upstream",
            Self::Notifier => "notifier",
            Self::Installer => "installer",
        }
    }

    /// The interface that a component of this world exports, and only it.
    pub(super) fn export(self) -> &'static str {
        match self {
            Self::Engine => "skep:plugin/model@0.1.0",
            Self::Scheduler => "skep:plugin/policy@0.1.0",
            Self::Upstream => "skep:plugin/adapter@0.1.0",
            Self::Notifier => "skep:plugin/notice@0.1.0",
            Self::Installer => "skep:plugin/step@0.1.0",
        }
    }
}

impl std::str::FromStr for World {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|world| world.name() == name)
            .ok_or_else(|| {
                format!(
                    "there is no world `{name}`; the worlds are `engine`, `scheduler`, `upstream`, `notifier`, `installer`"
                )
            })
    }
}

/// Compiles a component to native code. For the compiler child alone: it takes a lot of memory and
/// time, and a hostile component makes it take more.
///
/// # Errors
/// When the component is not valid, or uses a feature that is off here.
pub fn precompile(world: World, component: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut config = config(world);
    config.cranelift_opt_level(OptLevel::Speed);
    Ok(Engine::new(&config)?.precompile_component(component)?)
}

/// An engine that runs what `precompile` made and cannot compile.
pub(super) fn engine(world: World) -> Result<Engine> {
    let mut config = config(world);
    config.enable_compiler(false);
    Engine::new(&config)
}

fn config(world: World) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_simd(true)
        // What is newer, rarely used or has had holes is off (reliability: 22 advisories in half a year).
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_tail_call(false)
        // Components in a component have a memory each, and what wasmtime puts between them sees both. No module of a plugin's
        // own may have two: `inspect` refuses it.
        .wasm_multi_memory(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        // Offsets into the component help nobody here; the function's name stays.
        .generate_address_map(false)
        .native_unwind_info(false);
    match world {
        // Wall time is what counts for a model, and epochs cost less than fuel.
        World::Engine | World::Upstream | World::Notifier => config.epoch_interruption(true),
        // The same calls must give the same answers, also where they are cut off.
        World::Scheduler | World::Installer => config.consume_fuel(true),
    };
    config
}
