//! Products with square matrices.

use std::error::Error;
use std::time::Duration;

use skep_hw::{Batch, Bounds, Device, Dtype, Graph, Index, Op, Plan, Sequence, Weight};

use crate::peak::Peak;
use crate::{Clock, Report, weights, words};

/// Which products, and how.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) quick: bool,
    /// One type by name.
    pub(crate) dtype: Option<String>,
    /// Of decoders: the only size.
    pub(crate) model: Option<String>,
    /// Of decoders: the only numbers of streams; 0 is prefill.
    pub(crate) streams: Option<Vec<usize>>,
    /// Of decoders: how keys and values are kept; f16 by default.
    pub(crate) cache: Option<String>,
    /// Of decoders: tokens before the one that is decoded; 128 by default.
    pub(crate) start: Option<u32>,
    /// One size.
    pub(crate) size: Option<u32>,
    /// One matrix again and again, so that it stays in the cache.
    pub(crate) cached: bool,
}

/// What bounds everything, measured in the same process.
pub(crate) struct Limits {
    pub(crate) read_gb_s: f64,
    pub(crate) peak: Peak,
}

impl Limits {
    /// The share of the vector units' multiplications that products of a type are, in percent. None with tiles of AMX,
    /// whose peak is another.
    fn multiplied(&self, device: &Device, dtype: Dtype, gflop_s: f64) -> Option<f64> {
        let peak = match dtype {
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => self.peak.floats,
            _ if device.name().contains("AMX") => None,
            _ => self.peak.bytes,
        };
        peak.map(|peak| gflop_s / peak * 100.0)
    }
}

/// A chain of products over more weights than any cache holds, for each type.
pub(crate) fn measure(
    device: &Device,
    clock: Clock,
    limits: &Limits,
    choice: &Choice,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let sizes = match choice.size {
        Some(size) => vec![size],
        None if choice.quick => vec![4096],
        None => vec![4096, 8192],
    };
    let mut rows = Vec::new();
    report.line(
        "\n| type | size | 1 row GB/s | of reading | 1 row GFLOP/s | 4 rows | 16 rows | 256 rows | of multiplying |",
    )?;
    report.line("|---|---|---|---|---|---|---|---|---|")?;
    for size in &sizes {
        for dtype in Dtype::ALL {
            if choice
                .dtype
                .as_deref()
                .is_some_and(|name| name != dtype.name())
            {
                continue;
            }
            let row = chain(device, clock, dtype, *size, choice)?;
            let share = row.gb_s / limits.read_gb_s * 100.0;
            let [one, four, sixteen, many] = row.gflop_s;
            let multiplied = limits.multiplied(device, dtype, many);
            report.line(&format!(
                "| {} | {size} | {:.1} | {share:.0} % | {one:.0} | {four:.0} | {sixteen:.0} | {many:.0} | {} % |",
                dtype.name(),
                row.gb_s,
                words(multiplied)
            ))?;
            rows.push(serde_json::json!({
                "type": dtype.name(), "size": size, "gb_s": row.gb_s, "percent_of_reading": share,
                "gflop_s_1": one, "gflop_s_4": four, "gflop_s_16": sixteen, "gflop_s_256": many, "percent_of_peak": multiplied,
            }));
        }
    }
    report.part("products", rows.into());
    Ok(())
}

struct Row {
    gb_s: f64,
    gflop_s: [f64; 4],
}

fn chain(
    device: &Device,
    clock: Clock,
    dtype: Dtype,
    size: u32,
    choice: &Choice,
) -> Result<Row, Box<dyn Error>> {
    let bytes = dtype.row_bytes(size as usize).ok_or("no whole blocks")? * size as usize;
    let most = match (choice.cached, choice.quick) {
        (true, _) => 0,
        (false, true) => 256 << 20,
        (false, false) => 512 << 20,
    };
    let count = (most / bytes).max(1);
    let all = weights::random(dtype, size, size, count)?;
    let budget = Duration::from_millis(if choice.quick { 300 } else { 1000 });
    let mut gflop_s = [0.0; 4];
    let mut gb_s = 0.0;
    for (place, rows) in gflop_s.iter_mut().zip([1_u32, 4, 16, 256]) {
        // Many rows are limited by arithmetic, which a few matrices show as well.
        let used = if rows == 256 { count.min(3) } else { count };
        let mut plan = plan(device, all.get(..used).unwrap_or_default(), size, rows)?;
        let tokens = vec![0; rows as usize];
        let sequences = [Sequence {
            tokens: rows,
            start: 0,
            pages: &[],
        }];
        let batch = Batch {
            tokens: &tokens,
            sequences: &sequences,
            outputs: &[0],
        };
        plan.run(&batch)?;
        let time = clock.time(budget, || {
            let _ = plan.run(&batch);
        });
        let ns = time.as_nanos() as f64;
        let numbers = f64::from(size) * f64::from(size) * used as f64;
        *place = 2.0 * numbers * f64::from(rows) / ns;
        if rows == 1 {
            gb_s = (bytes * used) as f64 / ns;
        }
    }
    Ok(Row { gb_s, gflop_s })
}

fn plan(device: &Device, all: &[Weight], size: u32, rows: u32) -> Result<Plan, Box<dyn Error>> {
    let first: Vec<f32> = (0..size)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
        .collect();
    let mut weights = vec![Weight::from_values(first, 1, size)?];
    let mut ops = vec![Op::Embed {
        table: 0,
        index: Index::Tokens,
    }];
    for (x, weight) in (0_u32..).zip(all) {
        weights.push(weight.clone());
        ops.push(Op::Matmul {
            x,
            weight: x + 1,
            bias: None,
        });
    }
    ops.push(Op::Outputs {
        x: ops.len() as u32 - 1,
    });
    let bounds = Bounds {
        tokens: rows,
        sequences: 1,
        outputs: 1,
    };
    let graph = Graph::check(ops, weights, None, bounds)?;
    Ok(Plan::compile(device, graph)?)
}
