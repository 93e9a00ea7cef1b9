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

use skep_hw::{Batch, Device, DeviceError, PlanError, RunError, Sequence};

use self::card::finish;
use self::ops::ATTENTION;
use self::support::{Random, all_rows, bits, bounds};

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

/// Every function of the driver fails once in turn: each time with an error that names it, and what was taken is given back.
#[test]
fn a_driver_that_fails_is_an_error_and_nothing_is_lost() {
    let mut random = Random::new(5);
    let shape = ATTENTION
        .iter()
        .find(|shape| shape.cached.is_some())
        .unwrap();
    let mut fed = finish(ops::attention(&mut random, 6, *shape), false);
    let cache = fed.cache.take();
    let attempt = || -> Result<(), String> {
        let words = |error: &dyn std::error::Error| error.to_string();
        let card = Device::cuda(0, Some(fake::library())).map_err(|e: DeviceError| words(&e))?;
        let made = cache.as_ref().map(|(layers, dtype)| {
            skep_hw::Cache::create(&card, layers, support::PAGES, 16, *dtype)
        });
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
        (0..3).try_for_each(|_| plan.run(&batch).map_err(|e: RunError| words(&e)))
    };
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
                assert!(
                    words.contains(name) || words.contains("fit"),
                    "{name}, call {call}: {words}"
                );
                assert_eq!(fake::allocated_bytes(), before, "{name}, call {call}");
            }
            tried += 1;
        }
        attempt().unwrap();
    }
    assert!(tried > 40, "{tried}");
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
    let library = std::ffi::OsStr::new("/there/is/no/libcuda.so.1");
    let error = Device::cuda(0, Some(library)).unwrap_err().to_string();
    assert_eq!(error, "the NVIDIA driver's library could not be loaded");
    let _shared = fake::shared();
    let error = Device::cuda(7, Some(fake::library())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no NVIDIA card 7: this machine has 1"
    );
}
