//! Plans on a card that is not there: the driver's functions and the threads of the real kernels' sources are emulated
//! (`fakes/cuda.cpp`), and every op must agree with the reference.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unsafe_code,
    reason = "a test that meets the unexpected has failed"
)]

#[path = "cuda/build.rs"]
mod build;
#[path = "parity/card.rs"]
mod card;
#[path = "cuda/fake.rs"]
mod fake;
#[path = "parity/ops.rs"]
mod ops;
#[path = "parity/support.rs"]
#[expect(dead_code, reason = "some of it is for processors")]
mod support;

use std::ffi::OsStr;

use skep_hw::{Batch, Device, DeviceError, Dtype, Op, PlanError, RunError, Sequence};

use self::card::finish;
use self::ops::ATTENTION;
use self::support::{Fed, Random, all_rows, bits, bounds};

#[test]
fn ops_agree_with_the_reference() {
    let _shared = fake::shared();
    card::ops_agree_with_the_reference(fake::card);
}

#[test]
fn matmul_agrees_with_the_reference() {
    let _shared = fake::shared();
    card::matmul_agrees_with_the_reference(fake::card);
}

/// The kernels for few rows and those for many add up in the same order: the same bits, with a unit for matrices and without.
#[test]
fn a_product_does_not_depend_on_the_rows_beside_it() {
    let _shared = fake::shared();
    let cards = [
        fake::card(),
        Device::hip(0, Some(fake::hip_library())).unwrap(),
    ];
    for dtype in Dtype::ALL.into_iter().filter(|dtype| dtype.is_quantised()) {
        for (rows, columns, outputs) in [(20, 9 * 256, 3), (17, 256, 130), (65, 256, 5)] {
            let mut random = Random::new(11);
            let x = random.normals(rows * columns);
            let weight = support::weight(&mut random, dtype, outputs as u32, columns as u32);
            let product = |x: &[f32], card: &Device| {
                let mut fed = Fed::with(x, columns);
                let weight = fed.weight(weight.clone());
                fed.then(Op::Matmul {
                    x: 0,
                    weight,
                    bias: None,
                });
                let count = x.len() / columns;
                let mut plan = finish(fed, false).compile(card, bounds(count));
                bits(&all_rows(&mut plan, &[count as u32], false))
            };
            let together = product(&x, &cards[0]);
            assert!(
                product(&x, &cards[1]) == together,
                "{} without",
                dtype.name()
            );
            for (start, count) in [(0, 1), (rows - 2, 2), (5, 8)] {
                let some = product(&x[start * columns..][..count * columns], &cards[0]);
                let what = format!("{} {rows} x {columns}, {count} from {start}", dtype.name());
                assert!(some[..] == together[start..][..count], "{what}");
            }
        }
    }
}

#[test]
fn embedding_rows_of_every_type_agree() {
    let _shared = fake::shared();
    card::embedding_rows_of_every_type_agree(fake::card);
}

#[test]
fn attention_agrees_with_the_reference() {
    let _shared = fake::shared();
    card::attention_agrees_with_the_reference(fake::card);
}

#[test]
fn numbers_that_caches_cannot_hold_agree_with_the_reference() {
    let _shared = fake::shared();
    card::numbers_that_caches_cannot_hold_agree_with_the_reference(fake::card);
}

#[test]
fn extreme_numbers_agree_with_the_reference() {
    let _shared = fake::shared();
    card::extreme_numbers_agree_with_the_reference(fake::card);
}

#[test]
fn long_attention_is_the_same_however_it_is_shared() {
    let _shared = fake::shared();
    card::long_attention_is_the_same_however_it_is_shared(fake::card);
}

#[test]
fn ranks_agree_with_the_processor() {
    let _shared = fake::shared();
    card::ranks_agree_with_the_processor(fake::card);
}

#[test]
fn products_of_one_input_agree_with_the_reference() {
    let _shared = fake::shared();
    card::products_of_one_input_agree_with_the_reference(fake::card);
}

#[test]
fn a_row_alone_is_the_same_row() {
    let _shared = fake::shared();
    card::a_row_alone_is_the_same_row(fake::card);
}

#[test]
fn recorded_launches_are_the_same_launches() {
    let _alone = fake::alone();
    card::recorded_launches_are_the_same_launches(fake::card, |steps| {
        let started = fake::calls_of("cuGraphLaunch", steps);
        assert!(started >= 36, "{started}");
    });
}

/// A graph with attention, and the cache that it is to have.
fn attention() -> (Fed, Option<(Vec<skep_hw::CacheLayer>, Dtype)>) {
    let mut random = Random::new(5);
    let shape = ATTENTION
        .iter()
        .find(|shape| shape.cached.is_some())
        .unwrap();
    let mut fed = finish(ops::attention(&mut random, 6, *shape), false);
    let cache = fed.cache.take();
    (fed, cache)
}

/// Everything that a driver's functions are for, from opening the card to a recording.
fn everything(
    library: &OsStr,
    fed: &Fed,
    cache: Option<&(Vec<skep_hw::CacheLayer>, Dtype)>,
) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let card = Device::cuda(0, Some(library)).map_err(|e: DeviceError| words(&e))?;
    let made = cache
        .map(|(layers, dtype)| skep_hw::Cache::create(&card, layers, support::PAGES, 16, *dtype));
    let made = made.transpose().map_err(|e| words(&e))?;
    let graph =
        skep_hw::Graph::check(fed.ops.clone(), fed.weights.clone(), made, bounds(6)).unwrap();
    let mut plan = skep_hw::Plan::compile(&card, graph).map_err(|e: PlanError| words(&e))?;
    let pages: Vec<u32> = (0..4).collect();
    let sequences = [Sequence {
        tokens: 6,
        start: 0,
        pages: &pages,
    }];
    let tokens: Vec<u32> = (0..6).collect();
    let batch = Batch {
        tokens: &tokens,
        sequences: &sequences,
        outputs: &tokens,
    };
    // The second run records, the third starts what it recorded.
    (0..3).try_for_each(|_| {
        let words = |e: RunError| words(&e);
        plan.run(&batch).map_err(words)?;
        plan.row(0).map(drop).map_err(words)
    })
}

/// Every function of the driver fails once in turn: each time with an error that names it, and what was taken is given back.
#[test]
fn a_driver_that_fails_is_an_error_and_nothing_is_lost() {
    let (fed, cache) = attention();
    let attempt = || everything(fake::library(), &fed, cache.as_ref());
    let _alone = fake::alone();
    attempt().unwrap();
    let mut tried = 0;
    for name in fake::FUNCTIONS {
        let calls = fake::calls_of(name, || drop(attempt()));
        assert!(calls > 0, "{name} is not used");
        // The first, one in the middle and the last.
        for call in [1, calls.div_ceil(2), calls] {
            let before = fake::allocated_bytes();
            // Of two forms of the kernels, one may fail.
            let call = if *name == "cuModuleLoadData" { 0 } else { call };
            fake::fail(name, 999, call);
            let failed = attempt();
            fake::reset();
            // What only gives back has nobody to tell.
            if !fake::GIVES_BACK.contains(name) {
                let words = failed.unwrap_err();
                assert!(words.contains(name), "{name}, call {call}: {words}");
                assert_eq!(fake::allocated_bytes(), before, "{name}, call {call}");
            }
            tried += 1;
        }
        attempt().unwrap();
    }
    assert!(tried > 40, "{tried}");
}

/// Every function is missing once in turn: an error that names it, unless there is a way without it.
#[test]
fn a_driver_that_lacks_a_function_is_an_error_that_names_it() {
    // Recording saves time and nothing else, and what only gives back is given back by the process's end.
    const DISPENSABLE: &[&str] = &[
        "cuStreamBeginCapture_v2",
        "cuDevicePrimaryCtxRelease_v2",
        "cuMemFree_v2",
        "cuStreamDestroy_v2",
        "cuModuleUnload",
        "cuGraphDestroy",
        "cuGraphExecDestroy",
    ];
    let (fed, cache) = attention();
    let whole = std::fs::read(fake::library()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in fake::FUNCTIONS {
        let mut library = whole.clone();
        let symbol = format!("\0{name}\0");
        let mut renamed = 0;
        for at in 0..library.len() - symbol.len() {
            if library[at..].starts_with(symbol.as_bytes()) {
                library[at + 1] = b'x';
                renamed += 1;
            }
        }
        assert!(renamed > 0, "{name} is in no table of symbols");
        let path = folder.path().join(name);
        std::fs::write(&path, library).unwrap();
        let found = everything(path.as_os_str(), &fed, cache.as_ref());
        if DISPENSABLE.contains(name) {
            found.unwrap();
        } else {
            let words = found.unwrap_err();
            assert!(words.contains(&format!("`{name}`")), "{name}: {words}");
        }
    }
}

/// What does not fit is refused with figures, before anything of it is there.
#[test]
fn what_does_not_fit_on_a_card_is_refused_with_figures() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    std::fs::copy(fake::library(), &library).unwrap();
    let settings = folder.path().join("libcuda.so.1.settings");
    std::fs::write(settings, "FAKE_CUDA_MEMORY_BYTES=1000000\n").unwrap();
    let weight = skep_hw::Weight::from_values(vec![0.0; 1 << 18], 1 << 9, 1 << 9).unwrap();
    let ops = vec![
        Op::Embed {
            table: 0,
            index: skep_hw::Index::Tokens,
        },
        Op::Outputs { x: 0 },
    ];
    let graph = skep_hw::Graph::check(ops, vec![weight], None, bounds(6)).unwrap();
    let card = Device::cuda(0, Some(library.as_os_str())).unwrap();
    match skep_hw::Plan::compile(&card, graph) {
        Err(PlanError::Memory {
            size_bytes,
            free_bytes,
        }) => assert!(size_bytes > 1 << 20 && free_bytes == 1_000_000),
        other => panic!("{other:?}"),
    }
    assert_eq!(card.memory_free().unwrap(), 1_000_000);
}

/// AMD's runtime has the same functions by other names, and takes only the kernels that were built for its card.
#[test]
fn amds_runtime_does_the_same() {
    let mut random = Random::new(9);
    let shape = ATTENTION
        .iter()
        .find(|shape| shape.cached.is_some())
        .unwrap();
    let fed = finish(ops::attention(&mut random, 6, *shape), false);
    let _shared = fake::shared();
    let mut plan = fed.compile(&fake::card(), bounds(6));
    let expect = bits(&all_rows(&mut plan, &[6], false));
    let card = Device::hip(0, Some(fake::hip_library())).unwrap();
    assert_eq!((card.kind(), card.name()), ("hip", "Emulated device 0"));
    let mut plan = fed.compile(&card, bounds(6));
    for _ in 0..3 {
        assert!(bits(&all_rows(&mut plan, &[6], false)) == expect);
    }
    let error = Device::hip(1, Some(fake::hip_library())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no AMD card 1: this machine has 1"
    );
    // A library that is there and is no driver.
    let error = Device::hip(0, Some(fake::library())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the AMD driver has no function `hipInit`; a newer one has"
    );
}

#[test]
fn a_card_that_is_not_there_is_an_error() {
    let library = OsStr::new("/there/is/no/libcuda.so.1");
    let error = Device::cuda(0, Some(library)).unwrap_err().to_string();
    assert_eq!(error, "the NVIDIA driver's library could not be loaded");
    let _shared = fake::shared();
    let error = Device::cuda(7, Some(fake::library())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no NVIDIA card 7: this machine has 1"
    );
}
