//! Components that are large: they aim at the compiler, at validation and at what is kept of each part.

use std::fmt::Write as _;

use anyhow::Result;

use super::Shape;

type Large = (&'static str, Vec<u8>, &'static [&'static str]);

pub(super) fn all(shape: &Shape) -> Result<Vec<Large>> {
    let blocks = 1_500_000;
    let nested = format!(
        "(func {} {})",
        "block ".repeat(blocks),
        "end ".repeat(blocks)
    );
    let functions = "(func)".repeat(1_000_000);
    let mut types = String::new();
    for number in 0..1_000_000_u32 {
        // No two alike.
        let kinds = (0..20).map(|bit| if number >> bit & 1 == 0 { "i32" } else { "i64" });
        write!(
            types,
            "(type (func (param {})))",
            kinds.collect::<Vec<_>>().join(" ")
        )?;
    }
    let locals = "(func (local i32) (local i64))"
        .replace("(local i32)", &format!("(local {})", "i32 ".repeat(49_000)));
    let tables = "(table 1 funcref)".repeat(10_000);
    let memories = "(memory 1)".repeat(10_000);
    let branches = format!(
        "(func (param i32) {})",
        format!("(block (br_table {} (local.get 0)))", "0 ".repeat(100_000)).repeat(20)
    );
    let whole = shape.component("")?;
    let mut flipped = whole.clone();
    if let Some(byte) = flipped.get_mut(whole.len() / 3) {
        *byte ^= 0x40;
    }
    let cut = whole
        .get(..whole.len() * 2 / 3)
        .unwrap_or_default()
        .to_vec();
    const LIMITED: &[&str] = &["killed", "limit", "too ", "count", "exceed", "compil"];
    Ok(vec![
        (
            "function_of_nested_blocks",
            shape.component(&nested)?,
            LIMITED,
        ),
        ("million_functions", shape.component(&functions)?, LIMITED),
        ("million_types", shape.component(&types)?, LIMITED),
        (
            "thousand_functions_of_locals",
            shape.component(&locals.repeat(200))?,
            LIMITED,
        ),
        ("ten_thousand_tables", shape.component(&tables)?, LIMITED),
        (
            "ten_thousand_memories",
            shape.component(&memories)?,
            LIMITED,
        ),
        ("tables_of_branches", shape.component(&branches)?, LIMITED),
        (
            "components_nested_10000_deep",
            nested_components(10_000),
            LIMITED,
        ),
        ("ten_thousand_instances", instances(10_000)?, LIMITED),
        (
            "flipped_bit",
            flipped,
            &["damaged", "world", "compil", "valid"],
        ),
        ("cut_short", cut, &["damaged"]),
    ])
}

/// A component in a component, and so on, and an export that makes it look like a scheduler.
fn nested_components(depth: usize) -> Vec<u8> {
    const HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";
    let mut inner = HEAD.to_vec();
    for _ in 0..depth {
        let mut outer = HEAD.to_vec();
        outer.push(4);
        number(&mut outer, inner.len());
        outer.extend(inner);
        inner = outer;
    }
    inner
}

/// A section's length (LEB128).
fn number(to: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return to.push(low);
        }
        to.push(low | 0x80);
    }
}

fn instances(count: usize) -> Result<Vec<u8>> {
    let many = "(core instance (instantiate $m))".repeat(count);
    let text = format!(
        "(component (core module $m (memory 16)) {many}
            (core module $f (func (export \"f\")))
            (core instance $i (instantiate $f))
            (func $g (canon lift (core func $i \"f\")))
            (instance $p (export \"observe\" (func $g)) (export \"place\" (func $g)) (export \"route\" (func $g)))
            (export \"skep:plugin/policy@0.1.0\" (instance $p)))"
    );
    Ok(wat::parse_str(text)?)
}
