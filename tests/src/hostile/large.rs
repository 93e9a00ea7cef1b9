//! Components that are large: they aim at the compiler, at validation and at what is kept of each part.

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
    let types = "(type (func (param i32)))".repeat(1_000_000);
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
    let deep = format!(
        "(func {} {})",
        "block ".repeat(200_000),
        "end ".repeat(200_000)
    );
    Ok(vec![
        (
            "function_of_nested_blocks",
            shell(&nested, 1)?,
            &["bytes in one function, which no plugin needs"],
        ),
        // What the compiler takes on, it finishes or is stopped at; the shell is no scheduler in the end.
        ("function_nested_deeply", shell(&deep, 1)?, COMPILED),
        (
            "functions_of_many_locals",
            shell(&locals.repeat(200), 1)?,
            COMPILED,
        ),
        (
            "tables_of_branches",
            shell(&branches, 1)?,
            &["exceeds the implementation limit"],
        ),
        (
            "million_functions",
            shell(&functions, 1)?,
            &["functions, which no plugin needs"],
        ),
        (
            "million_types",
            shell(&types, 1)?,
            &["types, which no plugin needs"],
        ),
        (
            "ten_thousand_tables",
            shell(&tables, 1)?,
            &["tables, which no plugin needs"],
        ),
        (
            "ten_thousand_memories",
            shell(&memories, 1)?,
            &["memory in one module, which no plugin needs"],
        ),
        (
            "components_nested_10000_deep",
            nested_components(10_000),
            &["levels of nesting, which no plugin needs"],
        ),
        (
            "ten_thousand_instances",
            shell("(memory 16)", 10_000)?,
            &["modules and instances, which no plugin needs"],
        ),
        ("flipped_bit", flipped, &["cannot be used"]),
        ("cut_short", cut, &["it is damaged"]),
    ])
}

const COMPILED: &[&str] = &[
    "the compiler took longer",
    "the compiler was stopped",
    "failed to compile",
    "found 0-tuple",
];

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

/// A component with the look of a scheduler around a core module that nobody has validated, instantiated so many times.
fn shell(parts: &str, times: usize) -> Result<Vec<u8>> {
    let many = "(core instance (instantiate $m))".repeat(times);
    let text = format!(
        "(component (core module $m {parts}) {many}
            (core module $f (func (export \"f\")))
            (core instance $i (instantiate $f))
            (func $g (canon lift (core func $i \"f\")))
            (instance $p (export \"observe\" (func $g)) (export \"place\" (func $g)) (export \"route\" (func $g)))
            (export \"skep:plugin/policy@0.1.0\" (instance $p)))"
    );
    Ok(wat::parse_str(text)?)
}
