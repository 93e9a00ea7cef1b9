//! Whole decoders of random numbers: what the arithmetic of a model costs.

use std::error::Error;
use std::time::Duration;

use skep_hw::{
    Activation, Batch, Bounds, Cache, CacheLayer, Device, Dtype, Graph, Index, Op, Pairing, Plan,
    Sequence, Weight,
};

use crate::products::Choice;
use crate::types::{TYPES, Types};
use crate::{Clock, Report, weights};

/// A decoder's sizes.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    layers: u32,
    width: u32,
    heads: u32,
    kv_heads: u32,
    inner: u32,
    vocabulary: u32,
}

static MODELS: [Model; 4] = [
    Model {
        name: "4M",
        layers: 4,
        width: 256,
        heads: 8,
        kv_heads: 4,
        inner: 768,
        vocabulary: 4096,
    },
    Model {
        name: "15M",
        layers: 8,
        width: 256,
        heads: 8,
        kv_heads: 4,
        inner: 768,
        vocabulary: 32_000,
    },
    Model {
        name: "110M",
        layers: 12,
        width: 768,
        heads: 12,
        kv_heads: 12,
        inner: 2048,
        vocabulary: 32_000,
    },
    Model {
        name: "1.1B",
        layers: 22,
        width: 2048,
        heads: 32,
        kv_heads: 4,
        inner: 5632,
        vocabulary: 32_000,
    },
];

/// Tokens per second: prefill of 512, and decoding 1, 4 and 16 sequences, 128 tokens in or as asked.
pub(crate) fn measure(
    device: &Device,
    clock: Clock,
    read_gb_s: f64,
    choice: &Choice,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    report.line("\n| model | type | MB | prefill 512 | decode 1 | of reading | decode 4 | decode 16 | 16 to 1 |")?;
    report.line("|---|---|---|---|---|---|---|---|---|")?;
    let wanted = |types: &Types| {
        choice
            .dtype
            .as_deref()
            .is_none_or(|one| one == types.name())
    };
    for model in models(choice) {
        for types in TYPES.into_iter().filter(wanted) {
            let figures = run(device, clock, model, types, choice)?;
            let [prefill, one, four, sixteen] = figures.tokens_s;
            let share = one * figures.bytes / 1e9 / read_gb_s * 100.0;
            report.line(&format!(
                "| {} | {} | {:.0} | {prefill:.0} | {one:.0} | {share:.0} % | {four:.0} | {sixteen:.0} | {:.1} |",
                model.name,
                types.name(),
                figures.bytes / 1e6,
                sixteen / one
            ))?;
            rows.push(serde_json::json!({
                "model": model.name, "type": types.name(), "bytes": figures.bytes,
                "prefill_512": prefill, "decode_1": one, "decode_4": four, "decode_16": sixteen,
                "percent_of_reading": share,
            }));
        }
    }
    report.part("decoders", rows.into());
    Ok(())
}

/// Those that were asked for; without, all, or in a hurry the small ones.
pub(crate) fn models(choice: &Choice) -> impl Iterator<Item = &'static Model> {
    let name = choice.model.clone();
    let count = if name.is_none() && choice.quick {
        3
    } else {
        MODELS.len()
    };
    let wanted = move |model: &&Model| name.as_deref().is_none_or(|name| name == model.name);
    MODELS.iter().take(count).filter(wanted)
}

/// A function that decodes a token of one sequence, 128 tokens in.
pub(crate) fn step(
    device: &Device,
    model: &Model,
    (ops, weights): &(Vec<Op>, Vec<Weight>),
) -> Result<impl FnMut() + use<>, Box<dyn Error>> {
    let pages: Vec<u32> = (0..128 / PAGE_TOKENS + 1).collect();
    let layers = model.cache_layers();
    let cache = Cache::create(device, &layers, pages.len() as u32, PAGE_TOKENS, Dtype::F16)?;
    let bounds = Bounds {
        tokens: 1,
        sequences: 1,
        outputs: 1,
    };
    let graph = Graph::check(ops.clone(), weights.clone(), Some(cache), bounds)?;
    let mut plan = Plan::compile(device, graph)?;
    let mut run = move || {
        let sequences = [Sequence {
            tokens: 1,
            start: 128,
            pages: &pages,
        }];
        plan.run(&Batch {
            tokens: &[1],
            sequences: &sequences,
            outputs: &[0],
        })
    };
    run()?;
    Ok(move || {
        let _ = run();
    })
}

/// Sequences that share a cache, and tokens of its pages.
const STREAMS: u32 = 16;
const PAGE_TOKENS: u32 = 16;

struct Figures {
    /// What a token reads: all weights but the embedding's other rows.
    bytes: f64,
    tokens_s: [f64; 4],
}

fn run(
    device: &Device,
    clock: Clock,
    model: &Model,
    types: Types,
    choice: &Choice,
) -> Result<Figures, Box<dyn Error>> {
    let budget = Duration::from_millis(if choice.quick { 400 } else { 1500 });
    let kept = choice.cache.as_deref().unwrap_or("f16");
    let kept = Dtype::ALL.into_iter().find(|dtype| dtype.name() == kept);
    let kept = kept.ok_or("there is no such type")?;
    let start = choice.start.unwrap_or(128);
    // Room for prefill and for what is decoded.
    let most = (start + 1).max(512).div_ceil(PAGE_TOKENS);
    let layers = model.cache_layers();
    let cache = Cache::create(device, &layers, STREAMS * most, PAGE_TOKENS, kept)?;
    let (ops, weights) = model.graph(types)?;
    let bytes = weights.iter().skip(1).map(|w| w.bytes() as f64).sum();
    let plan = |tokens: u32| -> Result<Plan, Box<dyn Error>> {
        let bounds = Bounds {
            tokens,
            sequences: 16,
            outputs: 16,
        };
        let graph = Graph::check(ops.clone(), weights.clone(), Some(cache.clone()), bounds)?;
        Ok(Plan::compile(device, graph)?)
    };
    let pages: Vec<Vec<u32>> = (0..STREAMS)
        .map(|s| (0..most).map(|p| p * STREAMS + s).collect())
        .collect();
    let mut tokens_s = [0.0; 4];
    let mut prefill = plan(512)?;
    let mut decode = plan(16)?;
    for (place, count) in tokens_s.iter_mut().zip([0_usize, 1, 4, 16]) {
        let streams = choice.streams.as_ref();
        if streams.is_some_and(|streams| !streams.contains(&count)) {
            continue;
        }
        let (plan, each, start) = if count == 0 {
            (&mut prefill, 512, 0)
        } else {
            (&mut decode, 1, start)
        };
        let count = count.max(1);
        let tokens = vec![1; count * each as usize];
        let sequences: Vec<Sequence<'_>> = pages
            .iter()
            .take(count)
            .map(|pages| Sequence {
                tokens: each,
                start,
                pages,
            })
            .collect();
        let outputs: Vec<u32> = (1..=count as u32).map(|s| s * each - 1).collect();
        let batch = Batch {
            tokens: &tokens,
            sequences: &sequences,
            outputs: &outputs,
        };
        plan.run(&batch)?;
        let time = clock.time(budget, || {
            let _ = plan.run(&batch);
        });
        *place = tokens.len() as f64 / time.as_secs_f64();
    }
    Ok(Figures { bytes, tokens_s })
}

impl Model {
    fn cache_layers(&self) -> Vec<CacheLayer> {
        let width = self.width / self.heads;
        let layer = CacheLayer {
            kv_heads: self.kv_heads,
            key_width: width,
            value_width: width,
        };
        vec![layer; self.layers as usize]
    }

    /// A Llama: norms, grouped heads, rotated halves, gated inner layer.
    pub(crate) fn graph(&self, types: Types) -> Result<(Vec<Op>, Vec<Weight>), Box<dyn Error>> {
        let head = self.width / self.heads;
        let kv = self.kv_heads * head;
        let frequencies: Vec<f32> = (0..head / 2)
            .map(|i| 10_000_f32.powf(-2.0 * i as f32 / head as f32))
            .collect();
        let mut weights = weights::random(types.plain(), self.vocabulary, self.width, 1)?;
        weights.push(Weight::from_values(
            vec![1.0; self.width as usize],
            1,
            self.width,
        )?);
        let mut ops = vec![Op::Embed {
            table: 0,
            index: Index::Tokens,
        }];
        let mut x = 0;
        for layer in 0..self.layers {
            let mut of = |dtype, rows, columns| -> Result<u32, Box<dyn Error>> {
                weights.extend(weights::random(dtype, rows, columns, 1)?);
                Ok(weights.len() as u32 - 1)
            };
            let (plain, finer) = (types.plain(), types.finer(layer, self.layers));
            let mut then = |op| {
                ops.push(op);
                ops.len() as u32 - 1
            };
            let norm = |x| Op::RmsNorm {
                x,
                weight: Some(1),
                epsilon: 1e-5,
                group: self.width,
            };
            let rope = |x| Op::Rope {
                x,
                head_width: head,
                pairing: Pairing::Halves,
                frequencies: frequencies.clone(),
                magnitude: 1.0,
            };
            let h = then(norm(x));
            let q = then(Op::Matmul {
                x: h,
                weight: of(plain, self.width, self.width)?,
                bias: None,
            });
            let query = then(rope(q));
            let k = then(Op::Matmul {
                x: h,
                weight: of(plain, kv, self.width)?,
                bias: None,
            });
            let key = then(rope(k));
            let value = then(Op::Matmul {
                x: h,
                weight: of(finer, kv, self.width)?,
                bias: None,
            });
            let a = then(Op::Attention {
                query,
                key,
                value,
                heads: self.heads,
                kv_heads: self.kv_heads,
                layer: Some(layer),
                causal: true,
                window: None,
                scale: (head as f32).sqrt().recip(),
                softcap: None,
            });
            let o = then(Op::Matmul {
                x: a,
                weight: of(plain, self.width, self.width)?,
                bias: None,
            });
            x = then(Op::Add { a: x, b: o });
            let h = then(norm(x));
            let gate = then(Op::Matmul {
                x: h,
                weight: of(plain, self.inner, self.width)?,
                bias: None,
            });
            let up = then(Op::Matmul {
                x: h,
                weight: of(plain, self.inner, self.width)?,
                bias: None,
            });
            let g = then(Op::Gated {
                gate,
                up,
                function: Activation::Silu,
            });
            let d = then(Op::Matmul {
                x: g,
                weight: of(finer, self.width, self.inner)?,
                bias: None,
            });
            x = then(Op::Add { a: x, b: d });
        }
        weights.extend(weights::random(
            types.output(),
            self.vocabulary,
            self.width,
            1,
        )?);
        let weight = weights.len() as u32 - 1;
        ops.push(Op::Outputs { x });
        let x = ops.len() as u32 - 1;
        ops.push(Op::RmsNorm {
            x,
            weight: Some(1),
            epsilon: 1e-5,
            group: self.width,
        });
        ops.push(Op::Matmul {
            x: x + 1,
            weight,
            bias: None,
        });
        Ok((ops, weights))
    }
}
