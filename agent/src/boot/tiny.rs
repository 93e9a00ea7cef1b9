//! The model inside this binary, for trying, self-test and demonstrations.

use super::StartError;
use crate::models::{Catalogue, Digest, ModelName};

/// Puts the embedded model among the others, under its name, unless it is there already.
pub(super) fn materialise(catalogue: &Catalogue) -> Result<(), StartError> {
    let (Ok(name), Ok(digest)) = (NAME.parse::<ModelName>(), SHA256.parse::<Digest>()) else {
        // Both are constants that a test has parsed.
        return Ok(());
    };
    catalogue.ensure_embedded(&name, BYTES, digest)?;
    Ok(())
}

/// What clients call it.
const NAME: &str = "tiny";

/// The model's file.
pub(crate) static BYTES: &[u8] = include_bytes!("../../assets/tiny/skep-tiny-q8_0.gguf");

/// Of the bytes, told by `build.rs`.
const SHA256: &str = env!("SKEP_TINY_SHA256");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_digest_are_right() {
        NAME.parse::<ModelName>().unwrap();
        assert_eq!(SHA256.parse::<Digest>().unwrap(), Digest::of(BYTES));
    }
}
