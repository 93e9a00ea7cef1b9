//! Hand-made files, one fault each; the real model cut at every byte and with single bits flipped.

use std::cell::Cell;

use super::*;

/// Writes the parts of a GGUF file, right or wrong.
#[derive(Clone)]
struct Writer(Vec<u8>);

impl Writer {
    fn new(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(self, number: u32) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn text(self, text: impl AsRef<[u8]>) -> Self {
        let bytes = text.as_ref();
        self.u64(bytes.len() as u64).raw(bytes)
    }

    /// A key with a u32 value.
    fn key(self, name: &str, value: u32) -> Self {
        self.text(name).u32(4).u32(value)
    }

    fn tensor(self, name: &str, shape: &[i64], kind: u32, offset: u64) -> Self {
        let start = self.text(name).u32(shape.len() as u32);
        shape
            .iter()
            .fold(start, |writer, &dim| writer.u64(dim.cast_unsigned()))
            .u32(kind)
            .u64(offset)
    }

    /// Pads to 32 and adds `length` bytes of data.
    fn data(mut self, length: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + length, 0);
        self.0
    }
}

fn check(bytes: impl AsRef<[u8]>, expected: &str) {
    let found = match Gguf::parse(bytes.as_ref()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

fn one_key(rest: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
    rest(Writer::new(3, 0, 1)).data(0)
}

fn one_tensor(shape: &[i64], kind: u32, offset: u64) -> Vec<u8> {
    Writer::new(3, 1, 0)
        .tensor("t", shape, kind, offset)
        .data(1024)
}

#[test]
fn refuses_bad_start() {
    check(
        b"",
        "the file is cut off: it ends at byte 0 inside the file's first fields; fetch it again",
    );
    check(
        b"GGML\x03\0\0\0",
        "not a GGUF file: it starts with `GGML` instead of `GGUF`",
    );
    check(
        b"PK\x03\x04\x03\0\0\0",
        r"not a GGUF file: it starts with `PK\x03\x04` instead of `GGUF`",
    );
    for version in [0, 1, 4, 255, u32::MAX] {
        check(
            Writer::new(version, 0, 0).0,
            &format!(
                "GGUF version {version} is not supported (2 and 3 are); convert the model again with a current converter"
            ),
        );
    }
    check(
        Writer::new(3_u32.swap_bytes(), 0, 0).0,
        "the file is big-endian, which is not supported; convert the model to little-endian",
    );
    check(
        Writer::new(3, u64::MAX, 0).0,
        "the file declares 18446744073709551615 tensors, more than the 65536 allowed",
    );
    check(
        Writer::new(3, 0, u64::MAX).0,
        "the file declares 18446744073709551615 keys, more than the 16384 allowed",
    );
    check(
        Writer::new(3, 0, 10_000_000).0,
        "the file declares 10000000 keys, more than the 16384 allowed",
    );
    check(Writer::new(2, 0, 0).0, "accepted");
    check(Writer::new(3, 0, 0).0, "accepted");
}

#[test]
fn refuses_bad_keys() {
    check(
        one_key(|w| w.u64(u64::MAX)),
        "the name of key 0 has a text of 18446744073709551615 bytes, more than the 65535 allowed",
    );
    check(
        one_key(|w| w.text("").u32(4).u32(1)),
        "the name of key 0 has a text that is empty",
    );
    check(
        one_key(|w| w.text("a\0b").u32(4).u32(1)),
        "the name of key 0 has a text that contains a NUL byte",
    );
    check(
        one_key(|w| w.text(b"\xff").u32(4).u32(1)),
        "the name of key 0 has a text that is not valid UTF-8",
    );
    check(
        one_key(|w| w.text("k".repeat(65_536))),
        "the name of key 0 has a text of 65536 bytes, more than the 65535 allowed",
    );
    check(
        one_key(|w| w.text("k").u32(13).u64(0)),
        "key `k` has unknown value type 13",
    );
    check(
        Writer::new(3, 0, 2).key("k", 1).key("k", 1).0,
        "key `k` appears twice",
    );
    check(
        one_key(|w| w.text("k").u32(7).raw(&[2])),
        "key `k` has a boolean of value 2, expected 0 or 1",
    );
    check(
        Writer::new(3, 0, 1)
            .text("k")
            .u32(8)
            .u64(1 << 20)
            .raw(b"short")
            .0,
        "the file is cut off: it ends at byte 50 inside the value of key `k`; fetch it again",
    );
    check(
        one_key(|w| w.text("k").u32(8).u64(u64::MAX)),
        "the value of key `k` has a text of 18446744073709551615 bytes, more than the 8388608 allowed",
    );
    check(
        one_key(|w| w.text("k").u32(8).text(b"\xc3")),
        "the value of key `k` has a text that is not valid UTF-8",
    );
    check(
        one_key(|w| w.text("k").u32(8).text("\0")),
        "the value of key `k` has a text that contains a NUL byte",
    );
}

#[test]
fn refuses_bad_arrays() {
    check(
        one_key(|w| w.text("k").u32(9).u32(9).u64(1)),
        "key `k` is an array of arrays, which is not supported",
    );
    check(
        one_key(|w| w.text("k").u32(9).u32(99).u64(0)),
        "key `k` has unknown value type 99",
    );
    for (kind, count) in [
        (4, 1 << 62),
        (12, u64::MAX / 8 + 2),
        (0, u64::MAX),
        (8, 1_000),
        (6, 1_000),
    ] {
        check(
            one_key(|w| w.text("k").u32(9).u32(kind).u64(count)),
            &format!(
                "key `k` declares an array of {count} elements, more than the rest of the file could hold"
            ),
        );
    }
    check(
        one_key(|w| w.text("k").u32(9).u32(7).u64(2).raw(&[1, 7])),
        "key `k` has a boolean of value 7, expected 0 or 1",
    );
    // Tokens need not be valid UTF-8.
    let file = one_key(|w| {
        w.text("k")
            .u32(9)
            .u32(8)
            .u64(3)
            .text(b"\xff\0")
            .text("")
            .text("z")
    });
    let gguf = Gguf::parse(&file[..]).unwrap();
    let tokens: &Strings = gguf.required("k").unwrap();
    assert_eq!(
        tokens.iter().collect::<Vec<_>>(),
        [&b"\xff\0"[..], b"", b"z"]
    );
}

#[test]
fn refuses_bad_alignment() {
    for alignment in [0, 3, 48, u32::MAX, 1 << 30] {
        check(
            one_key(|w| w.key("general.alignment", alignment)),
            &format!("alignment {alignment} is not a power of two of at most 2097152"),
        );
    }
    check(
        one_key(|w| w.text("general.alignment").u32(8).text("32")),
        "key `general.alignment` is a string, expected u32",
    );
    check(
        one_key(|w| w.text("general.alignment").u32(10).u64(32)),
        "key `general.alignment` is the integer 32, expected u32",
    );
    // Written for 32, declared as 64.
    let file = Writer::new(3, 2, 1)
        .key("general.alignment", 64)
        .tensor("a", &[8], 0, 0)
        .tensor("b", &[8], 0, 32)
        .data(128);
    check(
        file,
        "tensor `b` is at offset 32, not a multiple of the alignment 64",
    );
}

#[test]
fn refuses_bad_tensors() {
    let long = "n".repeat(65);
    check(
        Writer::new(3, 1, 0).tensor(&long, &[1], 0, 0).data(64),
        "the name of tensor 0 has a text of 65 bytes, more than the 64 allowed",
    );
    check(
        Writer::new(3, 1, 0).tensor("", &[1], 0, 0).data(64),
        "the name of tensor 0 has a text that is empty",
    );
    check(
        one_tensor(&[1; 5], 0, 0),
        "tensor `t` has 5 dimensions, more than the 4 allowed",
    );
    check(
        Writer::new(3, 1, 0).text("t").u32(u32::MAX).data(64),
        "tensor `t` has 4294967295 dimensions, more than the 4 allowed",
    );
    check(
        one_tensor(&[-1], 0, 0),
        "tensor `t` has a negative dimension: -1",
    );
    check(one_tensor(&[0], 0, 0), "accepted");
    check(one_tensor(&[32, 0, 2], 8, 0), "accepted");
    check(one_tensor(&[], 0, 0), "accepted");
    let huge = 1 << 32;
    check(
        one_tensor(&[huge, huge], 0, 0),
        "tensor `t` has more elements than can be counted: [4294967296, 4294967296]",
    );
    check(
        one_tensor(&[huge, huge, 0], 0, 0),
        "tensor `t` has more elements than can be counted: [4294967296, 4294967296, 0]",
    );
    check(
        one_tensor(&[i64::MAX], 0, 0),
        "tensor `t` has more bytes than can be counted: 9223372036854775807 elements of F32",
    );
    check(
        one_tensor(&[33], 8, 0),
        "tensor `t` has rows of 33 elements, not a multiple of the 32 in a block of Q8_0",
    );
    for kind in [4, 31, 36, 42, u32::MAX] {
        check(
            one_tensor(&[256], kind, 0),
            &format!("tensor `t` has unknown type {kind}"),
        );
    }
    check(
        one_tensor(&[8], 0, 1),
        "tensor `t` is at offset 1, not a multiple of the alignment 32",
    );
    check(
        one_tensor(&[8], 0, u64::MAX - 31),
        "tensor `t` is at offset 18446744073709551584, which is beyond any file",
    );
    check(
        Writer::new(3, 2, 0)
            .tensor("t", &[1], 0, 0)
            .tensor("t", &[1], 0, 32)
            .data(64),
        "tensor `t` appears twice",
    );
}

#[test]
fn refuses_bad_ranges() {
    check(one_tensor(&[256], 0, 0), "accepted");
    check(
        one_tensor(&[257], 0, 0),
        "tensor `t` needs bytes 64 to 1092, but the file ends at 1088; fetch it again",
    );
    check(
        one_tensor(&[8], 0, 1 << 40),
        "tensor `t` needs bytes 1099511627840 to 1099511627872, but the file ends at 1088; fetch it again",
    );
    check(
        Writer::new(3, 2, 0)
            .tensor("a", &[64], 0, 0)
            .tensor("b", &[8], 0, 32)
            .data(512),
        "tensors `a` and `b` overlap",
    );
    check(
        Writer::new(3, 2, 0)
            .tensor("a", &[8], 0, 0)
            .tensor("b", &[8], 0, 0)
            .data(512),
        "tensors `a` and `b` overlap",
    );
    // Two tensors whose lengths add up to more than 64 bits hold.
    let most = 0x7fff_ffff_ffff_ffc0;
    check(
        Writer::new(3, 2, 0)
            .tensor("a", &[most], 24, 0)
            .tensor("b", &[most], 24, most.cast_unsigned())
            .data(512),
        "tensor `a` needs bytes 96 to 9223372036854775840, but the file ends at 608; fetch it again",
    );
}

#[test]
fn names_the_key_in_typed_answers() {
    let file = Writer::new(3, 1, 2)
        .text("name")
        .u32(8)
        .text("bee")
        .key("count", 300)
        .tensor("w", &[256], 10, 0)
        .data(84);
    let gguf = Gguf::parse(&file[..]).unwrap();
    assert_eq!(gguf.required::<u32>("count"), Ok(300));
    assert_eq!(gguf.required::<usize>("count"), Ok(300));
    assert_eq!(gguf.optional::<u32>("absent"), Ok(None));
    let text = |error: GgufError| error.to_string();
    assert_eq!(
        text(gguf.required::<u32>("absent").unwrap_err()),
        "missing key `absent`"
    );
    assert_eq!(
        text(gguf.required::<u32>("name").unwrap_err()),
        "key `name` is a string, expected u32"
    );
    assert_eq!(
        text(gguf.required::<u8>("count").unwrap_err()),
        "key `count` is the integer 300, expected u8"
    );
    assert_eq!(
        text(gguf.required::<&str>("count").unwrap_err()),
        "key `count` is the integer 300, expected string"
    );
    assert_eq!(text(gguf.tensor("x").unwrap_err()), "missing tensor `x`");
    assert_eq!(
        text(gguf.tensor("w").unwrap_err()),
        "tensor `w` has unsupported type Q2_K; supported are F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K"
    );
}

/// Counts what is read, so that a declared length alone can be shown to cost nothing.
struct Counting<'a> {
    bytes: &'a [u8],
    read: Cell<u64>,
}

impl Source for Counting<'_> {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        self.read.set(self.read.get() + length as u64);
        self.bytes.read(offset, length)
    }
}

/// A file shaped like a small model: every value type, arrays, tensors of several types.
fn small_model() -> Vec<u8> {
    let mut writer = Writer::new(3, 3, 6)
        .text("general.architecture")
        .u32(8)
        .text("llama")
        .key("llama.block_count", 2)
        .text("flag")
        .u32(7)
        .raw(&[1])
        .text("tokenizer.ggml.scores")
        .u32(9)
        .u32(6)
        .u64(100);
    for index in 0..100 {
        writer = writer.raw(&(index as f32).to_le_bytes());
    }
    writer = writer.text("tokenizer.ggml.tokens").u32(9).u32(8).u64(100);
    for index in 0..100 {
        writer = writer.text(format!("token {index}"));
    }
    writer
        .text("wide")
        .u32(11)
        .u64(u64::MAX)
        .tensor("token_embd.weight", &[64, 4], 1, 0)
        .tensor("blk.0.attn_q.weight", &[64, 2], 8, 512)
        .tensor("norm", &[64], 0, 672)
        .data(928)
}

#[test]
fn every_cut_is_an_error() {
    let file = small_model();
    assert!(Gguf::parse(&file[..]).is_ok());
    for end in 0..file.len() {
        assert!(
            Gguf::parse(&file[..end]).is_err(),
            "accepted the first {end} bytes"
        );
    }
}

#[test]
fn flipped_bits_neither_panic_nor_read_without_end() {
    let file = small_model();
    let header = Gguf::parse(&file[..]).unwrap().data_offset;
    for bit in 0..header * 8 {
        let mut damaged = file.clone();
        damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
        let source = Counting {
            bytes: &damaged,
            read: Cell::new(0),
        };
        let outcome = Gguf::parse(&source);
        assert!(source.read.get() <= file.len() as u64);
        if let Ok(gguf) = outcome {
            for info in gguf.tensors.values() {
                assert!(
                    info.offset + info.length_bytes <= file.len() as u64 || info.length_bytes == 0
                );
            }
        }
    }
}

fn tiny() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../agent/assets/tiny/skep-tiny-q8_0.gguf"
    );
    std::fs::read(path).unwrap()
}

#[test]
fn the_tiny_model_parses() {
    let file = tiny();
    let source = Counting {
        bytes: &file,
        read: Cell::new(0),
    };
    let gguf = Gguf::parse(&source).unwrap();
    assert!(source.read.get() < gguf.data_offset + CHUNK_BYTES as u64);
    assert_eq!(gguf.required("general.architecture"), Ok("llama"));
    assert_eq!(gguf.required::<u32>("llama.block_count"), Ok(4));
    assert_eq!(
        gguf.required::<&Strings>("tokenizer.ggml.tokens")
            .unwrap()
            .len(),
        4096
    );
    let embedding = gguf.tensor("token_embd.weight").unwrap();
    assert_eq!(embedding.dtype("token_embd.weight"), Ok(DType::Q8_0));
    assert_eq!(embedding.shape_row_major(), [4096, 256]);
    assert_eq!(embedding.length_bytes, 4096 * 256 / 32 * 34);
    let end = gguf
        .tensors
        .values()
        .map(|info| info.offset + info.length_bytes)
        .max();
    assert_eq!(end, Some(file.len() as u64));
}

#[test]
fn the_tiny_model_cut_or_flipped_anywhere_is_contained() {
    let file = tiny();
    let header = Gguf::parse(&file[..]).unwrap().data_offset as usize;
    // Every byte at both ends of the header; in between are like after like, so every 199th.
    let cuts = (0..400)
        .chain((400..header - 400).step_by(199))
        .chain(header - 400..=header);
    for end in cuts {
        assert!(
            Gguf::parse(&file[..end]).is_err(),
            "accepted the first {end} bytes"
        );
    }
    let mut damaged = file.clone();
    for step in 0..1_000 {
        // A prime far from a power of two spreads the flips over the whole header.
        let bit = step * 104_729 % (header * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        let source = Counting {
            bytes: &damaged,
            read: Cell::new(0),
        };
        if let Ok(gguf) = Gguf::parse(&source) {
            let inside = |info: &TensorInfo| info.offset + info.length_bytes <= file.len() as u64;
            assert!(gguf.tensors.values().all(inside));
        }
        // What is left of a chunk is read again with the next, so never more than twice.
        assert!(source.read.get() <= 2 * file.len() as u64);
        damaged[bit / 8] = file[bit / 8];
    }
}

#[test]
fn a_source_that_delivers_less_than_it_promises_is_cut_off() {
    struct Shrinking;
    impl Source for Shrinking {
        fn size_bytes(&self) -> u64 {
            1 << 60
        }
        fn read(&self, _: u64, length: usize) -> Result<Vec<u8>, ReadError> {
            Ok(vec![b'G'; length - 1])
        }
    }
    let error = Gguf::parse(&Shrinking).unwrap_err();
    assert!(matches!(error, GgufError::Truncated { .. }), "{error}");
}
