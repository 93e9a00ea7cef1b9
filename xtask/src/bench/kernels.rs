//! The kernels alone, beside the speed of memory: what `hw/examples/bench.rs` measures, as a table.

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

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let program = program()?;
    let (mut rows, mut note) = (Vec::new(), String::from(NOTE));
    for threads in ["1", "2"] {
        let mut command = std::process::Command::new(&program);
        command.args(["--json", "--only", "products", "--threads", threads]);
        if effort == Effort::Quick {
            command.arg("--quick");
        }
        let found = load::call_with(&mut command)?;
        let small = load::number(&found, "/memory/small_pages_gb_s")?;
        let huge = load::number(&found, "/memory/huge_pages_gb_s")?;
        note += &format!(
            " Reading with {threads}: {small:.1} GB/s on 4 KiB pages, {huge:.1} on 2 MiB pages."
        );
        let products = found.get("products").and_then(Value::as_array);
        for product in products.context("the example told no products")? {
            rows.push(row(product, threads)?);
        }
    }
    report.add(Table {
        title: "Kernels",
        command: "cargo xtask bench kernels",
        note,
        columns: vec![
            "type",
            "size",
            "threads",
            "1 row GB/s",
            "% of reading",
            "GFLOP/s 1 row",
            "4 rows",
            "16 rows",
            "256 rows",
        ],
        rows,
    });
    Ok(())
}

fn row(product: &Value, threads: &str) -> Result<Vec<Cell>> {
    let name = product.get("type").and_then(Value::as_str);
    let number = |field: &str, decimals| {
        load::number(product, &format!("/{field}")).map(|number| Cell::Number(number, decimals))
    };
    Ok(vec![
        Cell::text(name.context("a product without a type")?),
        number("size", 0)?,
        Cell::text(threads),
        number("gb_s", 1)?,
        number("percent_of_reading", 0)?,
        number("gflop_s_1", 0)?,
        number("gflop_s_4", 0)?,
        number("gflop_s_16", 0)?,
        number("gflop_s_256", 0)?,
    ])
}

const NOTE: &str = "Chains of products with square matrices, larger together than any cache. One thread: \
                    by the processor time that it got; two: by wall time, the best round. % is of reading \
                    with as many threads on 4 KiB pages.";
