//! Turning components into native code ahead of time, in a child that can be killed.
//!
//! Decides what compiling may cost: compile time is outside of wasmtime's promises, so a component that makes the compiler
//! slow or large ends the child and nothing else. The cache of what was compiled is `Compiled`. Refuses to know what a
//! component is for.

mod cache;
mod sealed;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit};

pub(crate) use cache::at_work;
pub use cache::{CompileError, Compiled};

use crate::confine::Walls;
use crate::host::{World, inspect, precompile};
use crate::limits::{
    COMPILE_CPU, COMPILE_CPU_PER_MIB, COMPILE_MEMORY_BYTES, COMPILE_PATIENCE, COMPILED_BYTES,
    COMPONENT_BYTES,
};

/// The child: `skep compile --world WORLD IN OUT`. `OUT` must not exist; whoever started it removes it after a failure. Says
/// what is wrong on standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening, and the exit code says the same.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: skep compile --world WORLD IN OUT, or skep compile --seal OUT";

fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let [flag, output] = arguments.as_slice()
        && flag == "--seal"
    {
        return seal(Path::new(output));
    }
    let [flag, world, input, output] = arguments.as_slice() else {
        bail!(USAGE);
    };
    if flag != "--world" {
        bail!(USAGE);
    }
    let world: World = world
        .to_string_lossy()
        .parse()
        .map_err(anyhow::Error::msg)?;
    let (input, output) = (Path::new(input), Path::new(output));
    let from =
        File::open(input).with_context(|| format!("could not read `{}`", input.display()))?;
    let to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(output)
        .with_context(|| format!("could not write `{}`", output.display()))?;
    let bytes = from.metadata().map_or(0, |about| about.len());
    limit_self(cpu(bytes)).context("could not limit this process")?;
    // Before the first byte is looked at. What this system lacks of them, `skep doctor` tells.
    Walls {
        file_bytes: COMPILED_BYTES,
        ..Walls::default()
    }
    .raise()
    .context("could not confine this process")?;
    compile(world, from, to)
}

/// Copies this program to `output` with its own plugins compiled; what was compiled is kept in `compiled` beside it.
fn seal(output: &Path) -> anyhow::Result<()> {
    let executable = std::env::current_exe().context("could not find this program's file")?;
    let folder = output
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join("compiled");
    let mut components = Vec::new();
    for plugin in crate::plugins::EMBEDDED {
        if let Some(world) = inspect(plugin.bytes)?.world {
            components.push((world, plugin.bytes));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let compiled = Compiled::open(folder, executable)?;
    Ok(runtime.block_on(compiled.seal(output, &components))?)
}

fn compile(world: World, from: File, mut to: File) -> anyhow::Result<()> {
    let mut component = Vec::new();
    from.take(COMPONENT_BYTES as u64 + 1)
        .read_to_end(&mut component)?;
    let inspection = inspect(&component)?;
    match inspection.world {
        Some(found) if found == world => {}
        Some(found) => bail!(
            "it is a plugin of the world `{}` and not of `{}`",
            found.name(),
            world.name()
        ),
        None => bail!("it exports no world of `skep:plugin@0.1.0`"),
    }
    if let [first, ..] = inspection.ungranted().as_slice() {
        bail!(
            "it imports `{first}`, which is not granted to the world `{}`",
            world.name()
        );
    }
    let compiled = precompile(world, &component)?;
    to.write_all(&compiled)?;
    to.sync_all()?;
    Ok(())
}

/// Processor time that compiling a component of so many bytes may take. What is too large is refused by its size.
fn cpu(component_bytes: u64) -> Duration {
    let mib = component_bytes
        .min(COMPONENT_BYTES as u64)
        .div_ceil(1 << 20);
    COMPILE_CPU + COMPILE_CPU_PER_MIB * u32::try_from(mib).unwrap_or(u32::MAX)
}

/// Wall time for the same, from outside.
fn patience(component_bytes: u64) -> Duration {
    cpu(component_bytes) * COMPILE_PATIENCE
}

/// Bounds this process, so that no component can make it a burden.
fn limit_self(cpu: Duration) -> anyhow::Result<()> {
    let limits = [
        (Resource::As, COMPILE_MEMORY_BYTES),
        (Resource::Cpu, cpu.as_secs()),
        (Resource::Fsize, COMPILED_BYTES),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        // A lower limit that is already there stays.
        let most = rustix::process::getrlimit(resource)
            .maximum
            .unwrap_or(limit)
            .min(limit);
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )?;
    }
    Ok(())
}
