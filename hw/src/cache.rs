//! Keys and values of past tokens, in pages.
//!
//! Decides the layout and that it fits into memory. Refuses to know which sequence owns a page:
//! that is the policy of whoever fills the batches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cpu::mapping::Zeroed;
use crate::device::Device;
use crate::dtype::Dtype;
use crate::gpu::{GpuError, Memory};
use crate::limits::{
    MAX_CACHE_BYTES, MAX_CACHE_LAYERS, MAX_CACHE_PAGES, MAX_HEAD_WIDTH, MAX_HEADS, PAGE_TOKENS,
};

/// One layer's keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLayer {
    /// Key/value heads.
    pub kv_heads: u32,
    /// Columns of a key of one head.
    pub key_width: u32,
    /// Columns of a value of one head.
    pub value_width: u32,
}

/// Paged keys and values. Copies share the memory; a run holds it alone.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

impl Cache {
    /// `pages` pages of `page_tokens` tokens for each of `layers`, zeroed.
    /// `dtype` is [`Dtype::F32`], [`Dtype::F16`] or, for widths that are multiples of 32, [`Dtype::Q8_0`];
    /// `page_tokens` a power of two from 16 to 256.
    ///
    /// # Errors
    /// [`CacheError`] when a size is out of range or memory does not suffice.
    pub fn create(
        device: &Device,
        layers: &[CacheLayer],
        pages: u32,
        page_tokens: u32,
        dtype: Dtype,
    ) -> Result<Self, CacheError> {
        check(layers, pages, page_tokens, dtype)?;
        let per_token: u64 = layers.iter().map(|layer| token_bytes(layer, dtype)).sum();
        let tokens = u64::from(pages) * u64::from(page_tokens);
        let size_bytes = tokens
            .checked_mul(per_token)
            .filter(|n| *n <= MAX_CACHE_BYTES)
            .ok_or(CacheError::TooLarge)?;
        let free_bytes = device.memory_free()?;
        if size_bytes > free_bytes {
            return Err(CacheError::Memory {
                size_bytes,
                free_bytes,
            });
        }
        let mut memory = Vec::new();
        let mut on_card = Vec::new();
        for layer in layers {
            let Some(card) = device.card() else {
                let made = LayerMemory::zeroed(layer, tokens, dtype);
                memory.push(made.map_err(|source| CacheError::System { size_bytes, source })?);
                continue;
            };
            let rows = tokens * u64::from(layer.kv_heads);
            let bytes = [layer.key_width, layer.value_width].map(|width| {
                let row = dtype.row_bytes(width as usize).unwrap_or_default() as u64;
                usize::try_from(rows * row).unwrap_or(usize::MAX)
            });
            let [keys, values] = bytes;
            on_card.push([Memory::zeroed(card, keys)?, Memory::zeroed(card, values)?]);
        }
        Ok(Self(Arc::new(Inner {
            layers: layers.to_vec(),
            pages,
            page_tokens,
            dtype,
            size_bytes,
            memory: Mutex::new(memory),
            on_card,
        })))
    }

    /// The bytes that it occupies when full; untouched pages take none yet.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// Its layers.
    #[must_use]
    pub fn layers(&self) -> &[CacheLayer] {
        &self.0.layers
    }

    /// Pages for each layer.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.0.pages
    }

    /// Tokens of a page.
    #[must_use]
    pub fn page_tokens(&self) -> u32 {
        self.0.page_tokens
    }

    /// How its numbers are stored.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.0.dtype
    }

    /// Keys and values of a layer on a card.
    pub(crate) fn on_card(&self, layer: usize) -> Option<&[Memory; 2]> {
        self.0.on_card.get(layer)
    }

    /// The memory, for one run at a time. Numbers have no broken state, so a poisoned lock is taken.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<LayerMemory>> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no cache. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No layers, or too many.
    #[error("a cache of {0} layers is empty or too deep")]
    Layers(usize),
    /// A layer's shape is out of range.
    #[error("layer {index}: {layer:?} has a size that is zero or too large")]
    Layer {
        /// Its place in the list.
        index: usize,
        /// What was asked for.
        layer: CacheLayer,
    },
    /// No pages, or too many.
    #[error("a cache of {0} pages is empty or too large")]
    Pages(u32),
    /// A page's size is not allowed.
    #[error("a page of {0} tokens is not a power of two from 16 to 256")]
    PageTokens(u32),
    /// A type that caches do not have.
    #[error("a cache holds f32, f16 or q8-0, not {0}")]
    Dtype(&'static str),
    /// Blocks of 32 numbers do not fill its heads.
    #[error(
        "layer {index}: {layer:?} has a width that is not a multiple of 32, as a q8-0 cache needs; use f16"
    )]
    Blocks {
        /// Its place in the list.
        index: usize,
        /// What was asked for.
        layer: CacheLayer,
    },
    /// The product of its sizes is beyond all bounds.
    #[error("the cache is too large; ask for fewer pages")]
    TooLarge,
    /// More than is free.
    #[error("a cache of {size_bytes} bytes does not fit into {free_bytes} bytes of free memory")]
    Memory {
        /// Bytes asked for.
        size_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// The system refused the memory.
    #[error("the system gave no memory for a cache of {size_bytes} bytes")]
    System {
        /// Bytes asked for.
        size_bytes: u64,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The card refused the memory.
    #[error(transparent)]
    Card(#[from] GpuError),
}

#[derive(Debug)]
struct Inner {
    layers: Vec<CacheLayer>,
    pages: u32,
    page_tokens: u32,
    dtype: Dtype,
    size_bytes: u64,
    memory: Mutex<Vec<LayerMemory>>,
    /// Keys and values of each layer, if a card has them.
    on_card: Vec<[Memory; 2]>,
}

/// Places whose keys are stored side by side.
pub(crate) const BLOCK: usize = 16;

/// Columns that share a scale in a cache of [`Dtype::Q8_0`].
pub(crate) const GROUP_COLUMNS: usize = 32;

/// Bytes of [`BLOCK`] times [`GROUP_COLUMNS`] numbers of such a cache: a half scale for each place,
/// then a signed byte for each number. As many as the blocks of the GGUF format take.
pub(crate) const GROUP_BYTES: usize = BLOCK * 2 + BLOCK * GROUP_COLUMNS;

const _: () = assert!(GROUP_BYTES == BLOCK * Dtype::Q8_0.block_bytes());

/// The numbers of one layer. Values are laid out as page, head, token in the page, column; keys as
/// page, head, block of [`BLOCK`] tokens, column, token in the block: a head's walk through a page
/// reads neighbouring memory, and scores of neighbouring tokens are neighbours, too.
///
/// With scales, both are page, head, block of tokens, [`GROUP_COLUMNS`] columns; within these, a
/// group of [`GROUP_BYTES`], scales come first and the bytes follow in the order above.
#[derive(Debug)]
pub(crate) struct LayerMemory {
    pub(crate) keys: Zeroed,
    pub(crate) values: Zeroed,
}

impl LayerMemory {
    fn zeroed(layer: &CacheLayer, tokens: u64, dtype: Dtype) -> std::io::Result<Self> {
        let room = |width: u32| {
            let len = tokens * u64::from(layer.kv_heads) * u64::from(width);
            let len = usize::try_from(len)
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
            match dtype {
                Dtype::F32 => Zeroed::words(len),
                Dtype::F16 => Zeroed::halves(len),
                _ => Zeroed::words(len / (BLOCK * GROUP_COLUMNS) * (GROUP_BYTES / 4)),
            }
        };
        Ok(Self {
            keys: room(layer.key_width)?,
            values: room(layer.value_width)?,
        })
    }
}

fn check(
    layers: &[CacheLayer],
    pages: u32,
    page_tokens: u32,
    dtype: Dtype,
) -> Result<(), CacheError> {
    if layers.is_empty() || layers.len() > MAX_CACHE_LAYERS {
        return Err(CacheError::Layers(layers.len()));
    }
    for (index, layer) in layers.iter().enumerate() {
        let heads = (1..=MAX_HEADS).contains(&layer.kv_heads);
        let widths = [layer.key_width, layer.value_width];
        if !heads || widths.iter().any(|w| !(1..=MAX_HEAD_WIDTH).contains(w)) {
            return Err(CacheError::Layer {
                index,
                layer: *layer,
            });
        }
    }
    if pages == 0 || pages > MAX_CACHE_PAGES {
        return Err(CacheError::Pages(pages));
    }
    let (least, most) = PAGE_TOKENS;
    if !page_tokens.is_power_of_two() || !(least..=most).contains(&page_tokens) {
        return Err(CacheError::PageTokens(page_tokens));
    }
    match dtype {
        Dtype::F32 | Dtype::F16 => Ok(()),
        Dtype::Q8_0 => {
            let whole = |width: u32| (width as usize).is_multiple_of(GROUP_COLUMNS);
            let mut layers = layers.iter().enumerate();
            match layers.find(|(_, layer)| !whole(layer.key_width) || !whole(layer.value_width)) {
                Some((index, layer)) => Err(CacheError::Blocks {
                    index,
                    layer: *layer,
                }),
                None => Ok(()),
            }
        }
        _ => Err(CacheError::Dtype(dtype.name())),
    }
}

/// Bytes of one token's keys and values; widths are whole blocks.
fn token_bytes(layer: &CacheLayer, dtype: Dtype) -> u64 {
    let width = u64::from(layer.key_width) + u64::from(layer.value_width);
    let blocks = u64::from(layer.kv_heads) * width / dtype.block_len() as u64;
    blocks * dtype.block_bytes() as u64
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that meets the unexpected has failed"
    )]

    use super::*;
    use crate::device::CpuSettings;

    #[test]
    fn caches_that_do_not_fit_are_refused() {
        let device = Device::cpu(CpuSettings::default()).unwrap();
        let layer = CacheLayer {
            kv_heads: 1,
            key_width: 4,
            value_width: 4,
        };
        let make = |layers: &[CacheLayer], pages, page_tokens, dtype| {
            Cache::create(&device, layers, pages, page_tokens, dtype)
                .map(|c| c.size_bytes())
                .ok()
        };
        assert_eq!(make(&[layer], 2, 16, Dtype::F16), Some(2 * 16 * 8 * 2));
        assert_eq!(make(&[], 2, 16, Dtype::F16), None);
        assert_eq!(make(&[layer], 0, 16, Dtype::F16), None);
        assert_eq!(make(&[layer], 2, 8, Dtype::F16), None);
        assert_eq!(make(&[layer], 2, 48, Dtype::F16), None);
        let blocks = CacheLayer {
            kv_heads: 3,
            key_width: 32,
            value_width: 64,
        };
        assert_eq!(
            make(&[blocks], 2, 16, Dtype::Q8_0),
            Some(2 * 16 * 3 * 3 * 34)
        );
        let refused = |layers: &[CacheLayer], dtype| {
            let made = Cache::create(&device, layers, 2, 16, dtype);
            made.unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[layer], Dtype::Q4_0),
            "a cache holds f32, f16 or q8-0, not q4-0"
        );
        assert_eq!(
            refused(&[blocks, layer], Dtype::Q8_0),
            "layer 1: CacheLayer { kv_heads: 1, key_width: 4, value_width: 4 } has a width that is not a \
             multiple of 32, as a q8-0 cache needs; use f16"
        );
        assert_eq!(
            make(
                &[CacheLayer {
                    kv_heads: 0,
                    ..layer
                }],
                2,
                16,
                Dtype::F32
            ),
            None
        );
        assert_eq!(
            make(
                &[CacheLayer {
                    key_width: u32::MAX,
                    ..layer
                }],
                2,
                16,
                Dtype::F32
            ),
            None
        );
        let huge = CacheLayer {
            kv_heads: 4096,
            key_width: 1024,
            value_width: 1024,
        };
        assert_eq!(make(&[huge; 4096], 1 << 24, 256, Dtype::F32), None);
    }
}
