//! Every bound of the compute half, with its reason.
//!
//! Decides how large a request may be before it is refused; refuses to know who asks.
//! Sizes come from plugins and model files, so a number beyond these is an error, never a panic.

/// Ops in one graph: the deepest public decoders have some 128 layers of about 30 ops.
pub const MAX_OPS: usize = 16_384;

/// Weights given to one graph: a name per op and a few for biases.
pub const MAX_WEIGHTS: usize = 32_768;

/// Columns of a value: the widest are logits over vocabularies of about 262,144.
pub const MAX_WIDTH: u32 = 1 << 20;

/// Rows of one weight: vocabularies and position tables.
pub const MAX_WEIGHT_ROWS: u32 = 1 << 24;

/// Bytes of one weight: far above any single matrix, far below where sums of sizes overflow.
pub const MAX_WEIGHT_BYTES: u64 = 1 << 38;

/// Numbers that a weight made from values may hold (16 MiB, as the contract says).
pub const MAX_VALUES: usize = 4 << 20;

/// Tokens in one run: prefill gains nothing beyond some thousand rows.
pub const MAX_TOKENS: u32 = 1 << 14;

/// Sequences in one run.
pub const MAX_SEQUENCES: u32 = 1 << 12;

/// Output rows in one run; every token may ask for one.
pub const MAX_OUTPUTS: u32 = MAX_TOKENS;

/// Bytes of one plan's buffers: the logits of every token of a large batch fit, a mistake does not.
pub const MAX_PLAN_BYTES: u64 = 1 << 36;

/// Layers of a cache.
pub const MAX_CACHE_LAYERS: usize = 4_096;

/// Key/value heads of a layer.
pub const MAX_HEADS: u32 = 4_096;

/// Columns of one head; also what the kernels' buffers on the stack hold.
pub const MAX_HEAD_WIDTH: u32 = 1_024;

/// Pages of a cache: 2^24 pages of 16 tokens are more than any sequence needs.
pub const MAX_CACHE_PAGES: u32 = 1 << 24;

/// Bytes of one cache: more than machines have; the memory that is free decides first.
pub const MAX_CACHE_BYTES: u64 = 1 << 42;

/// Tokens of a cache page, least and most (a power of two between them).
pub const PAGE_TOKENS: (u32, u32) = (16, 256);

/// Threads of a device's pool.
pub const MAX_THREADS: usize = 256;
