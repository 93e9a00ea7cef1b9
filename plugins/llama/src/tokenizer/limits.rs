//! Every bound of the tokenizers, with its reason.

/// Tokens in a vocabulary. The largest published ones have 262,144; ten million is an attack on memory.
pub const TOKENS_MAX: usize = 1 << 20;
/// Merges of a BPE vocabulary. Published ones have at most about twice as many merges as tokens.
pub const MERGES_MAX: usize = 4 << 20;
/// Bytes of one token. The longest in use are runs of spaces, 512 bytes; matching work per byte of text grows with it.
pub const TOKEN_BYTES_MAX: usize = 1_024;
/// Bytes of all tokens together. The largest published vocabularies have about 4 MB; tables over them take up to
/// thirteen times as much.
pub const VOCAB_BYTES_MAX: usize = 16 << 20;
/// Bytes of one text to tokenize: about a million tokens, the longest context window there is; working memory is up
/// to sixty times as much.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Bytes of a normalisation table. SentencePiece's largest built-in one (nmt_nfkc_cf) has about 300 KB.
pub const CHARSMAP_BYTES_MAX: usize = 8 << 20;
