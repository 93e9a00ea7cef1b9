//! Every bound of the plugin outside the GGUF parser, with its reason.

/// Layers of a model. The deepest published ones have about 130.
pub const LAYERS_MAX: u32 = 1024;
/// Width of the residual stream, of a feed-forward layer and of all heads together: far above published models,
/// and low enough that products of two sizes stay within 64 bits and sums of a few within 32.
pub const WIDTH_MAX: u32 = 1 << 20;
/// Attention heads of a layer.
pub const HEADS_MAX: u32 = 4096;
/// Columns of one head. 256 is the most in use.
pub const HEAD_WIDTH_MAX: u32 = 4096;
/// Tokens of a vocabulary. Gemma's has 262,144.
pub const VOCABULARY_MAX: u32 = 1 << 22;
/// Context that a file may claim. Ten million is the most that anyone has.
pub const CONTEXT_MAX: u32 = 1 << 24;

/// Context to open when nobody asks for one: enough for most conversations, and its cache fits beside the weights
/// on machines that can run the model at all.
pub const CONTEXT_TOKENS_DEFAULT: u32 = 8192;
/// Context below which a model is of no use, so that lack of memory is reported rather than worked around.
pub const CONTEXT_TOKENS_MIN: u32 = 64;
/// Sequences at once when nobody asks: batches beyond it gain little on a CPU.
pub const SEQUENCES_DEFAULT: u32 = 16;
/// Most sequences at once: buffers grow with it.
pub const SEQUENCES_MAX: u32 = 256;
/// Tokens in one page of the cache: small enough to share short prefixes, large enough to keep page lists short.
pub const PAGE_TOKENS: u32 = 32;
/// Pages in a cache: page lists travel with every step.
pub const PAGES_MAX: u64 = 1 << 20;
/// Bytes that the cache takes when nobody asks for a size: prefix reuse gains little from more.
pub const CACHE_BYTES_DEFAULT: u64 = 4 << 30;
/// Tokens in one step: past it, prefill gains nothing more on a CPU, and a step would last too long to cancel.
pub const STEP_TOKENS: u32 = 512;
/// Prompt tokens in a step that also decodes, so that running answers keep flowing while a long prompt comes in.
pub const STEP_TOKENS_BESIDE_DECODE: u32 = 64;
/// Output rows in one step at least: how many prompt tokens a step can score for `echo` with `logprobs`.
pub const OUTPUT_ROWS_MIN: u32 = 32;
/// Tokens guessed ahead of one answer: the chance that all come true falls with each.
pub const GUESSES_MAX: usize = 8;
/// Rows of a step that may hold guesses; a larger one has no room to spare.
pub const GUESS_ROWS_MAX: usize = 64;
/// Places of a text that guesses are looked up in: 128 KiB of the guest's memory for each running answer.
pub const LOOKUP_PLACES_MAX: usize = 1 << 15;
/// Places that one search looks at.
pub const LOOKUP_WALK_MAX: usize = 64;
/// Sequences in one embedding step: many short inputs fill its tokens.
pub const EMBED_SEQUENCES: u32 = 64;
/// The longest input of an encoder: it has to pass in one step, with buffers for all of it.
pub const EMBED_CONTEXT_MAX: u32 = 8192;

/// Living requests of one model; the host queues the rest.
pub const REQUESTS_MAX: usize = 1024;
/// Prompt tokens of all living requests: 64 MiB of the guest's memory.
pub const PROMPT_TOKENS_MAX: usize = 16 << 20;
/// Bytes of one prompt: eight bytes a token of the longest context that fits, and no more work than that.
pub const PROMPT_BYTES_MAX: usize = 16 << 20;
/// Messages of a conversation: each takes memory in the template engine.
pub const MESSAGES_MAX: usize = 16_384;
/// Answers to one request.
pub const CHOICES_MAX: u32 = 128;
/// Inputs of one embedding request, as OpenAI allows.
pub const EMBED_INPUTS_MAX: usize = 2048;
/// Alternatives for each token: chats show at most 20, evaluations ask for whole small vocabularies.
pub const LOGPROBS_MAX: u32 = 1024;
/// Stop texts of a request.
pub const STOPS_MAX: usize = 64;
/// Bytes of a stop text: this much of an answer may be held back.
pub const STOP_BYTES_MAX: usize = 1024;
/// Entries of a logit bias, as OpenAI allows and then some.
pub const LOGIT_BIAS_MAX: usize = 4096;
/// Candidates that the host returns for a cut distribution: nearly always enough to choose among.
pub const CANDIDATES_MAX: u32 = 256;
/// Candidates for the likeliest token when penalties may reorder the first few.
pub const CANDIDATES_GREEDY: u32 = 32;

/// Instructions of the template engine: a conversation of a thousand messages needs about a million.
pub const TEMPLATE_FUEL: u64 = 50_000_000;
/// Nesting of templates' calls: they nest two or three macros.
pub const TEMPLATE_RECURSION: usize = 64;
/// Bytes of a template's source. The longest published one has 20 KiB.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// Bytes that a template may write beyond the messages it was given.
pub const TEMPLATE_OUTPUT_EXTRA: usize = 1 << 20;
