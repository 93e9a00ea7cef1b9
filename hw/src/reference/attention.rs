//! Grouped-query attention, over the batch's own rows or over the paged cache.

use half::f16;

use super::Surroundings;
use crate::cache::{BLOCK, Cache, LayerMemory};
use crate::cpu::mapping::Zeroed;
use crate::dtype::Dtype;
use crate::matrix::{Matrix, MatrixMut};
use crate::op::Op;
use crate::plan::Facts;

pub(super) fn attention(
    op: &Op,
    inputs: &[Matrix<'_>],
    around: &mut Surroundings<'_>,
    out: &mut MatrixMut<'_>,
) {
    let Op::Attention {
        heads,
        kv_heads,
        layer,
        causal,
        window,
        scale,
        softcap,
        ..
    } = op
    else {
        return;
    };
    let (heads, kv_heads) = (*heads as usize, *kv_heads as usize);
    let [query, key, value] = [inputs[0], inputs[1], inputs[2]];
    let key_width = query.width / heads;
    let value_width = value.width / kv_heads;
    let paged = layer.and_then(|layer| Some((around.graph.cache.as_ref()?, layer as usize)));
    if let Some((cache, layer)) = paged {
        let memory = &mut around.cache[layer];
        write(cache, memory, around.facts, key, value, kv_heads);
    }
    for row in 0..query.rows {
        let owner = around.facts.owners[row] as usize;
        let first = around.facts.firsts[owner] as usize;
        let position = row - first;
        let sequence = &around.facts.batch.sequences[owner];
        // Places that the token could see, counted from the first row or from position 0.
        let (here, count) = match paged {
            Some(_) => {
                let here = sequence.start as usize + position;
                (here, here + 1)
            }
            None if *causal => (position, position + 1),
            None => (position, sequence.tokens as usize),
        };
        let start = window.map_or(0, |w| (here + 1).saturating_sub(w as usize));
        for head in 0..heads {
            let kv_head = head / (heads / kv_heads);
            let q = &query.row(row)[head * key_width..][..key_width];
            let read = |place: usize| match paged {
                Some((cache, layer)) => {
                    let memory = &around.cache[layer];
                    let slot = slot(cache, sequence.pages, kv_heads, kv_head, place);
                    (
                        read(
                            cache,
                            &memory.keys,
                            (key_width, key_places(slot, key_width)),
                        ),
                        read(
                            cache,
                            &memory.values,
                            (value_width, value_places(slot, value_width)),
                        ),
                    )
                }
                None => (
                    key.row(first + place)[kv_head * key_width..][..key_width].to_vec(),
                    value.row(first + place)[kv_head * value_width..][..value_width].to_vec(),
                ),
            };
            let seen: Vec<_> = (start..count).map(read).collect();
            let weights = weights(q, &seen, *scale, *softcap);
            let out = &mut out.row(row)[head * value_width..][..value_width];
            for (column, out) in out.iter_mut().enumerate() {
                let products = weights.iter().zip(&seen);
                *out = products
                    .map(|(w, (_, v))| w * f64::from(v[column]))
                    .sum::<f64>() as f32;
            }
        }
    }
}

/// How much each place counts.
fn weights(q: &[f32], seen: &[(Vec<f32>, Vec<f32>)], scale: f32, softcap: Option<f32>) -> Vec<f64> {
    let scores: Vec<f64> = seen
        .iter()
        .map(|(k, _)| {
            let products = q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k));
            let score = products.sum::<f64>() * f64::from(scale);
            softcap.map_or(score, |cap| {
                f64::from(cap) * (score / f64::from(cap)).tanh()
            })
        })
        .collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Keys and values of the batch go into the cache.
fn write(
    cache: &Cache,
    memory: &mut LayerMemory,
    facts: &Facts<'_>,
    key: Matrix<'_>,
    value: Matrix<'_>,
    kv_heads: usize,
) {
    for row in 0..key.rows {
        let sequence = &facts.batch.sequences[facts.owners[row] as usize];
        let place = facts.positions[row] as usize;
        let halves = [
            (&mut memory.keys, key, true),
            (&mut memory.values, value, false),
        ];
        for (memory, x, keys) in halves {
            let width = x.width / kv_heads;
            for (head, x) in x.row(row).chunks(width).enumerate() {
                let slot = slot(cache, sequence.pages, kv_heads, head, place);
                for (column, x) in x.iter().enumerate() {
                    let at = if keys {
                        key_places(slot, width)(column)
                    } else {
                        value_places(slot, width)(column)
                    };
                    if cache.dtype() == Dtype::F32 {
                        memory.f32_mut()[at] = *x;
                    } else {
                        memory.u16_mut()[at] = f16::from_f32_const(*x).to_bits();
                    }
                }
            }
        }
    }
}

/// Which of all (page, head, token) places holds `place` of a sequence.
fn slot(cache: &Cache, pages: &[u32], kv_heads: usize, head: usize, place: usize) -> usize {
    let page_tokens = cache.page_tokens() as usize;
    let page = pages[place / page_tokens] as usize;
    (page * kv_heads + head) * page_tokens + place % page_tokens
}

/// Where column c of a key lies.
fn key_places(slot: usize, width: usize) -> impl Fn(usize) -> usize {
    move |column| slot / BLOCK * BLOCK * width + column * BLOCK + slot % BLOCK
}

/// Where column c of a value lies.
fn value_places(slot: usize, width: usize) -> impl Fn(usize) -> usize {
    move |column| slot * width + column
}

fn read(
    cache: &Cache,
    memory: &Zeroed,
    (width, place): (usize, impl Fn(usize) -> usize),
) -> Vec<f32> {
    (0..width)
        .map(|column| {
            if cache.dtype() == Dtype::F32 {
                memory.f32()[place(column)]
            } else {
                f16::from_bits(memory.u16()[place(column)]).to_f32_const()
            }
        })
        .collect()
}
