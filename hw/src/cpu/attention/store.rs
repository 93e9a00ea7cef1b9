//! Keys and values of new tokens go where attention reads them.
//!
//! Decides how a token's key is laid across its block, and that queries and keys are turned in the same
//! job, so that a turned key lies nowhere but in the cache. Two sequences never write to one page: the
//! batch's check saw to it.
//!
//! What bounds it: writing. A key's columns lie sixteen numbers apart, so each is a store and a line of its own, which
//! sixteen tokens touch one after the other. Attention's rates count it.

use half::f16;

use super::Shape;
use crate::cache::{BLOCK, Cache, GROUP_BYTES, GROUP_COLUMNS};
use crate::cpu::level::Level;
use crate::cpu::pool::Lead;
use crate::cpu::rope::Rotation;
use crate::cpu::split::{Split, WORTH_NS, for_each_row};
use crate::cpu::vector::{LANES, Vector, kernel};
use crate::limits::MAX_HEAD_WIDTH;
use crate::matrix::Matrix;
use crate::plan::Facts;

/// Memory of one layer, to write.
pub(in crate::cpu) enum Memory<'a> {
    Single(Split<'a, f32>, Split<'a, f32>),
    Half(Split<'a, u16>, Split<'a, u16>),
    Bytes(Split<'a, u8>, Split<'a, u8>),
}

/// What a batch brings to a layer.
pub(in crate::cpu) struct Brought<'a> {
    pub(in crate::cpu) key: Matrix<'a>,
    pub(in crate::cpu) value: Matrix<'a>,
    /// How keys are turned on their way.
    pub(in crate::cpu) key_rotation: Option<Rotation<'a>>,
    /// Queries that are turned in the same job, and where they go.
    pub(in crate::cpu) query: Option<(Matrix<'a>, Rotation<'a>, Split<'a, f32>)>,
}

/// Writes keys and values of all tokens of the batch into their pages, and turns what is to be turned.
pub(in crate::cpu) fn write(
    lead: &mut Lead<'_>,
    level: Level,
    shape: &Shape,
    cache: &Cache,
    brought: &Brought<'_>,
    facts: &Facts<'_>,
    memory: &Memory<'_>,
) {
    let (key, value) = (brought.key, brought.value);
    let rows = key.rows;
    let turned = brought.query.as_ref().map_or(0, |(x, ..)| x.width);
    let row_ns = (key.width + value.width) / 2 + turned / 4 + 20;
    let chunks = (rows * row_ns / WORTH_NS)
        .min(lead.threads() * 4)
        .min(rows)
        .max(1);
    lead.run(chunks, &|chunk, _| {
        let mut head_of_key = [0.0; MAX_HEAD_WIDTH as usize];
        let mut halves = [0; MAX_HEAD_WIDTH as usize];
        for row in rows * chunk / chunks..rows * (chunk + 1) / chunks {
            if let Some((x, rotation, out)) = &brought.query {
                // SAFETY: one thread works on a row, and this part ends with the statement.
                let out = unsafe { out.part(row, 0..x.width) };
                rotation.turn(level, row, x.row(row), out);
            }
            let place = facts.positions[row] as usize;
            let sequence = facts.batch.sequences[facts.owners[row] as usize];
            let page_tokens = cache.page_tokens() as usize;
            let page = sequence.pages[place / page_tokens] as usize;
            for head in 0..shape.kv_heads {
                let start = (page * shape.kv_heads + head) * page_tokens;
                let mut key = &key.row(row)[head * shape.key_width..][..shape.key_width];
                let value = &value.row(row)[head * shape.value_width..][..shape.value_width];
                if let Some(rotation) = brought.key_rotation {
                    let turned = &mut head_of_key[..shape.key_width];
                    rotation.turn(level, row, key, turned);
                    key = turned;
                }
                let slot = start + place % page_tokens;
                put(level, memory, slot, key, value, &mut halves);
            }
        }
    });
}

/// One head of one token into place `slot` of all places of the layer.
fn put(
    level: Level,
    memory: &Memory<'_>,
    slot: usize,
    key: &[f32],
    value: &[f32],
    halves: &mut [u16],
) {
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
            let halves = &mut halves[..key.len()];
            to_half(level, key, halves);
            for (column, x) in halves.iter().enumerate() {
                // SAFETY: as above.
                unsafe { keys.part(0, at(column)) }.fill(*x);
            }
            // SAFETY: as above.
            to_half(level, value, unsafe { all_values.part(0, values) });
        }
        Memory::Bytes(keys, values) => {
            let groups = |width: usize| slot / BLOCK * (width / GROUP_COLUMNS);
            for (group, x) in (groups(key.len())..).zip(key.as_chunks::<GROUP_COLUMNS>().0) {
                let (scale, bytes) = to_bytes(level, x);
                let start = group * GROUP_BYTES + 2 * BLOCK + lane;
                put_scale(keys, group, lane, scale);
                for (column, byte) in bytes.as_flattened().iter().enumerate() {
                    let at = start + column * BLOCK;
                    // SAFETY: as above.
                    unsafe { keys.part(0, at..at + 1) }.fill(*byte);
                }
            }
            for (group, x) in (groups(value.len())..).zip(value.as_chunks::<GROUP_COLUMNS>().0) {
                let (scale, bytes) = to_bytes(level, x);
                let at = group * GROUP_BYTES + 2 * BLOCK + lane * GROUP_COLUMNS;
                put_scale(values, group, lane, scale);
                // SAFETY: as above.
                unsafe { values.part(0, at..at + GROUP_COLUMNS) }
                    .copy_from_slice(bytes.as_flattened());
            }
        }
    }
}

fn put_scale(groups: &Split<'_, u8>, group: usize, lane: usize, scale: u16) {
    let at = group * GROUP_BYTES + 2 * lane;
    // SAFETY: a scale belongs to one place, which one thread writes, and the part ends here.
    unsafe { groups.part(0, at..at + 2) }.copy_from_slice(&scale.to_le_bytes());
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

kernel!(
    /// A group's numbers of one place as a half scale and bytes, as `reference/attention/pages.rs` defines it.
    to_bytes = to_bytes_generic(x: &[f32; GROUP_COLUMNS]) -> (u16, [[u8; 4]; 8])
);

#[inline(always)]
fn to_bytes_generic<V: Vector>(x: &[f32; GROUP_COLUMNS]) -> (u16, [[u8; 4]; 8]) {
    let mut bytes = [[0; 4]; 8];
    let [low, high] = x.as_chunks::<LANES>().0 else {
        return (0, bytes);
    };
    let (low, high) = (V::load(low), V::load(high));
    if !(low.is_finite() && high.is_finite()) {
        return (f16::NAN.to_bits(), bytes);
    }
    let most = low.abs().max(high.abs()).largest();
    let mut scales = [0; LANES];
    V::splat(most).div(V::splat(127.0)).store_f16(&mut scales);
    let scale = V::load_f16(&scales);
    if scales[0] != 0 {
        for (half, x) in [low, high].into_iter().enumerate() {
            let steps = x.div(scale).round();
            let kept = steps.min(V::splat(127.0)).max(V::splat(-127.0));
            for (i, word) in kept.to_bytes().0.into_iter().enumerate() {
                bytes[half * 4 + i] = word.to_le_bytes();
            }
        }
    }
    (scales[0], bytes)
}
