//! Values as TOML has them, for [`super::Plan::set`].

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// A text, quoted.
#[must_use]
pub fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of texts.
#[must_use]
pub fn texts<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|one| text(one.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// A whole number.
#[must_use]
pub fn number(number: i64) -> String {
    number.to_string()
}

/// `true` or `false`.
#[must_use]
pub fn flag(flag: bool) -> String {
    flag.to_string()
}
