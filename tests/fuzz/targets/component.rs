//! Bytes that somebody says are a component: the look at them neither panics nor believes what is not there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::host::inspect;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = inspect(bytes) {
        assert_eq!(found.size_bytes, bytes.len());
        // What is not granted is one of what is imported.
        assert!(found.ungranted().len() <= found.imports.len());
        if found.world.is_none() {
            assert_eq!(found.ungranted().len(), found.imports.len());
        }
    }
});
