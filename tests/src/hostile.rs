//! Components that mean harm, one for each way: from the files in `tests/guests/hostile`, and made here where one would be too
//! large for a file.
//!
//! Decides how a case becomes a component of the world `scheduler`. Refuses to know what an agent makes of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldItem};

mod large;

/// One of them.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub component: Vec<u8>,
    /// Whether it can be put in charge, and does its harm in a decision.
    pub in_charge: bool,
    /// One of these words must be in what the agent says of it.
    pub expected: Vec<String>,
}

/// All of them.
///
/// # Errors
/// When a file is not what it should be.
pub fn cases() -> Result<Vec<Case>> {
    let shape = Shape::read()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/hostile");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wat"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        cases.push(shape.case(&path)?);
    }
    for (name, component, expected) in large::all(&shape)? {
        cases.push(Case {
            name: name.to_owned(),
            component,
            in_charge: false,
            expected: expected.iter().map(|&word| word.to_owned()).collect(),
        });
    }
    Ok(cases)
}

/// The one of this name that is in a file.
///
/// # Errors
/// When there is none, or it is not what it should be.
pub fn case(name: &str) -> Result<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/hostile");
    Shape::read()?.case(&folder.join(format!("{name}.wat")))
}

/// What a scheduler looks like.
struct Shape {
    contract: Resolve,
    world: wit_parser::WorldId,
    /// Its functions: names, parameters and results as text.
    functions: Vec<(String, String)>,
}

impl Shape {
    /// The one in a file.
    fn case(&self, path: &Path) -> Result<Case> {
        let text = fs::read_to_string(path)?;
        let shown = || format!("`{}`", path.display());
        let said = |what: &str| {
            let marked = format!(";; {what}: ");
            text.lines().find_map(|line| line.strip_prefix(&marked))
        };
        let expected = said("expect").with_context(shown)?;
        Ok(Case {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            component: self.component(&text).with_context(shown)?,
            in_charge: said("at") == Some("route"),
            expected: vec![expected.to_owned()],
        })
    }

    fn read() -> Result<Self> {
        let mut contract = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (package, _) = contract.push_dir(wit)?;
        let world = contract.select_world(&[package], Some("scheduler"))?;
        let mut functions = Vec::new();
        let scheduler = contract.worlds.get(world).context("no world")?;
        for (key, item) in &scheduler.exports {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let interface = contract.name_world_key(key);
            let policy = contract.interfaces.get(*id).context("no interface")?;
            for (name, function) in &policy.functions {
                let signature = contract.wasm_signature(AbiVariant::GuestExport, function);
                let list = |word: &str, types: &[WasmType]| {
                    types.iter().fold(String::new(), |mut text, kind| {
                        // Writing to a string cannot fail.
                        let _ = write!(text, " ({word} {})", spelled(*kind));
                        text
                    })
                };
                let all = list("param", &signature.params) + &list("result", &signature.results);
                functions.push((format!("{interface}#{name}"), all));
            }
        }
        Ok(Self {
            contract,
            world,
            functions,
        })
    }

    /// A component of the parts of a core module, and of what a scheduler cannot be without.
    fn component(&self, parts: &str) -> Result<Vec<u8>> {
        let observe = self
            .functions
            .iter()
            .find(|(name, _)| name.ends_with("#observe"));
        let observe = observe.map(|(_, types)| types.as_str()).unwrap_or_default();
        let mut text = format!("(module {}", parts.replace("OBSERVE", observe));
        if !text.contains("(export \"memory\")") {
            text += "(memory (export \"memory\") 16)";
        }
        if !text.contains("(export \"cabi_realloc\")") {
            text += REALLOC;
        }
        for (name, types) in &self.functions {
            if !text.contains(&format!("(export \"{name}\")")) {
                let end = if types.contains("result") {
                    "unreachable"
                } else {
                    ""
                };
                write!(text, "(func (export \"{name}\"){types} {end})")?;
            }
        }
        text += ")";
        self.encode(wat::parse_str(&text)?)
    }

    fn encode(&self, mut module: Vec<u8>) -> Result<Vec<u8>> {
        embed_component_metadata(
            &mut module,
            &self.contract,
            self.world,
            StringEncoding::UTF8,
        )?;
        let encoder = ComponentEncoder::default().validate(false);
        encoder.module(&module)?.encode()
    }
}

/// Gives out room from 64 KiB on and takes none back.
const REALLOC: &str = "(global $room (mut i32) (i32.const 65536))
(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $room) (i32.const 15)) (i32.const -16)))
  (global.set $room (i32.add (local.get $at) (local.get 3)))
  (local.get $at))";

fn spelled(kind: WasmType) -> &'static str {
    match kind {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}
