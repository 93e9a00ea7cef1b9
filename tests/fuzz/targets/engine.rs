//! Every function that an engine imports of us, called with anything in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::host::fuzzed::engine_calls;

fuzz_target!(|bytes: &[u8]| engine_calls(bytes));
