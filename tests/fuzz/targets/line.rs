//! A line that a plugin writes: however it looks, it stays one line of bounded length that moves no cursor.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::host::printable;
use skep::limits::LOG_LINE_BYTES;

fuzz_target!(|text: &str| {
    let line = printable(text);
    assert!(line.len() <= LOG_LINE_BYTES);
    assert!(!line.chars().any(char::is_control));
    // What is harmless already is not changed.
    assert_eq!(printable(&line), line);
});
