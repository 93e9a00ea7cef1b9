//! The functions themselves, by interface. A component may import any 0.2 version of them.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Result, StoreContextMut, bail};

use super::super::state::State;
use super::{MONOTONIC_RESOLUTION_NS, Wasi};
use crate::limits::{LOG_LINE_BYTES, RANDOM_BYTES};
use crate::protocol::LineLevel;

/// What is linked: what the Rust standard library imports for `wasm32-wasip2` without being asked to.
pub(in crate::host) const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Resources that exist only as types: nothing here makes one.
struct Never;
/// Standard input, always at its end.
struct Input;
/// Something to wait for that has come already: streams here never make anybody wait.
struct Ready;
/// Standard output or error.
struct Sink(LineLevel);

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(
        dead_code,
        reason = "part of the type; no operation here fails that way"
    )]
    Failed(Resource<Never>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Cx<'a> = StoreContextMut<'a, State>;

/// Defines what `component` imports of WASI, in the versions that it names.
pub(in crate::host) fn link(linker: &mut Linker<State>, component: &Component) -> Result<()> {
    let engine = linker.engine().clone();
    let ty = component.component_type();
    linker.allow_shadowing(true);
    for (name, import) in ty.imports(&engine) {
        let Some((interface, _)) = name.split_once("@0.2.") else {
            continue;
        };
        let ComponentItem::ComponentInstance(functions) = import.ty else {
            continue;
        };
        if !INTERFACES.contains(&interface) {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (function, item) in functions.exports(&engine) {
            if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                let refusal =
                    format!("it called `{interface}` `{function}`, which does nothing here");
                instance.func_new(function, move |_, _, _, _| bail!("{refusal}"))?;
            }
        }
        define(interface, &mut instance)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// Defines what has an answer; everything else traps.
fn define(interface: &str, instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    match interface {
        "wasi:cli/environment" => environment(instance)?,
        "wasi:cli/exit" => exit(instance)?,
        "wasi:cli/stdin" => instance.func_wrap("get-stdin", |mut cx: Cx<'_>, (): ()| {
            Ok((cx.data_mut().table.push(Input)?,))
        })?,
        "wasi:cli/stdout" => {
            instance.func_wrap("get-stdout", |cx, (): ()| sink(cx, LineLevel::Info))?
        }
        "wasi:cli/stderr" => {
            instance.func_wrap("get-stderr", |cx, (): ()| sink(cx, LineLevel::Error))?
        }
        "wasi:cli/terminal-stdin" => no_terminal(instance, "get-terminal-stdin")?,
        "wasi:cli/terminal-stdout" => no_terminal(instance, "get-terminal-stdout")?,
        "wasi:cli/terminal-stderr" => no_terminal(instance, "get-terminal-stderr")?,
        "wasi:cli/terminal-input" => never(instance, "terminal-input")?,
        "wasi:cli/terminal-output" => never(instance, "terminal-output")?,
        "wasi:clocks/monotonic-clock" => monotonic(instance)?,
        "wasi:clocks/wall-clock" => wall(instance)?,
        "wasi:filesystem/preopens" => instance
            .func_wrap("get-directories", |_: Cx<'_>, (): ()| {
                Ok((Vec::<(Resource<Never>, String)>::new(),))
            })?,
        "wasi:filesystem/types" => {
            never(instance, "descriptor")?;
            never(instance, "directory-entry-stream")?;
        }
        "wasi:io/error" => never(instance, "error")?,
        "wasi:io/poll" => poll(instance)?,
        "wasi:io/streams" => streams(instance)?,
        "wasi:random/random" => random(instance, "get-random-bytes", "get-random-u64")?,
        "wasi:random/insecure" => random(
            instance,
            "get-insecure-random-bytes",
            "get-insecure-random-u64",
        )?,
        "wasi:random/insecure-seed" => {
            instance.func_wrap("insecure-seed", |mut cx: Cx<'_>, (): ()| {
                let random = &mut cx.data_mut().wasi.random;
                Ok(((random.next(), random.next()),))
            })?
        }
        _ => {}
    }
    Ok(())
}

fn environment(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("get-environment", |_: Cx<'_>, (): ()| {
        Ok((Vec::<(String, String)>::new(),))
    })?;
    instance.func_wrap("get-arguments", |_: Cx<'_>, (): ()| {
        Ok((Vec::<String>::new(),))
    })?;
    instance.func_wrap("initial-cwd", |_: Cx<'_>, (): ()| Ok((None::<String>,)))
}

fn exit(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("exit", |_: Cx<'_>, (_,): (Result<(), ()>,)| -> Result<()> {
        bail!("it called `exit`")
    })
}

fn sink(mut cx: Cx<'_>, level: LineLevel) -> Result<(Resource<Sink>,)> {
    Ok((cx.data_mut().table.push(Sink(level))?,))
}

fn no_terminal(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<Resource<Never>>,)))
}

fn never(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<Never>(), |_, _| Ok(()))
}

fn monotonic(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("now", |cx: Cx<'_>, (): ()| {
        Ok((cx.data().wasi.monotonic_ns(),))
    })?;
    instance.func_wrap("resolution", |_: Cx<'_>, (): ()| {
        Ok((MONOTONIC_RESOLUTION_NS,))
    })
}

fn wall(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("now", |_: Cx<'_>, (): ()| {
        Ok((Datetime {
            seconds: Wasi::wall_s(),
            nanoseconds: 0,
        },))
    })?;
    instance.func_wrap("resolution", |_: Cx<'_>, (): ()| {
        Ok((Datetime {
            seconds: 1,
            nanoseconds: 0,
        },))
    })
}

fn random(instance: &mut LinkerInstance<'_, State>, bytes: &str, number: &str) -> Result<()> {
    instance.func_wrap(bytes, |mut cx: Cx<'_>, (length,): (u64,)| {
        if length > RANDOM_BYTES {
            bail!("it asked for {length} random bytes; the limit is {RANDOM_BYTES}");
        }
        Ok((cx.data_mut().wasi.random.bytes(usize::try_from(length)?),))
    })?;
    instance.func_wrap(number, |mut cx: Cx<'_>, (): ()| {
        Ok((cx.data_mut().wasi.random.next(),))
    })
}

fn poll(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.resource(
        "pollable",
        ResourceType::host::<Ready>(),
        |mut cx, handle| {
            cx.data_mut()
                .table
                .delete(Resource::<Ready>::new_own(handle))?;
            Ok(())
        },
    )?;
    instance.func_wrap(
        "[method]pollable.ready",
        |_: Cx<'_>, (_,): (Resource<Ready>,)| Ok((true,)),
    )?;
    instance.func_wrap(
        "[method]pollable.block",
        |_: Cx<'_>, (_,): (Resource<Ready>,)| Ok(()),
    )?;
    instance.func_wrap("poll", |_: Cx<'_>, (all,): (Vec<Resource<Ready>>,)| {
        Ok(((0_u32..)
            .zip(&all)
            .map(|(index, _)| index)
            .collect::<Vec<_>>(),))
    })
}

fn streams(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.resource(
        "input-stream",
        ResourceType::host::<Input>(),
        |mut cx, handle| {
            cx.data_mut()
                .table
                .delete(Resource::<Input>::new_own(handle))?;
            Ok(())
        },
    )?;
    instance.resource(
        "output-stream",
        ResourceType::host::<Sink>(),
        |mut cx, handle| {
            cx.data_mut()
                .table
                .delete(Resource::<Sink>::new_own(handle))?;
            Ok(())
        },
    )?;
    for name in [
        "[method]input-stream.read",
        "[method]input-stream.blocking-read",
    ] {
        instance.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    instance.func_wrap(
        "[method]input-stream.subscribe",
        |mut cx: Cx<'_>, (_,): (Resource<Input>,)| Ok((cx.data_mut().table.push(Ready)?,)),
    )?;
    instance.func_wrap(
        "[method]output-stream.subscribe",
        |mut cx: Cx<'_>, (_,): (Resource<Sink>,)| Ok((cx.data_mut().table.push(Ready)?,)),
    )?;
    instance.func_wrap(
        "[method]output-stream.check-write",
        |_: Cx<'_>, (_,): (Resource<Sink>,)| Ok((Ok::<_, StreamError>(LOG_LINE_BYTES as u64),)),
    )?;
    for name in [
        "[method]output-stream.write",
        "[method]output-stream.blocking-write-and-flush",
    ] {
        instance.func_wrap(name, write)?;
    }
    for name in [
        "[method]output-stream.flush",
        "[method]output-stream.blocking-flush",
    ] {
        instance.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Sink>,)| {
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    Ok(())
}

fn write(
    mut cx: Cx<'_>,
    (sink, bytes): (Resource<Sink>, Vec<u8>),
) -> Result<(Result<(), StreamError>,)> {
    let State {
        table, wasi, pen, ..
    } = cx.data_mut();
    let Sink(level) = *table.get(&sink)?;
    let output = if level == LineLevel::Error {
        &mut wasi.error
    } else {
        &mut wasi.output
    };
    output.write(&bytes, |line| pen.write(level, line));
    Ok((Ok(()),))
}
