//! What plugins cost by the language that they are written in, and what the sandbox adds to native code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::report::{Cell, Report, Samples, Table};
use super::{Options, agent, bytes, folder, load};
use crate::assemble::{self, Profile};
use crate::plugins;
use crate::step::{cargo, execute};

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    let measuring = load::binary("skep-plugins")?;
    let native = native()?;
    let into = folder().join("compiled");
    fs::create_dir_all(&into)?;
    let mut named = vec![
        (
            "spread (Rust)".to_owned(),
            plugins::folder().join("spread.wasm"),
        ),
        (
            "pack (Rust)".to_owned(),
            plugins::folder().join("pack.wasm"),
        ),
    ];
    named.extend(options.components.iter().cloned());
    let (mut rows, mut routes) = (Vec::new(), Vec::new());
    for (name, component) in &named {
        let out = into.join("measured");
        let took = compile(&binary, "scheduler", component, &out)?;
        let mut runs = Vec::new();
        for _ in 0..options.effort.pick(1, 5) {
            let argument = format!("it={}", out.display());
            runs.push(load::call_with(
                Command::new(&measuring).args(["schedulers", &argument]),
            )?);
        }
        let cell = |pointer: &str, scale: f64, decimals| -> Result<Cell> {
            let mut samples = Samples::default();
            for run in &runs {
                samples.push(load::number(run, &format!("/it/{pointer}"))? * scale);
            }
            Ok(Cell::Samples(samples, decimals))
        };
        rows.push(vec![
            Cell::text(name),
            Cell::Number(fs::metadata(component)?.len() as f64 / 1e3, 0),
            Cell::Number(took, 0),
            cell("instantiate_ns", 1e-3, 1)?,
            cell("empty_ns", 1e-3, 2)?,
            cell("kilobyte_ns", 1e-3, 2)?,
            cell("hundred_kilobytes_ns", 1e-3, 1)?,
            cell("memory_bytes", 1e-6, 1)?,
        ]);
        let mut row = vec![Cell::text(name)];
        for replicas in REPLICAS {
            row.push(cell(&format!("route_ns/{replicas}"), 1e-3, 2)?);
        }
        routes.push(row);
    }
    let mut row = vec![Cell::text("spread, native")];
    for replicas in REPLICAS {
        let mut samples = Samples::default();
        for _ in 0..options.effort.pick(1, 5) {
            let found = load::call_with(&mut Command::new(&native))?;
            samples.push(load::number(&found, &format!("/{replicas}"))? * 1e-3);
        }
        row.push(Cell::Samples(samples, 2));
    }
    routes.push(row);
    report.add(Table {
        title: "Plugins by language",
        command: "cargo xtask bench plugins [--component NAME=PATH]...",
        note: "Schedulers: the compiler child once, a fresh instance, and a call that hears of a name of no letter, of 1 KB and of 100 \
               KB; microseconds. The memory is an instance's after that. Median (least–most) over processes."
            .into(),
        columns: vec![
            "plugin", "KB", "compile ms", "instantiate µs", "call µs", "1 KB µs", "100 KB µs", "MB",
        ],
        rows,
    });
    report.add(Table {
        title: "`route` beside native code",
        command: "cargo xtask bench plugins",
        note: "Microseconds of one decision among so many replicas of the model, without the check of the answer. Goal: a \
               Rust component takes at most 5 µs more than the same policy without a sandbox."
            .into(),
        columns: vec!["policy", "1 replica", "10 replicas", "100 replicas"],
        rows: routes,
    });
    decode(options, &binary, &measuring, &into, report)
}

/// The engine's steps, and what of them was not the native graph.
fn decode(
    options: &Options,
    binary: &Path,
    measuring: &Path,
    into: &Path,
    report: &mut Report,
) -> Result<()> {
    let out = into.join("llama");
    compile(
        binary,
        "engine",
        &plugins::folder().join("llama.wasm"),
        &out,
    )?;
    let mut models = vec![bytes::tiny()?];
    for (shape, kind) in options.effort.pick(&SHAPES[..1], &SHAPES[..]) {
        models.push(bytes::random(shape, kind)?);
    }
    let mut rows = Vec::new();
    for model in &models {
        for threads in options.threads() {
            let mut seen = DECODED.map(|_| Samples::default());
            for _ in 0..options.effort.pick(1, 5) {
                let tokens = if model.name == "tiny" { "200" } else { "100" };
                let mut command = Command::new(measuring);
                command.arg("decode").arg(&out).arg(&model.path);
                let found = load::call_with(command.args([threads.as_str(), tokens]))?;
                for (name, seen) in DECODED.iter().zip(&mut seen) {
                    seen.push(load::number(&found, name)?);
                }
            }
            let mut row = vec![Cell::text(&model.name), Cell::text(threads)];
            row.extend(
                seen.into_iter()
                    .zip([1, 1, 1, 2])
                    .map(|(seen, decimals)| Cell::Samples(seen, decimals)),
            );
            rows.push(row);
        }
    }
    report.add(Table {
        title: "The sandbox's share of decoding",
        command: "cargo xtask bench plugins",
        note: "One stream, one token a step, microseconds: the whole step as the host sees it, the recorded graph run natively \
               within it, and the rest: crossing the border, choosing the token, its text, the batch. A native engine would have \
               to do most of that, too, so the last column is more than what the sandbox costs. Goal: at most 1 %."
            .into(),
        columns: vec!["model", "threads", "step", "graph", "besides", "% of the graph"],
        rows,
    });
    Ok(())
}

/// One run of the compiler child, in milliseconds.
fn compile(binary: &Path, world: &str, component: &Path, out: &Path) -> Result<f64> {
    if out.exists() {
        fs::remove_file(out).with_context(|| format!("could not remove `{}`", out.display()))?;
    }
    let started = Instant::now();
    execute(
        agent::client(binary, &folder())
            .args(["compile", "--world", world])
            .args([component, out]),
    )?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// `spread` without a sandbox.
fn native() -> Result<PathBuf> {
    let build = ["build", "--quiet", "--release", "--package", "spread"];
    execute(cargo(build).args(["--example", "native"]))?;
    Ok(crate::step::target().join("release/examples/native"))
}

const REPLICAS: [u32; 3] = [1, 10, 100];

/// As `make_models.py` names them.
const SHAPES: [(&str, &str); 2] = [("110m", "q8_0"), ("110m", "f16")];

/// As `skep-plugins` tells them.
const DECODED: [&str; 4] = ["/step_us", "/native_us", "/besides_us", "/besides_percent"];
