//! The manifest inside of a component: a custom section at the top level.
//!
//! A component is eight bytes that say so and then sections: a byte for the kind (0: custom), the length, the content; a custom one
//! begins with its name. Nested modules and components are sections, too, so their insides are never looked at.

use std::ops::Range;

use super::{Manifest, ManifestError};

/// What the section is called.
const NAME: &[u8] = b"skep:manifest";

/// The magic number, version 13 and layer 1 (a core module has version 1 and layer 0).
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// One section that is a manifest.
struct Found {
    whole: Range<usize>,
    content: Range<usize>,
}

/// The component with this manifest and no other.
///
/// # Errors
/// When it is no component, or the manifest is wrong.
pub fn embed(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, ManifestError> {
    manifest.check()?;
    let json = serde_json::to_vec(manifest)
        .map_err(|error| ManifestError::Malformed(error.to_string()))?;
    let mut made = Vec::with_capacity(component.len() + json.len() + 32);
    let mut copied = 0;
    for found in manifests(component)? {
        made.extend_from_slice(component.get(copied..found.whole.start).unwrap_or_default());
        copied = found.whole.end;
    }
    made.extend_from_slice(component.get(copied..).unwrap_or_default());
    let mut content = Vec::with_capacity(json.len() + NAME.len() + 1);
    put_length(&mut content, NAME.len());
    content.extend_from_slice(NAME);
    content.extend_from_slice(&json);
    made.push(0);
    put_length(&mut made, content.len());
    made.extend_from_slice(&content);
    Ok(made)
}

/// The manifest that a component carries.
///
/// # Errors
/// See [`ManifestError`].
pub fn extract(component: &[u8]) -> Result<Manifest, ManifestError> {
    match manifests(component)?.as_slice() {
        [] => Err(ManifestError::Absent),
        [found] => Manifest::from_json(component.get(found.content.clone()).unwrap_or_default()),
        _ => Err(ManifestError::Twice),
    }
}

fn manifests(component: &[u8]) -> Result<Vec<Found>, ManifestError> {
    if !component.starts_with(COMPONENT) {
        return Err(ManifestError::Component(
            "build it for `wasm32-wasip2`".to_owned(),
        ));
    }
    let cut = || ManifestError::Component("it is cut off or damaged".to_owned());
    let mut found = Vec::new();
    let mut at = COMPONENT.len();
    while let Some(&kind) = component.get(at) {
        let start = at;
        let (length, content) = length(component, at + 1).ok_or_else(cut)?;
        let end = content.checked_add(length).ok_or_else(cut)?;
        let inside = component.get(content..end).ok_or_else(cut)?;
        at = end;
        if kind != 0 {
            continue;
        }
        let (name_length, name_start) = self::length(inside, 0).ok_or_else(cut)?;
        let name_end = name_start.checked_add(name_length).ok_or_else(cut)?;
        if inside.get(name_start..name_end).ok_or_else(cut)? == NAME {
            found.push(Found {
                whole: start..end,
                content: content + name_end..end,
            });
        }
    }
    Ok(found)
}

/// An unsigned LEB128 number of 32 bits at `at`, and where it ends.
fn length(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for index in 0..5 {
        let byte = *bytes.get(at + index)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, at + index + 1));
        }
    }
    None
}

fn put_length(into: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    loop {
        let byte = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            into.push(byte);
            return;
        }
        into.push(byte | 0x80);
    }
}
