//! Everything but products: ops over rows, beside copying memory, and attention.

use std::error::Error;
use std::time::Duration;

use skep_hw::{
    Activation, Batch, Bounds, Cache, CacheLayer, Device, Dtype, Graph, Index, Op, Pairing, Plan,
    Sequence, Weight,
};

use crate::products::Limits;
use crate::{Clock, Report, words};

/// Rows of a prompt's step, and columns: a value is 4 MiB, so that a chain of ops lives beyond the second-level cache.
const ROWS: u32 = 512;
const WIDTH: u32 = 2048;

/// Columns of a head.
const HEAD: u32 = 64;

/// Numbers of a row of logits.
const VOCABULARY: u32 = 32_768;

/// Ops of a chain.
const CHAIN: u32 = 16;

const PAGE_TOKENS: u32 = 16;

/// An op over value `x` or the first one by its name, and how many values it reads.
type Row = (&'static str, fn(x: u32) -> Op, u32);

const OPS: [Row; 9] = [
    ("add", |x| Op::Add { a: x, b: 0 }, 2),
    ("rms-norm", rms_norm, 1),
    ("layer-norm", layer_norm, 1),
    ("rope", rope, 1),
    ("gated silu", |_| gated(Activation::Silu), 1),
    ("gated gelu-tanh", |_| gated(Activation::GeluTanh), 1),
    ("gated gelu", |_| gated(Activation::Gelu), 1),
    ("softmax", |x| Op::Softmax { x }, 1),
    ("softcap", |x| Op::Softcap { x, by: 30.0 }, 1),
];

fn rms_norm(x: u32) -> Op {
    Op::RmsNorm {
        x,
        weight: Some(1),
        epsilon: 1e-5,
        group: WIDTH,
    }
}

fn layer_norm(x: u32) -> Op {
    Op::LayerNorm {
        x,
        weight: 1,
        bias: Some(1),
        epsilon: 1e-5,
    }
}

fn rope(x: u32) -> Op {
    Op::Rope {
        x,
        head_width: HEAD,
        pairing: Pairing::Halves,
        frequencies: (0..HEAD / 2).map(|i| 1.0 / (i + 1) as f32).collect(),
        magnitude: 1.0,
    }
}

/// Gates of gates would soon be denormal numbers, which are slow.
fn gated(function: Activation) -> Op {
    Op::Gated {
        gate: 0,
        up: 0,
        function,
    }
}

/// A table.
pub(crate) fn measure(
    device: &Device,
    clock: Clock,
    quick: bool,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let budget = Duration::from_millis(if quick { 300 } else { 1000 });
    let numbers = f64::from(ROWS) * f64::from(WIDTH);
    // What a scaling by one costs is what moving the numbers costs.
    let copy_ns = chain(device, clock, budget, |x| Op::Scale { x, by: 1.0 })?;
    let copy = 8.0 * numbers / copy_ns;
    report.line(&format!(
        "\nscaling {ROWS} x {WIDTH}: {copy:.1} GB/s read and written\n"
    ))?;
    report.line("| op | ns a thousand numbers | GB/s | of scaling |")?;
    report.line("|---|---|---|---|")?;
    let mut rows = Vec::new();
    for (name, op, read) in OPS {
        let ns = chain(device, clock, budget, op)?;
        let gb_s = f64::from(read + 1) * 4.0 * numbers / ns;
        let share = gb_s / copy * 100.0;
        let each = ns / numbers * 1000.0;
        report.line(&format!(
            "| {name} | {each:.0} | {gb_s:.1} | {share:.0} % |"
        ))?;
        rows.push(serde_json::json!({
            "op": name, "ns_per_1000": each, "gb_s": gb_s, "percent_of_scaling": share,
        }));
    }
    for count in [1, 256] {
        let ns = top(device, clock, budget, count)?;
        let gb_s = 4.0 * f64::from(VOCABULARY) / ns;
        let (share, each) = (gb_s / copy * 100.0, ns / f64::from(VOCABULARY) * 1000.0);
        let name = format!("top {count}");
        report.line(&format!(
            "| {name} | {each:.0} | {gb_s:.1} | {share:.0} % |"
        ))?;
        rows.push(serde_json::json!({
            "op": name, "ns_per_1000": each, "gb_s": gb_s, "percent_of_scaling": share,
        }));
    }
    report.part("ops", rows.into());
    Ok(())
}

/// Nanoseconds of one op.
fn chain(
    device: &Device,
    clock: Clock,
    budget: Duration,
    op: impl Fn(u32) -> Op,
) -> Result<f64, Box<dyn Error>> {
    let ops = (0..CHAIN).map(op).collect();
    let mut run = plan(device, ops, None, ROWS, 0)?;
    let embed_and_rest = {
        let mut run = plan(device, Vec::new(), None, ROWS, 0)?;
        clock.time(budget / 4, &mut run).as_nanos() as f64
    };
    let all = clock.time(budget, &mut run).as_nanos() as f64;
    Ok((all - embed_and_rest).max(1.0) / f64::from(CHAIN))
}

/// Nanoseconds of the `count` largest of a vocabulary's numbers and the sum of all exponentials; one thread does it.
fn top(
    device: &Device,
    clock: Clock,
    budget: Duration,
    count: usize,
) -> Result<f64, Box<dyn Error>> {
    let mut state = 1_u32;
    let logits: Vec<f32> = (0..VOCABULARY)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1_048_576.0
        })
        .collect();
    let weights = vec![Weight::from_values(logits, 1, VOCABULARY)?];
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        Op::Outputs { x: 0 },
    ];
    let bounds = Bounds {
        tokens: 1,
        sequences: 1,
        outputs: 1,
    };
    let mut plan = Plan::compile(device, Graph::check(ops, weights, None, bounds)?)?;
    plan.run(&Batch {
        tokens: &[0],
        sequences: &[Sequence {
            tokens: 1,
            start: 0,
            pages: &[],
        }],
        outputs: &[0],
    })?;
    let mut found = Vec::new();
    let time = clock.time(budget, || {
        let _ = std::hint::black_box(plan.top(0, count, 1.0, &mut found));
    });
    Ok(time.as_nanos() as f64)
}

/// A prompt of 512 tokens in GFLOP/s, and a token after 2,048 in GB/s of keys and values.
pub(crate) fn attention(
    device: &Device,
    clock: Clock,
    limits: &Limits,
    quick: bool,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let budget = Duration::from_millis(if quick { 300 } else { 1000 });
    report.line("\n| attention, cache | prompt of 512, GFLOP/s | of multiplying | a token after 2,048, GB/s | of reading |")?;
    report.line("|---|---|---|---|---|")?;
    let mut rows = Vec::new();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Q8_0] {
        let prompt = attend(device, clock, budget, dtype, [ROWS, 0])?;
        let pairs = f64::from(ROWS) * f64::from(ROWS + 1) / 2.0;
        let gflop_s = 4.0 * f64::from(WIDTH) * pairs / prompt;
        let start = 2048;
        let token = attend(device, clock, budget, dtype, [1, start])?;
        let kept = dtype.row_bytes(WIDTH as usize).ok_or("no whole blocks")? * 2;
        let gb_s = kept as f64 * f64::from(start) / token;
        let multiplied = limits.peak.floats.map(|peak| gflop_s / peak * 100.0);
        let share = gb_s / limits.read_gb_s * 100.0;
        report.line(&format!(
            "| {} | {gflop_s:.0} | {} % | {gb_s:.1} | {share:.0} % |",
            dtype.name(),
            words(multiplied)
        ))?;
        rows.push(serde_json::json!({
            "cache": dtype.name(), "prompt_gflop_s": gflop_s, "percent_of_peak": multiplied,
            "token_gb_s": gb_s, "percent_of_reading": share,
        }));
    }
    report.part("attention", rows.into());
    Ok(())
}

/// Nanoseconds of one attention of `tokens` tokens after `start` others.
fn attend(
    device: &Device,
    clock: Clock,
    budget: Duration,
    dtype: Dtype,
    [tokens, start]: [u32; 2],
) -> Result<f64, Box<dyn Error>> {
    let heads = WIDTH / HEAD;
    let layer = CacheLayer {
        kv_heads: heads,
        key_width: HEAD,
        value_width: HEAD,
    };
    let layers = vec![layer; CHAIN as usize];
    let pages = (start + tokens).div_ceil(PAGE_TOKENS);
    let cache = Cache::create(device, &layers, pages, PAGE_TOKENS, dtype)?;
    let op = |layer: u32| Op::Attention {
        query: layer,
        key: layer,
        value: layer,
        heads,
        kv_heads: heads,
        layer: Some(layer),
        causal: true,
        window: None,
        scale: 0.125,
        softcap: None,
    };
    let ops = (0..CHAIN).map(op).collect();
    let run = plan(device, ops, Some(cache), tokens, start)?;
    let time = clock.time(budget, run);
    Ok(time.as_nanos() as f64 / f64::from(CHAIN))
}

/// Runs `ops` on `tokens` equal rows after `start` others.
fn plan(
    device: &Device,
    ops: Vec<Op>,
    cache: Option<Cache>,
    tokens: u32,
    start: u32,
) -> Result<impl FnMut() + use<>, Box<dyn Error>> {
    let row: Vec<f32> = (0..WIDTH)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
        .collect();
    let weights = vec![
        Weight::from_values(row, 1, WIDTH)?,
        Weight::from_values(vec![1.0; WIDTH as usize], 1, WIDTH)?,
    ];
    let mut all = vec![Op::Embed {
        table: 0,
        index: Index::Tokens,
    }];
    all.extend(ops);
    let x = all.len() as u32 - 1;
    all.push(Op::Outputs { x });
    let bounds = Bounds {
        tokens: ROWS,
        sequences: 1,
        outputs: 1,
    };
    let pages: Vec<u32> = (0..(start + tokens).div_ceil(PAGE_TOKENS)).collect();
    let pages = if cache.is_some() { pages } else { Vec::new() };
    let graph = Graph::check(all, weights, cache, bounds)?;
    let mut plan = Plan::compile(device, graph)?;
    let mut run = move |start: u32, tokens: u32| {
        let ids = vec![0; tokens as usize];
        let sequences = [Sequence {
            tokens,
            start,
            pages: &pages,
        }];
        plan.run(&Batch {
            tokens: &ids,
            sequences: &sequences,
            outputs: &[0],
        })
    };
    // A cache that nobody wrote is one page of zeros to the kernel.
    for before in (0..start).step_by(ROWS as usize) {
        run(before, ROWS.min(start - before))?;
    }
    run(start, tokens)?;
    Ok(move || {
        let _ = run(start, tokens);
    })
}
