//! A run allocates nothing.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a counting allocator must implement an unsafe trait; a test may fail"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use skep_hw::{
    Activation, Batch, Bounds, Cache, CacheLayer, CpuSettings, Device, Dtype, Graph, Index, Isa,
    Op, Pairing, Plan, Pooling, Sequence, Weight,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The process's first thread is the harness's, which allocates while it watches the test.
        if rustix::thread::gettid() != rustix::process::getpid() {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, so that no other allocates meanwhile; on a thread of its own wherever the harness runs it.
#[test]
fn a_run_allocates_nothing() {
    std::thread::spawn(runs_allocate_nothing).join().unwrap();
    let counted = std::thread::spawn(|| {
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        drop(std::hint::black_box(Box::new(before)));
        ALLOCATIONS.load(Ordering::SeqCst) - before
    });
    assert!(counted.join().unwrap() > 0, "it counts nothing");
}

fn runs_allocate_nothing() {
    let isas = Isa::available()
        .into_iter()
        .filter(|i| *i != Isa::Reference);
    for isa in isas {
        for threads in [1, 3] {
            let settings = CpuSettings {
                threads: NonZeroUsize::new(threads),
                isa: Some(isa),
            };
            let device = Device::cpu(settings).unwrap();
            let mut plan = decoder(&device);
            let pages: Vec<u32> = (0..40).collect();
            let tokens = vec![1; 600];
            // A prompt long enough for several segments, then single tokens that share them out.
            for (start, count) in [(0, 600), (600, 1), (601, 1), (602, 4)] {
                let sequences = [Sequence {
                    tokens: count,
                    start,
                    pages: &pages,
                }];
                let batch = Batch {
                    tokens: &tokens[..count as usize],
                    sequences: &sequences,
                    outputs: &[0, count - 1],
                };
                assert_none(
                    &mut plan,
                    &batch,
                    &format!("{isa:?}, {threads}: {count} at {start}"),
                );
            }
            let mut plan = embedder(&device);
            let sequences = [
                Sequence {
                    tokens: 9,
                    start: 0,
                    pages: &[],
                },
                Sequence {
                    tokens: 30,
                    start: 0,
                    pages: &[],
                },
            ];
            let batch = Batch {
                tokens: &tokens[..39],
                sequences: &sequences,
                outputs: &[1, 0],
            };
            assert_none(&mut plan, &batch, &format!("{isa:?}, {threads}: embedder"));
        }
    }
}

fn assert_none(plan: &mut Plan, batch: &Batch<'_>, what: &str) {
    let mut top = Vec::with_capacity(256);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    plan.run(batch).unwrap();
    let _ = plan.top(0, 8, 1.0, &mut top).unwrap().unwrap();
    let made = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert_eq!(made, 0, "{what}");
}

const WIDTH: u32 = 64;

fn matrix(rows: u32, columns: u32) -> Weight {
    let count = rows * columns;
    let values = (0..count).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect();
    Weight::from_values(values, rows, columns).unwrap()
}

/// A matrix of signed bytes, out of a file.
fn quantised(rows: u32, columns: u32) -> Weight {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    for block in 0..rows * columns / 32 {
        file.write_all(&half::f16::from_f32(0.01).to_le_bytes())
            .unwrap();
        let quants: Vec<u8> = (0..32_u32)
            .map(|i| (block.wrapping_mul(31) + i * 7) as u8)
            .collect();
        file.write_all(&quants).unwrap();
    }
    let region = skep_hw::Region::map(&file).unwrap();
    Weight::from_region(&region, 0, Dtype::Q8_0, rows, columns).unwrap()
}

fn decoder(device: &Device) -> Plan {
    let layer = CacheLayer {
        kv_heads: 1,
        key_width: 16,
        value_width: 16,
    };
    let cache = Cache::create(device, &[layer], 40, 16, Dtype::F16).unwrap();
    let rope = |x| Op::Rope {
        x,
        head_width: 16,
        pairing: Pairing::Halves,
        frequencies: vec![1.0, 0.5, 0.1, 0.01],
        magnitude: 1.0,
    };
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        Op::RmsNorm {
            x: 0,
            weight: Some(2),
            epsilon: 1e-5,
            group: WIDTH,
        },
        Op::Matmul {
            x: 1,
            weight: 1,
            bias: Some(2),
        },
        rope(2),
        Op::Matmul {
            x: 1,
            weight: 3,
            bias: None,
        },
        Op::Slice {
            x: 4,
            start: 0,
            columns: 16,
        },
        Op::Slice {
            x: 4,
            start: 16,
            columns: 16,
        },
        rope(5),
        Op::Attention {
            query: 3,
            key: 7,
            value: 6,
            heads: 4,
            kv_heads: 1,
            layer: Some(0),
            causal: true,
            window: None,
            scale: 0.25,
            softcap: Some(10.0),
        },
        Op::Add { a: 0, b: 8 },
        Op::Gated {
            gate: 9,
            up: 1,
            function: Activation::Silu,
        },
        Op::Outputs { x: 10 },
        Op::Matmul {
            x: 11,
            weight: 4,
            bias: None,
        },
        Op::Softcap { x: 12, by: 30.0 },
    ];
    let weights = vec![
        matrix(4, WIDTH),
        quantised(WIDTH, WIDTH),
        matrix(1, WIDTH),
        quantised(32, WIDTH),
        matrix(100, WIDTH),
    ];
    let bounds = Bounds {
        tokens: 600,
        sequences: 4,
        outputs: 4,
    };
    Plan::compile(
        device,
        Graph::check(ops, weights, Some(cache), bounds).unwrap(),
    )
    .unwrap()
}

fn embedder(device: &Device) -> Plan {
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        Op::Embed {
            table: 0,
            index: Index::Positions,
        },
        Op::Add { a: 0, b: 1 },
        Op::LayerNorm {
            x: 2,
            weight: 1,
            bias: Some(1),
            epsilon: 1e-5,
        },
        Op::Attention {
            query: 3,
            key: 3,
            value: 3,
            heads: 4,
            kv_heads: 4,
            layer: None,
            causal: false,
            window: None,
            scale: 0.25,
            softcap: None,
        },
        Op::Matmul {
            x: 4,
            weight: 2,
            bias: None,
        },
        Op::Activate {
            x: 5,
            function: Activation::Gelu,
        },
        // Rounds rows as the activation makes them.
        Op::Matmul {
            x: 6,
            weight: 3,
            bias: None,
        },
        Op::Pool {
            x: 7,
            mode: Pooling::Mean,
        },
        Op::Normalise { x: 8 },
    ];
    let square = || quantised(WIDTH, WIDTH);
    let weights = vec![matrix(64, WIDTH), matrix(1, WIDTH), square(), square()];
    let bounds = Bounds {
        tokens: 64,
        sequences: 4,
        outputs: 4,
    };
    Plan::compile(device, Graph::check(ops, weights, None, bounds).unwrap()).unwrap()
}
