//! What engines call: `log`, `files`, `compute`. Whatever they ask for, what they hold is counted, and all of it goes back.
#![allow(clippy::expect_used, reason = "what does not hold ends it")]

use std::path::PathBuf;
use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use skep_hw::{CpuSettings, Device};
use wasmtime::component::Resource;

use super::{CALLS_MAX, list, maybe, number};
use crate::host::SourceFile;
use crate::host::compute::{Budget, HeldCache, HeldPlan, HeldWeight};
use crate::host::engine::generated::skep::plugin::compute::{self as wit, Host as _};
use crate::host::engine::generated::skep::plugin::compute::{HostCache, HostPlan, HostWeight};
use crate::host::engine::generated::skep::plugin::files::HostFile;
use crate::host::engine::generated::skep::plugin::log::{self, Host as _};
use crate::host::state::State;
use crate::limits::{FILE_READ_BYTES, LOG_LINE_BYTES, LOG_LINES_PER_SECOND};

/// Little, so that it is soon exhausted.
const MEMORY_BYTES: u64 = 8 << 20;

const FILE_BYTES: usize = 64 << 10;

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let threads = std::num::NonZeroUsize::new(1);
    Device::cpu(CpuSettings { threads, isa: None }).expect("a processor")
});

/// A model file of small numbers.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let bytes: Vec<u8> = (0..FILE_BYTES).map(|at| (at % 251) as u8).collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file that can be written");
    file.into_temp_path().keep().expect("a file that stays")
});

/// What an engine holds. Handles that it gave back stay here: the host must refuse them.
#[derive(Default)]
struct Held {
    files: Vec<u32>,
    weights: Vec<u32>,
    caches: Vec<u32>,
    plans: Vec<u32>,
}

/// Makes calls of `bytes`.
///
/// # Panics
/// When something does not hold that must.
pub fn engine_calls(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let budget = Budget::new(MEMORY_BYTES);
    let mut state = State::new(DEVICE.clone(), budget.clone());
    let mut held = Held::default();
    let file = SourceFile::open(&FILE).expect("a file");
    held.files.push(state.table.push(file).expect("room").rep());
    for _ in 0..CALLS_MAX {
        if u.is_empty() || call(&mut u, &mut state, &mut held).is_err() {
            break;
        }
        assert!(budget.used_bytes() <= MEMORY_BYTES);
    }
    let lines = state.pen.take();
    // One more second may have begun.
    assert!(lines.len() <= 2 * LOG_LINES_PER_SECOND as usize);
    assert!(lines.iter().all(|line| line.text.len() <= LOG_LINE_BYTES));
    drop(state);
    assert_eq!((budget.used_bytes(), budget.mapped_bytes()), (0, 0));
}

/// One call. An error is that the bytes are at their end.
fn call(u: &mut Unstructured<'_>, state: &mut State, held: &mut Held) -> Result<()> {
    match u.int_in_range(0..=15)? {
        0 => {
            let levels = [log::Level::Debug, log::Level::Info, log::Level::Error];
            let level = *u.choose(&levels)?;
            drop(state.write(level, u.arbitrary()?));
        }
        1 => read(u, state, held)?,
        2..=4 => from_file(u, state, held)?,
        5 => from_values(u, state, held)?,
        6 => cache(u, state, held)?,
        7..=10 => plan(u, state, held)?,
        11..=13 => run(u, state, held)?,
        14 => {
            drop(state.device_info());
            if let Some(cache) = one(u, &held.caches)? {
                drop(HostCache::size(
                    state,
                    Resource::<HeldCache>::new_borrow(cache),
                ));
            }
            if let Some(plan) = one(u, &held.plans)? {
                let row = number(u)?;
                drop(state.row(Resource::new_borrow(plan), row));
                drop(state.last_run_ns(Resource::new_borrow(plan)));
            }
        }
        _ => give_back(u, state, held)?,
    }
    Ok(())
}

fn read(u: &mut Unstructured<'_>, state: &mut State, held: &Held) -> Result<()> {
    let Some(file) = one(u, &held.files)? else {
        return Ok(());
    };
    let (offset, length) = (
        u64::from(number(u)?).wrapping_mul(u.arbitrary()?),
        u.arbitrary()?,
    );
    let file = || Resource::<SourceFile>::new_borrow(file);
    drop(state.name(file()));
    let size = HostFile::size(state, file()).unwrap_or_default();
    if let Ok(Ok(read)) = state.read(file(), offset, length) {
        assert!(length <= FILE_READ_BYTES);
        let there = size.saturating_sub(offset).min(u64::from(length));
        assert_eq!(read.len() as u64, there);
    }
    Ok(())
}

fn from_file(u: &mut Unstructured<'_>, state: &mut State, held: &mut Held) -> Result<()> {
    let Some(file) = one(u, &held.files)? else {
        return Ok(());
    };
    let offset = match u.int_in_range(0..=7)? {
        0 => u.arbitrary()?,
        1 => (FILE_BYTES as u64).wrapping_sub(u.int_in_range(0..=64)?),
        _ => u.int_in_range(0..=FILE_BYTES as u64 / 32)? * 32,
    };
    let (rows, columns) = (
        number(u)?,
        number(u)?.saturating_mul(*u.choose(&[1, 4, 32, 256])?),
    );
    let made = state.from_file(Resource::new_borrow(file), offset, dtype(u)?, rows, columns);
    held.weights.extend(
        made.ok()
            .and_then(std::result::Result::ok)
            .map(|weight| weight.rep()),
    );
    Ok(())
}

fn from_values(u: &mut Unstructured<'_>, state: &mut State, held: &mut Held) -> Result<()> {
    let (rows, columns) = (number(u)?, number(u)?);
    let fitting = u64::from(rows) * u64::from(columns);
    let count = match usize::try_from(fitting) {
        Ok(count) if count <= 4_096 && u.ratio(7, 8)? => count,
        _ => u.int_in_range(0..=64)?,
    };
    let first: f32 = u.arbitrary()?;
    let values = (0..count).map(|at| first + at as f32).collect();
    let made = state.from_values(values, rows, columns);
    held.weights.extend(
        made.ok()
            .and_then(std::result::Result::ok)
            .map(|weight| weight.rep()),
    );
    Ok(())
}

fn cache(u: &mut Unstructured<'_>, state: &mut State, held: &mut Held) -> Result<()> {
    let layers = list(u, 4, |u| {
        Ok(wit::CacheLayer {
            kv_heads: number(u)?,
            key_width: number(u)?.saturating_mul(*u.choose(&[1, 16])?),
            value_width: number(u)?.saturating_mul(*u.choose(&[1, 16])?),
        })
    })?;
    let (pages, tokens) = (number(u)?, number(u)?.saturating_mul(*u.choose(&[1, 16])?));
    let made = HostCache::create(state, layers, pages, tokens, dtype(u)?);
    held.caches.extend(
        made.ok()
            .and_then(std::result::Result::ok)
            .map(|cache| cache.rep()),
    );
    Ok(())
}

fn plan(u: &mut Unstructured<'_>, state: &mut State, held: &mut Held) -> Result<()> {
    let mut ops = vec![wit::Op::Embed(wit::EmbedOp {
        table: number(u)?,
        index: wit::Index::Tokens,
    })];
    for _ in 0..u.int_in_range(0..=24)? {
        let op = op(u, ops.len() as u32)?;
        ops.push(op);
    }
    ops.push(wit::Op::Outputs(ops.len() as u32 - 1));
    let weights = list(u, 12, |u| one(u, &held.weights))?;
    let weights = weights
        .into_iter()
        .flatten()
        .map(Resource::<HeldWeight>::new_borrow);
    let cache = one(u, &held.caches)?.map(Resource::<HeldCache>::new_borrow);
    let bounds = wit::Bounds {
        tokens: number(u)?,
        sequences: number(u)?,
        outputs: number(u)?,
    };
    let made = state.compile(ops, weights.collect(), cache, bounds);
    held.plans.extend(
        made.ok()
            .and_then(std::result::Result::ok)
            .map(|plan| plan.rep()),
    );
    Ok(())
}

fn run(u: &mut Unstructured<'_>, state: &mut State, held: &Held) -> Result<()> {
    let Some(plan) = one(u, &held.plans)? else {
        return Ok(());
    };
    let batch = wit::Batch {
        tokens: list(u, 8, number)?,
        sequences: list(u, 4, |u| {
            Ok(wit::RunSequence {
                tokens: number(u)?,
                start: number(u)?,
                pages: list(u, 4, number)?,
            })
        })?,
        outputs: list(u, 4, |u| {
            let row = number(u)?;
            let want = match u.ratio(1, 2)? {
                true => wit::Want::Row,
                false => wit::Want::Top(wit::TopWant {
                    count: number(u)?,
                    temperature: u.arbitrary()?,
                }),
            };
            Ok(wit::OutputWant { row, want })
        })?,
    };
    let wanted = batch.outputs.len();
    if let Ok(Ok(outputs)) = state.run(Resource::<HeldPlan>::new_borrow(plan), batch) {
        assert_eq!(outputs.len(), wanted);
    }
    Ok(())
}

fn give_back(u: &mut Unstructured<'_>, state: &mut State, held: &Held) -> Result<()> {
    match u.int_in_range(0..=3)? {
        0 => {
            if let Some(weight) = one(u, &held.weights)? {
                drop(HostWeight::drop(state, Resource::new_own(weight)));
            }
        }
        1 => {
            if let Some(cache) = one(u, &held.caches)? {
                drop(HostCache::drop(state, Resource::new_own(cache)));
            }
        }
        2 => {
            if let Some(plan) = one(u, &held.plans)? {
                drop(HostPlan::drop(state, Resource::new_own(plan)));
            }
        }
        _ => {
            if let Some(file) = one(u, &held.files)? {
                drop(HostFile::drop(state, Resource::new_own(file)));
            }
        }
    }
    Ok(())
}

/// One of the handles that there are or were.
fn one(u: &mut Unstructured<'_>, handles: &[u32]) -> Result<Option<u32>> {
    if handles.is_empty() {
        return Ok(None);
    }
    u.choose(handles).map(|&handle| Some(handle))
}

fn dtype(u: &mut Unstructured<'_>) -> Result<wit::Dtype> {
    use wit::Dtype::{Bf16, F16, F32, Q4K, Q5K, Q6K, Q40, Q41, Q50, Q51, Q80};
    let all = [F32, F32, F16, Bf16, Q80, Q40, Q41, Q50, Q51, Q4K, Q5K, Q6K];
    u.choose(&all).copied()
}

fn op(u: &mut Unstructured<'_>, before: u32) -> Result<wit::Op> {
    // Mostly what has come just before.
    let x = if u.ratio(7, 8)? {
        before.saturating_sub(1)
    } else {
        number(u)?
    };
    Ok(match u.int_in_range(0..=17)? {
        0 => wit::Op::Embed(wit::EmbedOp {
            table: number(u)?,
            index: *u.choose(&[wit::Index::Tokens, wit::Index::Positions])?,
        }),
        1 | 2 => wit::Op::Matmul(wit::MatmulOp {
            x,
            weight: number(u)?,
            bias: maybe(u, number)?,
        }),
        3 => wit::Op::RmsNorm(wit::RmsNormOp {
            x,
            weight: maybe(u, number)?,
            epsilon: u.arbitrary()?,
            group: number(u)?,
        }),
        4 => wit::Op::LayerNorm(wit::LayerNormOp {
            x,
            weight: number(u)?,
            bias: maybe(u, number)?,
            epsilon: u.arbitrary()?,
        }),
        5 => wit::Op::Rope(wit::RopeOp {
            x,
            head_width: number(u)?,
            pairing: *u.choose(&[wit::Pairing::Adjacent, wit::Pairing::Halves])?,
            frequencies: list(u, 4, |u| u.arbitrary())?,
            magnitude: u.arbitrary()?,
        }),
        6 => wit::Op::Attention(wit::AttentionOp {
            query: x,
            key: number(u)?,
            value: number(u)?,
            heads: number(u)?,
            kv_heads: number(u)?,
            layer: maybe(u, number)?,
            causal: u.arbitrary()?,
            window: maybe(u, number)?,
            scale: u.arbitrary()?,
            softcap: maybe(u, |u| u.arbitrary())?,
        }),
        7 => wit::Op::Activate(wit::ActivateOp {
            x,
            function: activation(u)?,
        }),
        8 => wit::Op::Gated(wit::GatedOp {
            gate: x,
            up: number(u)?,
            function: activation(u)?,
        }),
        9 => wit::Op::Add(wit::PairOp {
            a: x,
            b: number(u)?,
        }),
        10 => wit::Op::Mul(wit::PairOp {
            a: x,
            b: number(u)?,
        }),
        11 => wit::Op::Scale(wit::ScalarOp {
            x,
            by: u.arbitrary()?,
        }),
        12 => wit::Op::Softcap(wit::ScalarOp {
            x,
            by: u.arbitrary()?,
        }),
        13 => wit::Op::AddVector(wit::VectorOp { x, by: number(u)? }),
        14 => wit::Op::Slice(wit::SliceOp {
            x,
            start: number(u)?,
            columns: number(u)?,
        }),
        15 => wit::Op::Softmax(x),
        16 => wit::Op::Pool(wit::PoolOp {
            x,
            mode: *u.choose(&[wit::Pooling::Mean, wit::Pooling::First, wit::Pooling::Last])?,
        }),
        _ => wit::Op::Normalise(x),
    })
}

fn activation(u: &mut Unstructured<'_>) -> Result<wit::Activation> {
    use wit::Activation::{Gelu, GeluQuick, GeluTanh, Relu, Sigmoid, Silu, Tanh};
    u.choose(&[Silu, Gelu, GeluTanh, GeluQuick, Relu, Tanh, Sigmoid])
        .copied()
}
