//! Grouped-query attention over the paged cache or over the batch's own rows.
//!
//! Decides who computes which head of which token, and when one token's past is cut into segments
//! for several threads. Positions are walked in blocks of sixteen and segments of [`SEGMENT`] from
//! position 0 whatever the batch, and segments are merged in order, so the bits never depend on it.

use super::level::Level;
use super::pool::Lead;
use super::split::{Split, WORTH_NS};
use crate::cache::{Cache, GROUP_BYTES};
use crate::matrix::Matrix;
use crate::plan::Facts;

mod element;
mod kernel;
mod keys;
mod store;
mod values;

use self::element::Element;
pub(super) use self::kernel::Score;
use self::kernel::{Query, segment_f16, segment_f32, segment_q8};
pub(super) use self::store::{Brought, Memory, pack, write};

/// Positions of a segment.
pub(super) const SEGMENT: usize = 512;

/// Queries that share a walk over keys, at most.
const TILE: usize = 8;

/// With so many rows, one head after the other: its keys and values stay in the cache for the next rows.
/// With fewer, row by row, as pages lie in memory.
const BY_HEAD: usize = 32;

/// What an attention op is, apart from numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) key_width: usize,
    pub(super) value_width: usize,
    pub(super) causal: bool,
    pub(super) window: Option<u32>,
    pub(super) score: Score,
}

impl Shape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Rows that share a walk, when one row's heads are too few.
    fn rows(&self) -> usize {
        (TILE / self.group().next_power_of_two()).max(1)
    }

    /// Floats of one head's unfinished result: the sum, padded, then the largest score and the
    /// sum of exponentials.
    pub(super) fn partial_width(&self) -> usize {
        self.value_width.next_multiple_of(16) + 16
    }

    /// Floats that each thread needs.
    pub(super) fn scratch_width(&self) -> usize {
        2 * TILE * self.partial_width()
    }
}

/// Where keys and values are.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Pages of single precision.
    Pages(&'a Cache, &'a [f32], &'a [f32]),
    /// Pages of half precision.
    HalfPages(&'a Cache, &'a [u16], &'a [u16]),
    /// Pages of bytes with scales.
    BytePages(&'a Cache, &'a [[u8; GROUP_BYTES]], &'a [[u8; GROUP_BYTES]]),
    /// Packed keys of the batch, and its values.
    Rows(&'a [f32], Matrix<'a>),
}

/// What a run of attention needs besides its inputs.
pub(super) struct Room<'a> {
    /// A row of [`Shape::scratch_width`] floats for each thread.
    pub(super) scratch: Split<'a, f32>,
    /// Rows of [`Shape::partial_width`] floats for segments of one head.
    pub(super) partials: Split<'a, f32>,
    pub(super) partial_rows: usize,
}

/// One (token, key/value head) and the places that it sees.
struct Item<'a> {
    row: usize,
    /// Which sequence.
    owner: usize,
    head: usize,
    keys: keys::Keys<'a>,
    start: usize,
    end: usize,
}

/// Computes attention for all tokens of the batch.
pub(super) fn attend(
    lead: &mut Lead<'_>,
    level: Level,
    shape: &Shape,
    query: Matrix<'_>,
    source: Source<'_>,
    facts: &Facts<'_>,
    room: &Room<'_>,
    out: &Split<'_, f32>,
) {
    let items = query.rows * shape.kv_heads;
    let item = |index: usize| item_of(shape, source, facts, index);
    let places: usize = (0..query.rows)
        .map(|row| {
            let item = item(row * shape.kv_heads);
            item.end - item.start
        })
        .sum();
    let per_place = shape.heads * (shape.key_width + shape.value_width) / 24 + 1;
    let chunks = (places * per_place / WORTH_NS).max(1);
    let segments = (0..query.rows)
        .map(|row| segments_of(&item(row * shape.kv_heads)).len())
        .max()
        .unwrap_or(0);
    let cut = items < lead.threads()
        && segments > 1
        && items * segments * shape.group() <= room.partial_rows;
    if !cut {
        let rows = shape.rows();
        let by_head = query.rows >= BY_HEAD;
        let tiles_of_head = query.rows.div_ceil(rows);
        let tiles = tiles_of_head * shape.kv_heads;
        let chunks = chunks.min(lead.threads() * 8).min(tiles);
        lead.run(chunks, &|chunk, thread| {
            for tile in tiles * chunk / chunks..tiles * (chunk + 1) / chunks {
                let (first, head) = if by_head {
                    (tile % tiles_of_head * rows, tile / tiles_of_head)
                } else {
                    (tile / shape.kv_heads * rows, tile % shape.kv_heads)
                };
                let mut row = first;
                while row < query.rows.min(first + rows) {
                    let items = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| {
                        let row = (row + i).min(query.rows - 1);
                        item(row * shape.kv_heads + head)
                    });
                    let alike = alike(&items, query.rows.min(first + rows) - row);
                    whole(level, shape, query, &items[..alike], thread, room, out);
                    row += alike;
                }
            }
        });
        return;
    }
    let group = shape.group();
    lead.run(items * segments, &|chunk, _| {
        let item = item(chunk / segments);
        let Some(segment) = segments_of(&item).nth(chunk % segments) else {
            return;
        };
        for head in 0..group {
            let place = chunk * group + head;
            // SAFETY: each (item, segment, head) has a row of its own, and runs once.
            let partial = unsafe { room.partials.part(place, 0..shape.partial_width()) };
            part(level, shape, query, &item, segment.clone(), head, partial);
        }
    });
    for index in 0..items {
        let item = item(index);
        for head in 0..group {
            // SAFETY: the job above is done; the scratch of thread 0 is the leader's.
            let total = unsafe { room.scratch.part(0, 0..shape.partial_width()) };
            clear(total);
            for segment in 0..segments_of(&item).len() {
                let place = (index * segments + segment) * group + head;
                // SAFETY: as above: no one else reads or writes these now.
                let partial = unsafe { room.partials.part(place, 0..shape.partial_width()) };
                merge(level, total, partial);
            }
            finish(level, shape, total, &item, head, out);
        }
    }
}

fn item_of<'a>(shape: &Shape, source: Source<'a>, facts: &'a Facts<'_>, index: usize) -> Item<'a> {
    let (row, head) = (index / shape.kv_heads, index % shape.kv_heads);
    let owner = facts.owners[row] as usize;
    let sequence = facts.batch.sequences[owner];
    let (here, end) = match source {
        Source::Rows(..) => {
            let here = row - facts.firsts[owner] as usize;
            let end = if shape.causal {
                here + 1
            } else {
                sequence.tokens as usize
            };
            (here, end)
        }
        _ => {
            let here = facts.positions[row] as usize;
            (here, here + 1)
        }
    };
    let start = shape
        .window
        .map_or(0, |window| (here + 1).saturating_sub(window as usize));
    Item {
        row,
        owner,
        head,
        keys: keys::Keys::of(shape, source, facts, owner, head),
        start,
        end,
    }
}

/// The segments that an item sees, first to last.
fn segments_of(item: &Item<'_>) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + use<> {
    let (start, end) = (item.start, item.end);
    let first = start / SEGMENT;
    let count = end.div_ceil(SEGMENT) - first;
    (0..count).map(move |i| {
        let from = (first + i) * SEGMENT;
        from.max(start)..(from + SEGMENT).min(end)
    })
}

/// How many of the first `most` items can walk together: a power of two of one sequence.
fn alike(items: &[Item<'_>; TILE], most: usize) -> usize {
    let owner = items[0].owner;
    let same = items
        .iter()
        .take(most)
        .take_while(|item| item.owner == owner);
    together(same.count())
}

/// How many of so many queries walk together: a power of two.
fn together(count: usize) -> usize {
    match count {
        0 | 1 => 1,
        2 | 3 => 2,
        4..8 => 4,
        _ => TILE,
    }
}

/// All of some items of one sequence and head on one thread. Several items have few heads.
fn whole(
    level: Level,
    shape: &Shape,
    query: Matrix<'_>,
    items: &[Item<'_>],
    thread: usize,
    room: &Room<'_>,
    out: &Split<'_, f32>,
) {
    let width = shape.partial_width();
    // SAFETY: a thread works on one chunk at a time, and only it asks for its row.
    let scratch = unsafe { room.scratch.part(thread, 0..shape.scratch_width()) };
    let (parts, totals) = scratch.split_at_mut(TILE * width);
    let mut head = 0;
    while head < shape.group() {
        let heads = together(shape.group() - head);
        let count = heads * items.len();
        for total in totals.chunks_exact_mut(width).take(count) {
            clear(total);
        }
        let first = items.iter().map(|item| item.start).min().unwrap_or(0) / SEGMENT;
        let last = items.iter().map(|item| item.end).max().unwrap_or(0);
        for segment in first..last.div_ceil(SEGMENT) {
            let (from, to) = (segment * SEGMENT, (segment + 1) * SEGMENT);
            let mut queries = [const { NO_QUERY }; TILE];
            let mut owners = [0; TILE];
            let mut looking = 0;
            for place in 0..count {
                let item = &items[place / heads];
                let seen = item.start.max(from)..item.end.min(to);
                if seen.is_empty() {
                    continue;
                }
                queries[looking] = Query {
                    x: query_of(shape, query, item, head + place % heads),
                    seen,
                };
                owners[looking] = place;
                looking += 1;
            }
            let mut done = 0;
            while done < looking {
                let now = together(looking - done);
                walk(level, shape, &items[0], &queries[done..done + now], parts);
                for (part, owner) in parts.chunks_exact(width).zip(&owners[done..done + now]) {
                    merge(level, &mut totals[owner * width..][..width], part);
                }
                done += now;
            }
        }
        for (place, total) in totals.chunks_exact_mut(width).enumerate().take(count) {
            finish(
                level,
                shape,
                total,
                &items[place / heads],
                head + place % heads,
                out,
            );
        }
        head += heads;
    }
}

const NO_QUERY: Query<'static> = Query { x: &[], seen: 0..0 };

/// One segment of one head.
fn part(
    level: Level,
    shape: &Shape,
    query: Matrix<'_>,
    item: &Item<'_>,
    segment: std::ops::Range<usize>,
    head: usize,
    partial: &mut [f32],
) {
    let query = Query {
        x: query_of(shape, query, item, head),
        seen: segment,
    };
    walk(level, shape, item, &[query], partial);
}

fn query_of<'a>(shape: &Shape, query: Matrix<'a>, item: &Item<'_>, head: usize) -> &'a [f32] {
    let head = item.head * shape.group() + head;
    &query.row(item.row)[head * shape.key_width..][..shape.key_width]
}

fn walk(level: Level, shape: &Shape, item: &Item<'_>, queries: &[Query<'_>], parts: &mut [f32]) {
    match item.keys {
        keys::Keys::Single(keys) => segment_f32(level, keys, queries, shape, parts),
        keys::Keys::Half(keys) => segment_f16(level, keys, queries, shape, parts),
        keys::Keys::Bytes(keys) => segment_q8(level, keys, queries, shape, parts),
    }
}

fn clear(total: &mut [f32]) {
    total.fill(0.0);
    let at = total.len() - 16;
    total[at] = f32::NEG_INFINITY;
}

/// Adds a segment to what came before it.
fn merge(level: Level, total: &mut [f32], part: &[f32]) {
    kernel::merge(level, total, part);
}

/// Divides by the sum and hands over.
fn finish(
    level: Level,
    shape: &Shape,
    total: &[f32],
    item: &Item<'_>,
    head: usize,
    out: &Split<'_, f32>,
) {
    let first = (item.head * shape.group() + head) * shape.value_width;
    // SAFETY: each head of each token belongs to one item, and its part ends with this call.
    let out = unsafe { out.part(item.row, first..first + shape.value_width) };
    kernel::finish(level, total, out);
}
