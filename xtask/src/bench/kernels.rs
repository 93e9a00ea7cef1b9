//! The kernels alone, beside the speed of memory and of the multipliers: what `hw/examples/bench.rs` measures, as
//! tables.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::report::{Cell, Report, Table};
use super::{Effort, load};
use crate::step::{cargo, execute, target};

/// The example that measures, built if need be.
pub(super) fn program() -> Result<PathBuf> {
    let mut build = cargo(["build", "--quiet", "--release", "--package", "skep-hw"]);
    execute(build.args(["--example", "bench"]))?;
    Ok(target().join("release/examples/bench"))
}

/// A column: its heading, the field of the example's object, and decimals.
type Column = (&'static str, &'static str, usize);

struct Part {
    title: &'static str,
    /// The array of the example's object.
    array: &'static str,
    /// What the rows are of, as in the example's object.
    of: &'static str,
    columns: &'static [Column],
    note: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        title: "Kernels",
        array: "products",
        of: "type",
        columns: &[
            ("size", "size", 0),
            ("1 row GB/s", "gb_s", 1),
            ("% of reading", "percent_of_reading", 0),
            ("GFLOP/s 1 row", "gflop_s_1", 0),
            ("4 rows", "gflop_s_4", 0),
            ("16 rows", "gflop_s_16", 0),
            ("256 rows", "gflop_s_256", 0),
            ("% of multiplying", "percent_of_peak", 0),
        ],
        note: "Chains of products with square matrices, larger together than any cache.",
    },
    Part {
        title: "Other ops",
        array: "ops",
        of: "op",
        columns: &[
            ("ns a thousand numbers", "ns_per_1000", 0),
            ("GB/s", "gb_s", 1),
            ("% of scaling", "percent_of_scaling", 0),
        ],
        note: "Sixteen of an op one after another on 512 rows of 2,048 numbers, which lie beyond the second-level cache. \
               Scaling by one is what moving numbers costs.",
    },
    Part {
        title: "Attention",
        array: "attention",
        of: "cache",
        columns: &[
            ("prompt of 512, GFLOP/s", "prompt_gflop_s", 0),
            ("% of multiplying", "percent_of_peak", 0),
            ("a token after 2,048, GB/s", "token_gb_s", 1),
            ("% of reading", "percent_of_reading", 0),
        ],
        note: "32 heads of 64 columns. Of a prompt, only the pairs of query and key that are seen count as work.",
    },
];

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let program = program()?;
    let mut tables: Vec<Vec<Vec<Cell>>> = PARTS.iter().map(|_| Vec::new()).collect();
    let mut limits = String::new();
    for threads in ["1", "2"] {
        for (part, rows) in PARTS.iter().zip(&mut tables) {
            let mut command = std::process::Command::new(&program);
            command.args(["--json", "--only", part.array, "--threads", threads]);
            if effort == Effort::Quick {
                command.arg("--quick");
            }
            let found = load::call_with(&mut command)?;
            if part.array == PARTS[0].array {
                limits += &words(&found, threads)?;
            }
            let all = found.get(part.array).and_then(Value::as_array);
            for each in all.with_context(|| format!("the example told no {}", part.array))? {
                rows.push(row(part, each, threads)?);
            }
        }
    }
    for (part, rows) in PARTS.iter().zip(tables) {
        let columns = part.columns.iter().map(|&(heading, ..)| heading);
        report.add(Table {
            title: part.title,
            command: "cargo xtask bench kernels",
            note: format!("{} {NOTE}{limits}", part.note),
            columns: [part.of, "threads"].into_iter().chain(columns).collect(),
            rows,
        });
    }
    Ok(())
}

/// What bounds everything.
fn words(found: &Value, threads: &str) -> Result<String> {
    let small = load::number(found, "/memory/small_pages_gb_s")?;
    let huge = load::number(found, "/memory/huge_pages_gb_s")?;
    let peak = |of: &str| {
        let peak = found.pointer(&format!("/peak/{of}_gflop_s"));
        let peak = peak.and_then(Value::as_f64);
        peak.map_or_else(
            || "an unknown number".to_owned(),
            |peak| format!("{peak:.0}"),
        )
    };
    Ok(format!(
        " With {threads}: reading {small:.1} GB/s on 4 KiB pages and {huge:.1} on 2 MiB pages, multiplying {} GFLOP/s of \
         floats and {} of bytes.",
        peak("floats"),
        peak("bytes")
    ))
}

fn row(part: &Part, found: &Value, threads: &str) -> Result<Vec<Cell>> {
    let name = found.get(part.of).and_then(Value::as_str);
    let mut row = vec![
        Cell::text(name.context("a row without a name")?),
        Cell::text(threads),
    ];
    for &(_, field, decimals) in part.columns {
        let value = found.get(field).context("a column is missing")?;
        let unknown = || Cell::text("–");
        row.push(
            value
                .as_f64()
                .map_or_else(unknown, |number| Cell::Number(number, decimals)),
        );
    }
    Ok(row)
}

const NOTE: &str = "One thread: by the processor time that it got; two: by wall time, the best round. Reading: with as many threads on \
                    4 KiB pages. Multiplying: a loop of the vector units' fused products, of floats or of bytes by fours.";
