//! Every bound of the GGUF parser, with its reason. All are far above any published model and far below what would
//! hurt the guest, whose whole memory is at most 4 GiB.

/// Keys in a file. Published models have about 50; a list of ten million is an attack on the map that holds them.
pub const KEYS_MAX: u64 = 16_384;
/// Tensors in a file. The largest published models have a few thousand.
pub const TENSORS_MAX: u64 = 65_536;
/// Bytes of the header. A vocabulary of 262,144 tokens with its merges takes about 12 MB.
pub const HEADER_BYTES_MAX: u64 = 128 << 20;
/// Bytes of one key: the specification's own bound.
pub const KEY_BYTES_MAX: u64 = 65_535;
/// Bytes of one string value. The longest in use are chat templates and licences, well under 1 MiB.
pub const STRING_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a tensor's name: the specification's own bound.
pub const NAME_BYTES_MAX: u64 = 64;
/// Dimensions of a tensor: the specification's own bound today.
pub const DIMS_MAX: usize = 4;
/// Largest alignment. Files use 32; more than a huge page would only serve to overflow sums.
pub const ALIGNMENT_MAX: u32 = 2 << 20;
/// How much is read at a time: few calls for a 10 MB header, little waste for a small one.
pub const CHUNK_BYTES: usize = 256 << 10;
