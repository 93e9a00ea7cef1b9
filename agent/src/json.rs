//! Reading JSON that people or programs of theirs wrote. Decides how a mistake in it is told: by the field, in words that need no Rust.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Reads one value.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        let text = plain(&error.to_string());
        if error.classify() != Category::Data {
            return text;
        }
        // Where a name was not expected, the name says more than the place.
        let text = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(text, _)| text);
        match path.as_str() {
            "." => text.to_owned(),
            path => format!("`{path}`: {text}"),
        }
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// serde's words without Rust's names for numbers and structs.
pub(crate) fn plain(error: &str) -> String {
    let mut text = error.to_owned();
    for (rust, plain) in [
        ("expected u8", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0"),
        ("expected u64", "expected a whole number from 0"),
        ("expected i64", "expected a whole number"),
        ("expected f32", "expected a number"),
        ("expected f64", "expected a number"),
    ] {
        text = text.replace(rust, plain);
    }
    // Where a struct is expected, its name means nothing to a client.
    if let Some((before, rest)) = text.split_once("expected struct ") {
        let after = rest
            .find(" at line")
            .and_then(|at| rest.get(at..))
            .unwrap_or_default();
        text = format!("{before}expected an object{after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        count: u32,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Outer {
        inner: Inner,
    }

    #[test]
    fn a_mistake_is_told_by_its_field() {
        let told = |text: &str| read::<Outer>(text.as_bytes()).unwrap_err();
        let right = read::<Outer>(br#"{"inner": {"count": 3}}"#);
        assert_eq!(right.unwrap().inner, Inner { count: 3 });
        let negative = told(r#"{"inner": {"count": -1}}"#);
        assert!(
            negative.starts_with("`inner.count`: invalid value"),
            "{negative}"
        );
        assert!(negative.contains("whole number from 0") && !negative.contains("line"));
        assert_eq!(told(r#"{"inner": {}}"#), "`inner`: missing field `count`");
        assert_eq!(told("{}"), "missing field `inner`");
        let unknown = told(r#"{"inner": {"count": 1, "more": 2}}"#);
        assert!(unknown.contains("unknown field `more`"), "{unknown}");
        assert!(told(r#"{"inner": 4}"#).contains("expected an object"));
        for cut in ["", "{", r#"{"inner": {"count": 3}} x"#] {
            assert!(told(cut).contains("line 1"), "{cut}: {}", told(cut));
        }
    }
}
