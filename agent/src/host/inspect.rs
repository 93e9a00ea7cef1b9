//! What a component is, read from its bytes without compiling or running it.
//!
//! Decides which world a component is for, which imports are granted to that world, and which shapes are refused before
//! any compiler sees them.

mod parts;

use sha2::{Digest, Sha256};
use wasmparser::{CanonicalOption, ComponentExternalKind, Encoding, Parser, Payload};

use self::parts::Parts;
use super::runtime::World;
use super::wasi;
use crate::limits::COMPONENT_BYTES;

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// `None` when it exports none of the contract's worlds.
    pub world: Option<World>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub size_bytes: usize,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

/// Why bytes are not a component that could be a plugin.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("it is a core module and not a component: build it for `wasm32-wasip2`")]
    Module,
    #[error("it is not WebAssembly; compiled code of others is never loaded")]
    Foreign,
    #[error("it has {0} bytes; the limit is {COMPONENT_BYTES}")]
    TooLarge(usize),
    #[error("it passes text in another encoding than UTF-8")]
    Encoding,
    #[error("it has more than {limit} {what}, which no plugin needs")]
    TooMany { what: &'static str, limit: u64 },
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Inspection {
    /// The imports that its world does not grant.
    #[must_use]
    pub fn ungranted(&self) -> Vec<&str> {
        let granted = |name: &str| self.world.is_some_and(|world| is_granted(world, name));
        self.imports
            .iter()
            .map(String::as_str)
            .filter(|name| !granted(name))
            .collect()
    }
}

/// Reads a component's outer shape.
///
/// # Errors
/// See [`InspectError`].
pub fn inspect(component: &[u8]) -> Result<Inspection, InspectError> {
    if component.len() > COMPONENT_BYTES {
        return Err(InspectError::TooLarge(component.len()));
    }
    if !component.starts_with(b"\0asm") {
        return Err(InspectError::Foreign);
    }
    let mut depth = 0_usize;
    let mut parts = Parts::default();
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(damaged)?;
        parts.count(&payload)?;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => return Err(InspectError::Module),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    if export.kind == ComponentExternalKind::Instance
                        || export.kind == ComponentExternalKind::Func
                    {
                        exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    check_encoding(&function.map_err(damaged)?)?;
                }
            }
            _ => {}
        }
    }
    let world = World::ALL
        .into_iter()
        .find(|world| exports.iter().any(|export| export == world.export()));
    Ok(Inspection {
        world,
        imports,
        exports,
        size_bytes: component.len(),
        digest: hex(&Sha256::digest(component)),
    })
}

/// Whether a component of this world may import an interface of this name.
pub(super) fn is_granted(world: World, import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else {
        return false;
    };
    let ours: &[&str] = match world {
        World::Engine => &[
            "skep:plugin/types",
            "skep:plugin/log",
            "skep:plugin/files",
            "skep:plugin/compute",
            "skep:plugin/model-types",
        ],
        // A function of its inputs alone: not even types are imported that could lead to functions.
        World::Scheduler => &["skep:plugin/scheduler-types"],
        World::Upstream => &[
            "skep:plugin/types",
            "skep:plugin/log",
            "skep:plugin/secrets",
            "skep:plugin/model-types",
        ],
        World::Notifier => &[
            "skep:plugin/types",
            "skep:plugin/log",
            "skep:plugin/secrets",
            "skep:plugin/mail",
        ],
        // As for schedulers: a plan is a function of facts and answers.
        World::Installer => &["skep:plugin/install-types"],
    };
    let wasi: &[&[&str]] = match world {
        World::Engine => &[wasi::INTERFACES],
        World::Scheduler | World::Installer => &[],
        World::Upstream | World::Notifier => &[wasi::INTERFACES, HTTP],
    };
    (version == "0.1.0" && ours.contains(&interface))
        || (version.starts_with("0.2.") && wasi.iter().any(|names| names.contains(&interface)))
}

/// What services reach others with. There is nobody whom they answer.
const HTTP: &[&str] = &["wasi:http/types", "wasi:http/outgoing-handler"];

/// Text in UTF-16 has had three advisories in a year and nobody needs it.
fn check_encoding(function: &wasmparser::CanonicalFunction) -> Result<(), InspectError> {
    let (wasmparser::CanonicalFunction::Lift { options, .. }
    | wasmparser::CanonicalFunction::Lower { options, .. }) = function
    else {
        return Ok(());
    };
    let foreign = |option: &CanonicalOption| {
        matches!(
            option,
            CanonicalOption::UTF16 | CanonicalOption::CompactUTF16
        )
    };
    if options.iter().any(foreign) {
        Err(InspectError::Encoding)
    } else {
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn damaged(error: wasmparser::BinaryReaderError) -> InspectError {
    InspectError::Damaged(error.to_string())
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
