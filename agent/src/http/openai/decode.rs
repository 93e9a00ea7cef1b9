//! JSON into a request's type, and a refusal that names the field when it does not fit.
//!
//! The fast pass knows no names. Only when it fails is the body read again, slowly, to tell where.

use serde::Deserialize;
use serde_json::error::Category;

use crate::http::error::ApiError;
use crate::json;

/// Reads a body as `T`.
pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    // Structs can also be read from lists, which no client means.
    match body.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(_) => return Err(not_json("it must be a JSON object")),
        None => return Err(not_json("it is empty; it must be a JSON object")),
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => name_the_field::<T>(body, &error),
        Category::Syntax | Category::Eof | Category::Io => not_json(&error.to_string()),
    })
}

fn not_json(why: &str) -> ApiError {
    ApiError::bad_request(format!("the body is not valid JSON: {why}")).with_code("invalid_json")
}

fn name_the_field<'a, T: Deserialize<'a>>(body: &'a [u8], error: &serde_json::Error) -> ApiError {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(named) => (named.path().to_string(), named.inner().to_string()),
        // The two passes disagree only if a type reads differently twice.
        Ok(_) => (".".to_owned(), error.to_string()),
    };
    let message = json::plain(&error);
    if path != "." {
        return ApiError::invalid(path.clone(), format!("`{path}`: {message}"));
    }
    // A field that is missing or doubled is named in backticks, as serde has it.
    let named = error
        .split_once("field `")
        .and_then(|(_, rest)| rest.split_once('`'))
        .map(|(name, _)| name.to_owned());
    match named {
        Some(field) => ApiError::invalid(field, message),
        None => ApiError::bad_request(message),
    }
}
