//! Diagnosis of a card that is not there: the real kernels' sources run through an emulated driver (`fakes/cuda.cpp`), in
//! whose cards something is broken.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unsafe_code,
    dead_code,
    reason = "a test that meets the unexpected has failed"
)]

#[path = "cuda/build.rs"]
mod build;
#[path = "cuda/fake.rs"]
mod fake;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use skep_hw::diag::{self, DiagError, Level, Outcome, Report, Settings, Test, TestResult};
use skep_hw::{CpuSettings, Device};

const MEMORY_BYTES: u64 = 2 << 20;

/// Where something is broken: beyond what a test keeps for itself, and within the first piece of memory that it tries.
const BROKEN: u64 = 200_008;

fn settings(tests: &[Test]) -> Settings {
    Settings {
        duration: Duration::ZERO,
        tests: tests.to_vec(),
        ..Settings::default()
    }
}

fn diagnose(tests: &[Test]) -> Report {
    let card = fake::card();
    let report = diag::run(&card, &settings(tests), &mut || None, &mut |_| {
        ControlFlow::Continue(())
    });
    report.unwrap()
}

/// Diagnoses a card in which something is broken.
fn broken(variable: &str, value: &str, tests: &[Test]) -> Report {
    let _alone = fake::alone();
    fake::damage(Some((variable, value)), MEMORY_BYTES);
    let report = diagnose(tests);
    fake::damage(None, 1 << 30);
    report
}

fn of(report: &Report, test: Test) -> &TestResult {
    report.tests.iter().find(|one| one.test == test).unwrap()
}

#[test]
fn a_sound_card_passes_everything() {
    let _alone = fake::alone();
    fake::damage(None, MEMORY_BYTES);
    let before = fake::allocated_bytes();
    let report = diagnose(&Test::ALL);
    assert_eq!(fake::allocated_bytes(), before);
    fake::damage(None, 1 << 30);
    assert_eq!(report.verdict.level, Level::Pass, "{report:#?}");
    assert!(report.verdict.evidence.is_empty());
    assert!(!report.cancelled);
    assert_eq!(report.device, "Emulated device 0");
    let id = report.id.as_ref().unwrap().to_string();
    assert_eq!(id, "GPU-0aa1b2c3-0000-1111-2222-333344445555");
    // Nine tenths of what a test leaves.
    let tested = report.memory_tested_bytes;
    assert!(
        (MEMORY_BYTES * 4 / 5..MEMORY_BYTES).contains(&tested),
        "{tested}"
    );
    assert_eq!(report.tests.len(), Test::ALL.len());
    for result in &report.tests {
        assert_eq!(result.outcome, Outcome::Passed, "{result:#?}");
        let figures = &result.figures;
        assert!(!figures.is_empty() && figures.iter().all(|figure| figure.value > 0.0));
    }
    let text = serde_json::to_string(&report).unwrap();
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(again.verdict, report.verdict);
}

/// The checksum of the product is the same on every card and each time.
#[test]
fn a_product_has_one_checksum() {
    let _alone = fake::alone();
    fake::damage(None, MEMORY_BYTES);
    let notes = [(); 2].map(|()| of(&diagnose(&[Test::Product]), Test::Product).notes.clone());
    fake::damage(None, 1 << 30);
    assert_eq!(notes[0], notes[1]);
    assert!(notes[0][0].starts_with("checksum "), "{notes:?}");
}

#[test]
fn every_memory_test_finds_a_stuck_bit_and_says_where() {
    let tests = [Test::Walking, Test::Address, Test::Inversions, Test::Random];
    // The third byte of a word, so bit 16 + 5 of it.
    let fault = format!("{}:5", BROKEN + 2);
    let report = broken("FAKE_CUDA_STUCK_BIT", &fault, &tests);
    assert_eq!(report.verdict.level, Level::Bad);
    for test in tests {
        let result = of(&report, test);
        assert_eq!(result.outcome, Outcome::Failed, "{result:#?}");
        let told = &result.evidence[0];
        assert!(told.starts_with("1 word wrong"), "{told}");
        assert!(told.contains(&format!("byte {BROKEN:#x} of ")), "{told}");
        assert!(told.ends_with("wrong bit 21"), "{told}");
        assert!(result.evidence.len() <= 8);
    }
    let first = &report.verdict.evidence[0];
    assert!(first.starts_with("walking: 1 word wrong"), "{first}");
}

#[test]
fn the_address_test_finds_a_word_that_answers_for_another() {
    let fault = format!("{BROKEN}:{}", BROKEN + (1 << 16));
    // What is the same everywhere shows nothing.
    let tests = [Test::Address, Test::Inversions];
    let report = broken("FAKE_CUDA_ALIAS", &fault, &tests);
    let result = of(&report, Test::Address);
    assert_eq!(result.outcome, Outcome::Failed);
    let told = &result.evidence[0];
    assert!(told.contains(&format!("byte {BROKEN:#x} of ")), "{told}");
    assert!(told.contains("with addresses"), "{told}");
}

#[test]
fn a_copy_that_is_wrong_is_found() {
    let report = broken("FAKE_CUDA_FLIP", "copy_pairs:0:4096:3", &[Test::Bandwidth]);
    let told = &of(&report, Test::Bandwidth).evidence[0];
    assert!(
        told.starts_with("1 words of a copy are not what was copied"),
        "{told}"
    );
    let fault = format!("{BROKEN}:3");
    let report = broken("FAKE_CUDA_STUCK_BIT", &fault, &[Test::Transfer]);
    let result = of(&report, Test::Transfer);
    assert_eq!(result.outcome, Outcome::Failed);
    let told = &result.evidence[0];
    assert!(
        told.contains(&format!("first at byte {BROKEN:#x} ")),
        "{told}"
    );
}

#[test]
fn a_product_that_is_wrong_once_is_found_and_told() {
    // Row 1, column 3 of the only square that fits is at byte (256 + 3) * 4; the first product is the exact one.
    let report = broken(
        "FAKE_CUDA_FLIP",
        "multiply_squares:1:1036:6",
        &[Test::Product],
    );
    let told = &of(&report, Test::Product).evidence;
    assert!(
        told[0].contains("product of whole numbers is wrong in 1 of 256 rows"),
        "{told:?}"
    );
    assert!(told[0].contains("in row 1, column 3 it has"), "{told:?}");
    // The second is the one that the others are compared with; the fourth is one of those.
    let report = broken(
        "FAKE_CUDA_FLIP",
        "multiply_squares:4:1036:6",
        &[Test::Product],
    );
    let result = of(&report, Test::Product);
    assert_eq!(result.evidence.len(), 1, "{result:#?}");
    let told = &result.evidence[0];
    assert!(told.contains("repetition 2 "), "{told}");
    assert!(told.contains("in row 1, column 3;"), "{told}");
    assert_eq!(report.verdict.level, Level::Bad);
}

#[test]
fn a_card_that_fails_in_the_middle_is_a_report() {
    let _alone = fake::alone();
    fake::damage(None, MEMORY_BYTES);
    for function in ["cuLaunchKernel", "cuMemAlloc_v2", "cuMemcpyDtoHAsync_v2"] {
        fake::reset();
        fake::fail(function, 719, 3);
        let report = diagnose(&[Test::Address, Test::Product]);
        assert_eq!(report.verdict.level, Level::Bad, "{function}");
        let (failed, skipped): (Vec<_>, Vec<_>) = report
            .tests
            .iter()
            .filter(|test| test.outcome != Outcome::Passed)
            .partition(|test| test.outcome == Outcome::Failed);
        assert_eq!(failed.len(), 1, "{function}: {report:#?}");
        assert!(failed[0].evidence[0].contains(function));
        assert!(failed[0].evidence[0].contains("CUDA_ERROR_LAUNCH_FAILED"));
        for skipped in skipped {
            let Outcome::Skipped(why) = &skipped.outcome else {
                panic!("{skipped:?}");
            };
            assert!(why.starts_with("the driver failed in "), "{why}");
        }
    }
    fake::reset();
    fake::damage(None, 1 << 30);
}

/// A driver that gives less than it says is free is no broken card.
#[test]
fn memory_that_others_take_is_left_out() {
    let _alone = fake::alone();
    fake::damage(None, MEMORY_BYTES);
    fake::fail("cuMemAlloc_v2", 2, 2);
    let report = diagnose(&[Test::Address]);
    fake::reset();
    fake::damage(None, 1 << 30);
    assert_eq!(report.verdict.level, Level::Pass, "{report:#?}");
    assert!(report.memory_tested_bytes > MEMORY_BYTES / 2);
}

#[test]
fn it_stops_when_it_is_told_to() {
    let _alone = fake::alone();
    fake::damage(None, MEMORY_BYTES);
    let card = fake::card();
    let long = Settings {
        duration: Duration::from_secs(3_600),
        ..Settings::default()
    };
    let mut asked = 0;
    let mut last = 0.0;
    let mut stopped = None;
    let report = diag::run(&card, &long, &mut || None, &mut |progress| {
        asked += 1;
        assert!(progress.done >= last && progress.done <= 1.0);
        last = progress.done;
        if asked < 20 {
            return ControlFlow::Continue(());
        }
        stopped.get_or_insert_with(Instant::now);
        ControlFlow::Break(())
    });
    let took = stopped.unwrap().elapsed();
    fake::damage(None, 1 << 30);
    let report = report.unwrap();
    assert!(report.cancelled);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(report.tests[0].outcome, Outcome::Stopped);
    let why = Outcome::Skipped("it was stopped before".into());
    assert!(report.tests[1..].iter().all(|test| test.outcome == why));
    assert_eq!(asked, 20);
    assert_eq!(report.verdict.level, Level::Pass);
}

#[test]
fn a_processor_is_not_diagnosed() {
    let processor = Device::cpu(CpuSettings::default()).unwrap();
    let settings = Settings::default();
    let error = diag::run(&processor, &settings, &mut || None, &mut |_| {
        ControlFlow::Continue(())
    });
    assert_eq!(error.unwrap_err(), DiagError::Processor);
}
