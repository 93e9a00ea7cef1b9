//! Grouped-query attention, over the batch's own rows or over the paged cache.

use super::Surroundings;
use crate::matrix::{Matrix, MatrixMut};
use crate::op::Op;

mod pages;

use self::pages::{Kind, Place};

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
        pages::write(cache, memory, around.facts, [key, value], kv_heads);
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
                    let slot = pages::slot(cache, sequence.pages, kv_heads, kv_head, place);
                    let take = |kind, width| {
                        let place = Place { kind, slot, width };
                        place.take(cache.dtype(), &around.cache[layer])
                    };
                    (take(Kind::Key, key_width), take(Kind::Value, value_width))
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
