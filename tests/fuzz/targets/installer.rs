//! Descriptions, questions, proposals and findings of steps, as far as what is shown, carried out and asked of the helper.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::host::fuzzed::step_answers;

fuzz_target!(|bytes: &[u8]| step_answers(bytes));
