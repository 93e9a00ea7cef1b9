//! Every bound of the tokenizers, with its reason.

/// Tokens in a vocabulary. The largest published ones have 262,144; ten million is an attack on memory.
pub const TOKENS_MAX: usize = 1 << 20;
/// Merges of a BPE vocabulary. Published ones have at most about twice as many merges as tokens.
pub const MERGES_MAX: usize = 4 << 20;
/// Bytes of one token. The longest in use are runs of spaces and markup, a few hundred bytes; matching work per
/// byte of text grows with it.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// Bytes of one text to tokenize: far above any context window, small enough that its symbols fit in the guest.
pub const TEXT_BYTES_MAX: usize = 16 << 20;
/// Bytes of a normalisation table. SentencePiece's largest built-in one (nmt_nfkc_cf) has about 300 KB.
pub const CHARSMAP_BYTES_MAX: usize = 8 << 20;
