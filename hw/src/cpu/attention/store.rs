//! Keys and values of new tokens go where attention reads them.
//!
//! Decides how a token's key is laid across its block. Two sequences never write to one page: the
//! batch's check saw to it.

use super::Shape;
use crate::cache::{BLOCK, Cache};
use crate::cpu::level::Level;
use crate::cpu::pool::Lead;
use crate::cpu::split::{Split, WORTH_NS, for_each_row};
use crate::cpu::vector::{LANES, Vector, kernel};
use crate::limits::MAX_HEAD_WIDTH;
use crate::matrix::Matrix;
use crate::plan::Facts;

/// Memory of one layer, to write.
pub(in crate::cpu) enum Memory<'a> {
    Single(Split<'a, f32>, Split<'a, f32>),
    Half(Split<'a, u16>, Split<'a, u16>),
}

/// Writes keys and values of all tokens of the batch into their pages.
pub(in crate::cpu) fn write(
    lead: &mut Lead<'_>,
    level: Level,
    shape: &Shape,
    cache: &Cache,
    [key, value]: [Matrix<'_>; 2],
    facts: &Facts<'_>,
    memory: &Memory<'_>,
) {
    let rows = key.rows;
    let row_ns = (key.width + value.width) / 2 + 20;
    let chunks = (rows * row_ns / WORTH_NS)
        .min(lead.threads() * 4)
        .min(rows)
        .max(1);
    lead.run(chunks, &|chunk, _| {
        for row in rows * chunk / chunks..rows * (chunk + 1) / chunks {
            let place = facts.positions[row] as usize;
            let sequence = facts.batch.sequences[facts.owners[row] as usize];
            let page_tokens = cache.page_tokens() as usize;
            let page = sequence.pages[place / page_tokens] as usize;
            for head in 0..shape.kv_heads {
                let start = (page * shape.kv_heads + head) * page_tokens;
                let key = &key.row(row)[head * shape.key_width..][..shape.key_width];
                let value = &value.row(row)[head * shape.value_width..][..shape.value_width];
                let slot = start + place % page_tokens;
                put(level, memory, slot, key, value);
            }
        }
    });
}

/// One head of one token into place `slot` of all places of the layer.
fn put(level: Level, memory: &Memory<'_>, slot: usize, key: &[f32], value: &[f32]) {
    let block = slot / BLOCK * BLOCK * key.len();
    let lane = slot % BLOCK;
    let at = |column: usize| {
        let at = block + column * BLOCK + lane;
        at..at + 1
    };
    let values = slot * value.len()..(slot + 1) * value.len();
    match memory {
        Memory::Single(keys, all_values) => {
            for (column, x) in key.iter().enumerate() {
                // SAFETY: this place belongs to one token of the batch, which one thread writes,
                // and each part ends with its statement.
                unsafe { keys.part(0, at(column)) }.fill(*x);
            }
            // SAFETY: as above.
            unsafe { all_values.part(0, values) }.copy_from_slice(value);
        }
        Memory::Half(keys, all_values) => {
            let mut halves = [0; MAX_HEAD_WIDTH as usize];
            let halves = &mut halves[..key.len()];
            to_half(level, key, halves);
            for (column, x) in halves.iter().enumerate() {
                // SAFETY: as above.
                unsafe { keys.part(0, at(column)) }.fill(*x);
            }
            // SAFETY: as above.
            to_half(level, value, unsafe { all_values.part(0, values) });
        }
    }
}

/// Lays out the batch's own keys in blocks: for each block and head, columns of sixteen places.
/// Places beyond a sequence's end hold what was there; attention does not look at them.
pub(in crate::cpu) fn pack(
    lead: &mut Lead<'_>,
    shape: &Shape,
    key: Matrix<'_>,
    facts: &Facts<'_>,
    packed: &mut [f32],
) {
    let width = shape.kv_heads * shape.key_width * BLOCK;
    let blocks = facts.blocks;
    for_each_row(
        lead,
        packed,
        [blocks, width, width],
        width,
        &|block, out| {
            let owner = facts
                .block_firsts
                .partition_point(|first| *first as usize <= block)
                .saturating_sub(1);
            let place = (block - facts.block_firsts[owner] as usize) * BLOCK;
            let rows = facts.batch.sequences[owner].tokens as usize;
            let first = facts.firsts[owner] as usize;
            for lane in 0..BLOCK.min(rows - place) {
                let row = key.row(first + place + lane);
                for (x, out) in row.iter().zip(out.chunks_exact_mut(BLOCK)) {
                    out[lane] = *x;
                }
            }
        },
    );
}

kernel!(
    /// Floats as halves, rounded to even.
    to_half = to_half_generic(x: &[f32], out: &mut [u16])
);

#[inline(always)]
fn to_half_generic<V: Vector>(x: &[f32], out: &mut [u16]) {
    let (parts, rest) = x.as_chunks::<LANES>();
    let (out_parts, out_rest) = out.as_chunks_mut::<LANES>();
    for (x, out) in parts.iter().zip(out_parts) {
        V::load(x).store_f16(out);
    }
    if !rest.is_empty() {
        let mut lanes = [0; LANES];
        V::load_part(rest).store_f16(&mut lanes);
        for (out, lane) in out_rest.iter_mut().zip(lanes) {
            *out = lane;
        }
    }
}
