//! Asks a file's metadata for the architecture's own keys (`{arch}.block_count`, …) and refuses numbers that no model
//! has, naming the key. Key names are those that llama.cpp's converters write.

use crate::contract::Error;
use crate::error::malformed;
use crate::gguf::{FromValue, Gguf, GgufError, Value};

/// The metadata of one architecture.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    gguf: &'a Gguf,
    arch: &'a str,
}

impl<'a> Keys<'a> {
    /// Reads which architecture the file is.
    pub fn new(gguf: &'a Gguf) -> Result<Self, GgufError> {
        let arch = gguf.required("general.architecture")?;
        Ok(Self { gguf, arch })
    }

    /// The architecture as the file names it.
    pub fn arch(&self) -> &'a str {
        self.arch
    }

    /// The key's full name.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// The value of a key of the architecture, if it is there.
    pub fn optional<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, GgufError> {
        self.gguf.optional(&self.name(key))
    }

    /// A whole number from 1 to `max`; none if the key is absent.
    pub fn optional_count(&self, key: &str, max: u32) -> Result<Option<u32>, Error> {
        self.optional::<u64>(key)?
            .map(|found| self.count(key, found, max))
            .transpose()
    }

    /// A whole number from 1 to `max`.
    pub fn required_count(&self, key: &str, max: u32) -> Result<u32, Error> {
        self.optional_count(key, max)?
            .ok_or_else(|| GgufError::MissingKey(self.name(key)).into())
    }

    /// One count for all layers or a list with one for each; none if the key is absent.
    pub fn counts(&self, key: &str, layers: u32, max: u32) -> Result<Option<Vec<u32>>, Error> {
        let name = self.name(key);
        let Some(Value::Array(_)) = self.gguf.metadata.get(&name) else {
            let one = self.optional_count(key, max)?;
            return Ok(one.map(|count| vec![count; layers as usize]));
        };
        let list: Vec<u32> = self.gguf.required(&name)?;
        if list.len() != layers as usize {
            return Err(malformed(format!(
                "key `{name}` has {} elements for {layers} layers",
                list.len()
            )));
        }
        list.into_iter()
            .map(|found| self.count(key, found.into(), max))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A finite number above zero; none if the key is absent.
    pub fn positive(&self, key: &str) -> Result<Option<f32>, Error> {
        match self.optional::<f32>(key)? {
            Some(found) if !found.is_finite() || found <= 0.0 => Err(malformed(format!(
                "key `{}` is {found}, expected a number above 0",
                self.name(key)
            ))),
            other => Ok(other),
        }
    }

    /// As `positive`, but 0 means that the key is absent, as some writers have it.
    pub fn positive_or_zero(&self, key: &str) -> Result<Option<f32>, Error> {
        if self.optional::<f32>(key)? == Some(0.0) {
            return Ok(None);
        }
        self.positive(key)
    }

    fn count(&self, key: &str, found: u64, max: u32) -> Result<u32, Error> {
        match u32::try_from(found) {
            Ok(count) if count >= 1 && count <= max => Ok(count),
            _ => Err(malformed(format!(
                "key `{}` is {found}, expected 1 to {max}",
                self.name(key)
            ))),
        }
    }
}
