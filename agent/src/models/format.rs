//! Whether a file can be a model at all, judged by its first bytes.
//!
//! Decides which formats are taken in, and what to say of the others. Refuses to read further:
//! the rest of the file is for the sandbox.

use std::fmt;

/// A format that engines of this version open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GGUF, version 2 or 3, little-endian.
    Gguf,
}

/// Why a file is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Another format, which is recognised.
    #[error("this is {0}, not a GGUF file")]
    Other(&'static str),
    /// A version of GGUF that engines do not read.
    #[error("this is a GGUF file of version {0}; versions 2 and 3 can be read")]
    Version(u32),
    /// Nothing that is known.
    #[error("this is not a GGUF file: it does not begin with `GGUF`")]
    Unknown,
    /// Too short to tell.
    #[error("this is not a GGUF file: it has only {0} bytes")]
    Short(u64),
}

/// As many bytes of a file as [`Format::of`] wants to see.
pub(super) const HEAD_BYTES: usize = 24;

impl Format {
    /// Judges a file by its first `HEAD_BYTES` bytes, or all of it when it has fewer.
    ///
    /// # Errors
    /// When no engine of this version could open it.
    pub fn of(head: &[u8]) -> Result<Self, FormatError> {
        if let Some(rest) = head.strip_prefix(b"GGUF") {
            let Some(version) = rest.first_chunk::<4>() else {
                return Err(FormatError::Short(head.len() as u64));
            };
            return match u32::from_le_bytes(*version) {
                2 | 3 if head.len() < HEAD_BYTES => Err(FormatError::Short(head.len() as u64)),
                2 | 3 => Ok(Self::Gguf),
                version if matches!(version.swap_bytes(), 1..=3) => {
                    Err(FormatError::Other("a big-endian GGUF file"))
                }
                version => Err(FormatError::Version(version)),
            };
        }
        Err(other(head))
    }

    /// The word that manifests use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
        }
    }

    /// The format that a manifest's word names.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        (word == "gguf").then_some(Self::Gguf)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn other(head: &[u8]) -> FormatError {
    let text = head.trim_ascii_start();
    let starts = |prefix: &[u8]| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    // A safetensors file begins with the length of its header and the header's `{`.
    let safetensors = head.get(8) == Some(&b'{');
    match () {
        () if head.is_empty() => FormatError::Short(0),
        () if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") => {
            FormatError::Other("a web page (an error or a log-in page, perhaps)")
        }
        () if starts(b"version https://git-lfs") => {
            FormatError::Other("a Git LFS pointer instead of the file it points to")
        }
        () if starts(b"PK\x03\x04") => FormatError::Other("a zip archive or a PyTorch file"),
        () if head.starts_with(b"\x80\x02") => FormatError::Other("a Python pickle"),
        () if head.starts_with(b"\x1f\x8b") => FormatError::Other("a gzip archive"),
        () if head.starts_with(b"\x28\xb5\x2f\xfd") => FormatError::Other("a zstd archive"),
        () if head.starts_with(b"ggml")
            || head.starts_with(b"lmgg")
            || head.starts_with(b"tjgg") =>
        {
            FormatError::Other("a model file of the format before GGUF")
        }
        () if safetensors => FormatError::Other("a safetensors file"),
        () if starts(b"{") || starts(b"[") => FormatError::Other("a JSON text"),
        () => FormatError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let gguf = |version: u32| {
            let mut head = b"GGUF".to_vec();
            head.extend(version.to_le_bytes());
            head.resize(HEAD_BYTES, 0);
            head
        };
        assert_eq!(Format::of(&gguf(2)), Ok(Format::Gguf));
        assert_eq!(Format::of(&gguf(3)), Ok(Format::Gguf));
        assert_eq!(Format::of(&gguf(1)), Err(FormatError::Version(1)));
        assert_eq!(Format::of(&gguf(4)), Err(FormatError::Version(4)));
        assert_eq!(Format::of(&gguf(3)[..10]), Err(FormatError::Short(10)));
        assert_eq!(Format::of(b"GGU"), Err(FormatError::Unknown));
        assert!(matches!(
            Format::of(&gguf(3 << 24)),
            Err(FormatError::Other(_))
        ));
        for (head, word) in [
            (&b"\n <!DOCTYPE html><html>"[..], "web page"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"PK\x03\x04rest", "zip"),
            (b"{\"error\":1}", "JSON"),
            (b"\x10\0\0\0\0\0\0\0{\"a\":", "safetensors"),
            (b"", "0 bytes"),
            (b"what is this", "not a GGUF"),
        ] {
            let message = Format::of(head).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
