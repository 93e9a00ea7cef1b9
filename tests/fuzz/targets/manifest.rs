//! A manifest: in a component, as JSON and as TOML. One that is taken survives being put into a component and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::plugins::manifest::{Manifest, embed, extract};

/// A component with nothing in it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fuzz_target!(|bytes: &[u8]| {
    // A damaged one is an error.
    let _ = extract(bytes);
    let mut found = Manifest::from_json(bytes).ok();
    if let Ok(text) = std::str::from_utf8(bytes) {
        found = found.or_else(|| Manifest::from_toml(text).ok());
    }
    if let Some(manifest) = found
        && let Ok(component) = embed(EMPTY, &manifest)
    {
        assert_eq!(extract(&component).ok(), Some(manifest));
    }
});
