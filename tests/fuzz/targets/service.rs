//! Every function that an adapter or notifier imports of us, and the building of requests, called with anything in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::host::fuzzed::service_calls;

fuzz_target!(|bytes: &[u8]| service_calls(bytes));
