//! How much room to make for a model: context, cache and batch sizes, from what was asked, what the model can and
//! what memory there is.

use crate::arch::{Network, WeightSource};
use crate::batch;
use crate::contract::{Bounds, CacheLayer, CacheType, Dtype, Error, Settings};
use crate::device::CacheSize;
use crate::error::{exhausted, invalid};
use crate::limits::{
    CACHE_BYTES_DEFAULT, CONTEXT_TOKENS_DEFAULT, CONTEXT_TOKENS_MIN, EMBED_CONTEXT_MAX,
    EMBED_SEQUENCES, OUTPUT_ROWS_MIN, PAGE_TOKENS, PAGES_MAX, SEQUENCES_DEFAULT, SEQUENCES_MAX,
    STEP_TOKENS, STEP_TOKENS_BESIDE_DECODE,
};

/// Room for a model that generates text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The longest sequence, in tokens.
    pub context: u32,
    /// Sequences at once.
    pub sequences: u32,
    pub cache: CacheSize,
}

impl Room {
    /// Decides. `memory_free_bytes` is what weights and cache may take; `weights_bytes` of it goes to the weights. A
    /// page takes `draft_page_bytes` more in the cache of a smaller model that guesses.
    pub fn plan(
        network: &Network,
        settings: &Settings,
        memory_free_bytes: u64,
        weights_bytes: u64,
        draft_page_bytes: u64,
    ) -> Result<Self, Error> {
        let sequences = settings.sequences.unwrap_or(SEQUENCES_DEFAULT);
        if sequences == 0 || sequences > SEQUENCES_MAX {
            let message = format!("is {sequences}, expected 1 to {SEQUENCES_MAX}");
            return Err(invalid("sequences", message));
        }
        // Half of what is left: the batch's own buffers and everything else on the machine live there too.
        let left = memory_free_bytes.saturating_sub(weights_bytes) / 2;
        let budget = settings
            .cache_bytes
            .unwrap_or_else(|| left.min(CACHE_BYTES_DEFAULT));
        let with = |dtype| {
            let page_bytes = page_bytes(&network.cache, dtype) + draft_page_bytes;
            let pages_max = (budget / page_bytes).min(PAGES_MAX);
            let context = context(network, settings, pages_max, page_bytes, budget)?;
            let wanted = u64::from(sequences) * u64::from(context.div_ceil(PAGE_TOKENS));
            Ok(Self {
                context,
                sequences,
                cache: CacheSize {
                    pages: wanted.min(pages_max) as u32,
                    page_tokens: PAGE_TOKENS,
                    dtype,
                },
            })
        };
        let blocks = has_whole_blocks(&network.cache);
        let room = with(match settings.cache_type {
            Some(CacheType::F32) => Dtype::F32,
            Some(CacheType::Q80) if blocks => Dtype::Q80,
            None if is_full_precision(network) => Dtype::F32,
            _ => Dtype::F16,
        });
        if settings.cache_type.is_some() || settings.context_tokens.is_none() {
            return room;
        }
        // Whoever asks for a long context wants it rather than the last digit.
        let narrower = [Some(Dtype::F16), blocks.then_some(Dtype::Q80)];
        let narrower = narrower.into_iter().flatten();
        narrower.fold(room, |room, dtype| room.or_else(|_| with(dtype)))
    }

    /// What the operator should know about how keys and values are kept: that it is not what they may expect.
    pub fn remark(&self, settings: &Settings) -> Option<String> {
        match (settings.cache_type, self.cache.dtype) {
            (None, Dtype::Q80) => Some(format!(
                "keys and values are kept as q8-0, since a context of {} tokens does not fit into memory otherwise",
                self.context
            )),
            (Some(CacheType::Q80), Dtype::F16) => Some(
                "keys and values are kept as f16, since this model's heads are not multiples of 32 columns wide"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// How large the host's plan has to be.
    pub fn plan_bounds(&self) -> Bounds {
        Bounds {
            tokens: STEP_TOKENS,
            sequences: self.sequences,
            outputs: self.sequences.max(OUTPUT_ROWS_MIN),
        }
    }

    /// How many tokens a smaller model that guesses takes in one run, while others wait for it.
    pub fn draft_tokens(&self, device: &str) -> u32 {
        let beside = self.batch_bounds(device).step_tokens_beside_decode as u32;
        beside.max(self.sequences)
    }

    /// The same for the batcher. On an accelerator, prompts do not hold up those that decode beside them.
    pub fn batch_bounds(&self, device: &str) -> batch::Bounds {
        let beside = match device {
            "cpu" => STEP_TOKENS_BESIDE_DECODE,
            _ => STEP_TOKENS,
        };
        let plan = self.plan_bounds();
        batch::Bounds {
            context: self.context as usize,
            sequences: self.sequences as usize,
            step_tokens: plan.tokens as usize,
            step_tokens_beside_decode: beside as usize,
            output_rows: plan.outputs as usize,
        }
    }
}

/// How a smaller model that guesses keeps keys and values, and the bytes of one page.
pub fn draft_page(network: &Network) -> (Dtype, u64) {
    let dtype = match is_full_precision(network) {
        true => Dtype::F32,
        false => Dtype::F16,
    };
    (dtype, page_bytes(&network.cache, dtype))
}

/// Room for an encoder: its longest input in one step.
pub fn embed_bounds(network: &Network, settings: &Settings) -> (u32, Bounds) {
    let most = network.trained_context.min(EMBED_CONTEXT_MAX);
    let context = settings
        .context_tokens
        .map_or(most, |asked| asked.clamp(1, most));
    let bounds = Bounds {
        tokens: context.max(STEP_TOKENS),
        sequences: EMBED_SEQUENCES,
        outputs: EMBED_SEQUENCES,
    };
    (context, bounds)
}

fn context(
    network: &Network,
    settings: &Settings,
    pages_max: u64,
    page_bytes: u64,
    budget: u64,
) -> Result<u32, Error> {
    let trained = network.trained_context;
    let fits = (pages_max * u64::from(PAGE_TOKENS)).min(u64::from(trained)) as u32;
    let asked = settings.context_tokens.map(|asked| asked.clamp(1, trained));
    let least = asked.unwrap_or_else(|| CONTEXT_TOKENS_MIN.min(trained));
    if fits < least {
        let needed = u64::from(least.div_ceil(PAGE_TOKENS)) * page_bytes;
        return Err(exhausted(format!(
            "a context of {least} tokens needs {needed} bytes for keys and values, but {budget} are free for them; \
             ask for a shorter context or free memory"
        )));
    }
    Ok(asked.unwrap_or_else(|| fits.min(CONTEXT_TOKENS_DEFAULT)))
}

/// At least 1, for all layers together; a page's tokens are whole blocks of 32. Sizes are bounded so that this
/// cannot overflow.
fn page_bytes(layers: &[CacheLayer], dtype: Dtype) -> u64 {
    let bytes_of_32 = match dtype {
        Dtype::F32 => 128,
        Dtype::Q80 => 34,
        _ => 64,
    };
    let columns = |layer: &CacheLayer| {
        u64::from(layer.kv_heads) * (u64::from(layer.key_width) + u64::from(layer.value_width))
    };
    let all: u64 = layers.iter().map(columns).sum();
    (all * u64::from(PAGE_TOKENS) / 32 * bytes_of_32).max(1)
}

/// Whether every head is made of whole blocks of 32 columns, so that bytes with scales can keep it.
fn has_whole_blocks(layers: &[CacheLayer]) -> bool {
    layers
        .iter()
        .all(|layer| layer.key_width.is_multiple_of(32) && layer.value_width.is_multiple_of(32))
}

/// Whether no matrix is stored in less than 32 bits, so that the cache should not be either.
fn is_full_precision(network: &Network) -> bool {
    network.weights.iter().all(|weight| match &weight.source {
        WeightSource::File { dtype, .. } => *dtype == Dtype::F32,
        WeightSource::Values(_) => true,
    })
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
