//! Attention's launches: keys and values into the cache, then every head of every token.
//!
//! Decides the order of the kernels' parameters, which is that of their source, and when the places that a row sees are dealt
//! to several blocks of threads: when there would be too few of them else.

use super::super::driver::GpuError;
use super::launch::{Run, Value, float};
use super::names;
use crate::op::Op;

/// Threads of a block of attention, as `attention.cu` says.
const THREADS: u32 = 128;
/// Places that are taken together, as it says.
pub(in crate::gpu) const SPAN: u32 = 256;
/// Blocks of threads from which on no more are worth the joining: two for each processor of a large card.
const BLOCKS_ENOUGH: usize = 256;

impl Run<'_> {
    pub(super) fn attention(&self, op: &Op, out: Value) -> Result<(), GpuError> {
        let Op::Attention {
            query,
            key,
            value,
            heads,
            kv_heads,
            layer,
            causal,
            window,
            scale,
            softcap,
        } = op
        else {
            return Ok(());
        };
        let [query, key, value] = [query, key, value].map(|x| self.value(*x));
        let (all, kept) = (*heads as usize, *kv_heads as usize);
        let [key_width, value_width] =
            [key.width / kept, value.width / kept].map(|width| width as u64);
        let window = u64::from(window.unwrap_or(0));
        let [heads, kv_heads] = [u64::from(*heads), u64::from(*kv_heads)];
        let (scale, softcap) = (float(*scale), float(softcap.unwrap_or(0.0)));
        let places = self.places;
        let cache = layer.and_then(|layer| Some((self.graph.cache.as_ref()?, layer as usize)));
        let Some((cache, layer)) = cache else {
            let mut parameters = [
                out.at,
                out.stride,
                query.at,
                query.stride,
                key.at,
                key.stride,
                value.at,
                value.stride,
                heads,
                kv_heads,
                key_width,
                value_width,
                u64::from(*causal),
                window,
                scale,
                softcap,
                places.owners,
                places.firsts,
                places.counts,
            ];
            let shared = if self.whole_heads() { kept } else { all };
            return self.launch(
                "attend_rows",
                [out.rows, shared, 1],
                THREADS,
                &mut parameters,
            );
        };
        let Some([keys, values]) = cache.on_card(layer) else {
            return Ok(());
        };
        let (keys, values, kind) = (keys.at(0), values.at(0), names::number(cache.dtype()));
        let page_tokens = u64::from(cache.page_tokens());
        let spans = self.spans(out.rows, kept, all * (value_width as usize + 2) * 4);
        let partials = self.engine.partials.at(0);
        let mut parameters = [
            keys,
            values,
            kind,
            key.at,
            key.stride,
            key_width,
            value.at,
            value.stride,
            value_width,
            kv_heads,
            page_tokens,
            places.positions,
            places.owners,
            places.page_firsts,
            places.pages,
        ];
        self.launch("keep_keys", [key.rows, kept, 1], THREADS, &mut parameters)?;
        let mut parameters = [
            out.at,
            out.stride,
            query.at,
            query.stride,
            keys,
            values,
            kind,
            page_tokens,
            heads,
            kv_heads,
            key_width,
            value_width,
            window,
            scale,
            softcap,
            places.positions,
            places.owners,
            places.page_firsts,
            places.pages,
            partials,
            spans as u64,
        ];
        let shared = if self.whole_heads() { kept } else { all };
        let grid = [out.rows, shared, spans.max(1)];
        self.launch("attend_pages", grid, THREADS, &mut parameters)?;
        if spans == 0 {
            return Ok(());
        }
        let mut parameters = [
            out.at,
            out.stride,
            partials,
            spans as u64,
            heads,
            value_width,
            window,
            places.positions,
        ];
        self.launch("attend_join", [out.rows, all, 1], THREADS, &mut parameters)
    }

    /// Whether a block of threads has all heads that share keys and values.
    fn whole_heads(&self) -> bool {
        self.engine.card.driver().has_planes()
    }

    /// Spans that are computed apart, 0 if none are.
    fn spans(&self, rows: usize, kv_heads: usize, row_bytes: usize) -> usize {
        let spans = self.engine.spans_of(self.facts);
        let bytes = rows * spans * row_bytes;
        let split =
            spans > 1 && rows * kv_heads < BLOCKS_ENOUGH && bytes <= self.engine.partials.bytes();
        if split { spans } else { 0 }
    }
}
