//! The ways to go wrong.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use skep_sdk::engine::compute::{self, CacheLayer, Dtype, Weight};
use skep_sdk::engine::{Error, File, log};

/// Does what the host must survive. Returns only where that is the point.
#[expect(clippy::panic, clippy::exit, reason = "they are what is tried")]
pub(crate) fn indulge(vice: &str, file: Option<&File>) -> Result<(), Error> {
    match vice {
        "loop" => endless(),
        "host-loop" => loop {
            black_box(compute::device_info());
        },
        "grow" => grow(),
        "trap" => trap(),
        "panic" => panic!("a panic with\nan \u{1b}[31mescape"),
        "recursion" => {
            black_box(recurse(0));
        }
        "handles" => return handles(),
        "log-flood" => log_flood(),
        "long-line" => log::write(log::Level::Info, &"x".repeat(10 << 20)),
        "giant-list" => return giant_list(),
        "giant-cache" => return giant_cache(),
        "giant-weight" => return giant_weight(file),
        "misaligned-weight" => return misaligned_weight(file),
        "environment" => return environment(),
        "exit" => std::process::exit(3),
        "sleep" => sleep(),
        "read-past" => return read_past(file),
        "long-error" => return Err(Error::Malformed("lies ".repeat(1 << 20))),
        other => return Err(Error::Malformed(format!("no vice is named `{other}`"))),
    }
    Ok(())
}

fn endless() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

#[expect(clippy::disallowed_methods, reason = "the host must not wait for it")]
fn sleep() {
    std::thread::sleep(std::time::Duration::from_secs(1 << 40));
}

fn grow() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
    }
}

fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

/// Recursion that keeps nothing in memory, so that the native stack is what runs out.
fn recurse(depth: u64) -> u64 {
    static STEP: AtomicU64 = AtomicU64::new(1);
    if depth == u64::MAX {
        return 0;
    }
    let deeper = recurse(depth + STEP.load(Ordering::Relaxed));
    deeper.wrapping_mul(31).rotate_left(7) ^ depth
}

/// A million handles, none of them dropped.
fn handles() -> Result<(), Error> {
    let mut hoard = Vec::new();
    for _ in 0..1_000_000 {
        hoard.push(Weight::from_values(&[1.0], 1, 1)?);
    }
    Err(Error::Other(format!("it holds {} handles", hoard.len())))
}

fn log_flood() {
    for number in 0..100_000_u32 {
        log::write(
            log::Level::Error,
            &format!("line {number}\nERROR forged \u{1b}]0;title\u{7}"),
        );
    }
}

/// One call with more bytes than a call may have.
fn giant_list() -> Result<(), Error> {
    let values = vec![1.0_f32; 64 << 20 >> 2];
    Weight::from_values(&values, 1, values.len() as u32).map(drop)
}

fn giant_cache() -> Result<(), Error> {
    let layer = CacheLayer {
        kv_heads: 1 << 15,
        key_width: 1 << 15,
        value_width: 1 << 15,
    };
    compute::Cache::create(&[layer; 64], 1 << 20, 256, Dtype::F32).map(drop)
}

fn giant_weight(file: Option<&File>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    for (offset, rows) in [(0, u32::MAX), (u64::MAX - 3, 1), (1 << 40, 1)] {
        match Weight::from_file(file, offset, Dtype::F32, rows, u32::MAX) {
            Err(Error::Malformed(_)) => {}
            other => return Err(Error::Other(format!("{offset} {rows}: {other:?}"))),
        }
    }
    Err(Error::Other("all were refused".to_owned()))
}

fn misaligned_weight(file: Option<&File>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    Weight::from_file(file, 1, Dtype::F32, 1, 1).map(drop)
}

fn environment() -> Result<(), Error> {
    let variables = std::env::vars().count();
    let arguments = std::env::args().count();
    let folder = std::fs::read_dir("/").is_ok() || std::fs::File::create("/x").is_ok();
    let input = std::io::stdin().lines().count();
    Err(Error::Other(format!(
        "{variables} variables, {arguments} arguments, folder {folder}, {input} lines"
    )))
}

fn read_past(file: Option<&File>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    let past = file.read(u64::MAX, 10)?.len() + file.read(file.size(), 10)?.len();
    match file.read(0, u32::MAX) {
        Err(Error::Invalid(_)) => Err(Error::Other(format!("{past} bytes past the end"))),
        other => Err(Error::Other(format!("{other:?}"))),
    }
}
