//! Plans by Vulkan on the processor, through Mesa's lavapipe: the real driver and the real kernels, with only eight threads in
//! step, and every op must agree with the reference.
//!
//! Without lavapipe nothing is tested, and a line says so; `cargo xtask test` installs it and sets `SKEP_EXPECT_LAVAPIPE`, with
//! which its absence is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets the unexpected has failed, and one that is left out says so"
)]

#[path = "parity/card.rs"]
mod card;
#[path = "parity/ops.rs"]
mod ops;
#[path = "parity/support.rs"]
#[expect(dead_code, reason = "some of it is for processors")]
mod support;

use std::ffi::OsStr;
use std::sync::LazyLock;

use skep_hw::{Device, Dtype};

use self::card::finish;
use self::support::{Random, all_rows, bits, bounds};

/// What lavapipe calls itself. No real card is taken by chance.
const NAME: &str = "llvmpipe";

/// Lavapipe's place among the devices.
static INDEX: LazyLock<Option<u32>> = LazyLock::new(|| {
    let mut found = (0..16).map_while(|index| match Device::vulkan(index, None) {
        Ok(device) => Some(Some((index, device))),
        // A card that lacks something is not the last.
        Err(error) if error.to_string().contains("lacks") => Some(None),
        Err(_) => None,
    });
    let found = found.find_map(|device| device.filter(|(_, device)| device.name().contains(NAME)));
    let missing = found.is_none();
    let expected = std::env::var_os("SKEP_EXPECT_LAVAPIPE").is_some();
    assert!(!(missing && expected), "lavapipe is not found");
    if missing {
        eprintln!(
            "!!! Vulkan: SKIPPED, there is no lavapipe (Debian: libvulkan1, mesa-vulkan-drivers)"
        );
    }
    found.map(|(index, _)| index)
});

/// One for all tests: its kernels are compiled when they are first started.
static SHARED: LazyLock<Device> = LazyLock::new(another);

fn found() -> bool {
    INDEX.is_some()
}

fn open() -> Device {
    SHARED.clone()
}

fn another() -> Device {
    Device::vulkan(INDEX.unwrap(), None).unwrap()
}

#[test]
fn ops_agree_with_the_reference() {
    if found() {
        card::ops_agree_with_the_reference(open);
    }
}

#[test]
fn matmul_agrees_with_the_reference() {
    if found() {
        card::matmul_agrees_with_the_reference(open);
    }
}

#[test]
fn embedding_rows_of_every_type_agree() {
    if found() {
        card::embedding_rows_of_every_type_agree(open);
    }
}

#[test]
fn attention_agrees_with_the_reference() {
    if found() {
        card::attention_agrees_with_the_reference(open);
    }
}

#[test]
fn numbers_that_caches_cannot_hold_agree_with_the_reference() {
    if found() {
        card::numbers_that_caches_cannot_hold_agree_with_the_reference(open);
    }
}

#[test]
fn extreme_numbers_agree_with_the_reference() {
    if found() {
        card::extreme_numbers_agree_with_the_reference(open);
    }
}

#[test]
fn long_attention_is_the_same_however_it_is_shared() {
    if found() {
        card::long_attention_is_the_same_however_it_is_shared(open);
    }
}

#[test]
fn ranks_agree_with_the_processor() {
    if found() {
        card::ranks_agree_with_the_processor(open);
    }
}

#[test]
fn products_of_one_input_agree_with_the_reference() {
    if found() {
        card::products_of_one_input_agree_with_the_reference(open);
    }
}

#[test]
fn a_row_alone_is_the_same_row() {
    if found() {
        card::a_row_alone_is_the_same_row(open);
    }
}

#[test]
fn recorded_launches_are_the_same_launches() {
    if found() {
        card::recorded_launches_are_the_same_launches(open, |steps| steps());
    }
}

/// Plans of several threads on one device: each gets its own numbers, recorded or not.
#[test]
fn threads_share_a_device() {
    if !found() {
        return;
    }
    let work = |seed: u64| {
        let mut random = Random::new(seed);
        let fed = ops::matmul(&mut random, 3, 64, 5 + seed as usize, Dtype::Q8_0);
        let fed = finish(fed, false);
        let mut plan = fed.compile(&open(), bounds(3));
        let once = bits(&all_rows(&mut plan, &[3], false));
        for _ in 0..20 {
            assert!(bits(&all_rows(&mut plan, &[3], false)) == once);
        }
        once
    };
    let alone: Vec<_> = (0..4).map(work).collect();
    let together = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || work(seed))).collect();
        let results: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        results
    });
    assert!(alone == together);
}

/// More than a frame holds crosses in parts, and what is given back can be had again.
#[test]
fn large_weights_arrive_whole_and_memory_comes_back() {
    if !found() {
        return;
    }
    let device = another();
    assert_eq!(device.kind(), "vulkan");
    let free = device.memory_free_bytes();
    assert!(free > 0);
    let (rows, width) = (700, 3001);
    let mut random = Random::new(11);
    let x = random.normals(rows * width);
    let expect: Vec<_> = x.chunks(width).map(<[f32]>::to_vec).collect();
    let fed = finish(support::Fed::with(&x, width), false);
    for _ in 0..3 {
        let mut plan = fed.compile(&device, bounds(rows));
        assert!(all_rows(&mut plan, &[rows as u32], false) == expect);
        // Lavapipe tells no budget: what this device has not taken.
        assert!(device.memory_free_bytes() + (rows * width * 4) as u64 <= free);
        drop(plan);
        assert_eq!(device.memory_free_bytes(), free);
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let library = OsStr::new("/there/is/no/libvulkan.so.1");
    let error = Device::vulkan(0, Some(library)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Vulkan driver's library could not be loaded"
    );
    if found() {
        let error = Device::vulkan(99, None).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no Vulkan card 99: this machine has "),
            "{error}"
        );
    }
}
