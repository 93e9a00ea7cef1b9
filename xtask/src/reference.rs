//! `sdk/REFERENCE.md`, from `wit/` and from the limits in the agent's source: nobody writes it by hand, and `tidy` says when it
//! is stale.
//!
//! Decides what stands in it and in which order; what things mean is said where they are defined.

mod limits;
mod types;

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};
use wit_parser::{InterfaceId, Resolve, World, WorldItem};

use crate::step::root;

/// Writes it.
pub(crate) fn write() -> Result<()> {
    let text = text()?;
    fs::write(root().join(FILE), &text)?;
    eprintln!("    {FILE}: {} lines", text.lines().count());
    Ok(())
}

/// Says whether it is what would be written now.
pub(crate) fn check() -> Result<()> {
    if fs::read_to_string(root().join(FILE)).is_ok_and(|found| found == text().unwrap_or_default())
    {
        return Ok(());
    }
    bail!("{FILE} is not what `wit/` and the limits say: run `cargo xtask reference`")
}

fn text() -> Result<String> {
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(root().join("wit"))?;
    let package = contract.packages.get(package).context("no package")?;
    let mut text = format!(
        "# Reference of `{}`\n\nMade from `wit/` and from the limits of the host by `cargo xtask reference`; do not edit it.\n\n\
         A component exports the interface of one world and may import what that world names, nothing else. A function that \
         fails returns `error` ([`types`](#types)); whoever calls decides by its case.\n\n\
         | world | exports | may import | beside it, of WASI |\n|---|---|---|---|\n",
        package.name
    );
    let mut worlds = Vec::new();
    for name in WORLDS {
        let world = package
            .worlds
            .get(name)
            .with_context(|| format!("no world `{name}`"))?;
        let world = contract.worlds.get(*world).context("no world")?;
        worlds.push(world);
    }
    for world in &worlds {
        let linked = |items: Vec<String>| {
            let linked = items.iter().map(|name| format!("[`{name}`](#{name})"));
            linked.collect::<Vec<_>>().join(", ")
        };
        let imports = ours(&contract, world.imports.values());
        let _ = writeln!(
            text,
            "| [`{0}`](#the-world-{0}) | {1} | {2} | {3} |",
            world.name,
            linked(ours(&contract, world.exports.values())),
            if imports.is_empty() {
                "nothing".to_owned()
            } else {
                linked(imports)
            },
            match world.name.as_str() {
                "scheduler" | "installer" => "nothing",
                "engine" => "what standard libraries ask for at their start, empty",
                _ => "the same, timers, and HTTP to granted hosts",
            },
        );
    }
    for world in &worlds {
        world_section(&mut text, world)?;
    }
    text += "\n## What standard libraries ask for\n\nLinked for every world but `scheduler` and `installer`, in any version 0.2: no argument, no \
             variable, no folder, no input; what is written to standard output and error becomes lines of the log, and clocks \
             count whole milliseconds and seconds.\n\n";
    for name in limits::wasi()? {
        let _ = writeln!(text, "- `{name}`");
    }
    text += "\n## Interfaces\n";
    for (name, id) in &package.interfaces {
        interface_section(&mut text, &contract, name, *id)?;
    }
    // One line end at the end.
    Ok(text.trim_end().to_owned() + "\n")
}

/// The names of our own interfaces among these.
fn ours<'a>(contract: &Resolve, items: impl Iterator<Item = &'a WorldItem>) -> Vec<String> {
    let names = items.filter_map(|item| {
        let WorldItem::Interface { id, .. } = item else {
            return None;
        };
        let name = contract.id_of(*id)?;
        let name = name.strip_prefix("skep:plugin/")?;
        Some(name.split('@').next()?.to_owned())
    });
    names.collect()
}

fn world_section(text: &mut String, world: &World) -> Result<()> {
    let _ = write!(
        text,
        "\n## The world `{}`\n\n{}\n",
        world.name,
        docs(&world.docs)
    );
    text.push_str("\n| limit | | |\n|---|---|---|\n");
    for limit in limits::of_world(&world.name)? {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            limit.name, limit.value, limit.reason
        );
    }
    Ok(())
}

fn interface_section(
    text: &mut String,
    contract: &Resolve,
    name: &str,
    id: InterfaceId,
) -> Result<()> {
    let interface = contract.interfaces.get(id).context("no interface")?;
    let _ = write!(text, "\n### {name}\n\n");
    let said = docs(&interface.docs);
    if !said.is_empty() {
        let _ = write!(text, "{said}\n\n");
    }
    for (name, id) in &interface.types {
        types::define(text, contract, interface, name, *id)?;
    }
    for function in interface.functions.values() {
        if function.kind.resource().is_none() {
            types::function(text, contract, function)?;
        }
    }
    Ok(())
}

fn docs(docs: &wit_parser::Docs) -> String {
    docs.contents
        .as_deref()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

const FILE: &str = "sdk/REFERENCE.md";

/// In the order in which people meet them.
const WORLDS: [&str; 5] = ["scheduler", "engine", "upstream", "notifier", "installer"];
