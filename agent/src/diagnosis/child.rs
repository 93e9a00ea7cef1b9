//! The process that diagnoses one card: tells how far it is and what it found, a line of JSON each, on standard output.
//!
//! Decides that it ends when nobody listens: when its standard input ends, or its output cannot be written; and that the
//! vendor's driver, which is all that it runs of others, may read whatever this user may and change nothing. Refuses to judge.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use skep_hw::diag::{self, Settings, Test};
use skep_hw::telemetry::{self, Places, Vendor, VendorWatch};
use skep_hw::{Device, DeviceError, GpuError};

use super::{Failed, Line, Wish, choose};
use crate::confine::{self, Walls};

/// Runs it. The exit status says nothing that the lines do not.
#[must_use]
pub fn main(wish: &Wish) -> ExitCode {
    let confined = confine::begin().and_then(|()| {
        Walls {
            // Its environment says where libraries are, so that may be anywhere.
            read: vec!["/".into()],
            devices: true,
            ..Walls::default()
        }
        .raise()
    });
    let confined = confined.map_err(|error| Failed {
        message: format!("could not confine the process: {}", chain(&error)),
        absent: false,
    });
    let outcome = confined.and_then(|_| {
        if wish.choose {
            Ok(Line::Choice(choose::look(wish.library.as_deref())))
        } else {
            diagnose(wish).map(|report| Line::Report(Box::new(report)))
        }
    });
    let last = match outcome {
        Ok(line) => line,
        Err(failed) => Line::Failed(failed),
    };
    match say(&last) {
        ControlFlow::Continue(()) => ExitCode::SUCCESS,
        ControlFlow::Break(()) => ExitCode::FAILURE,
    }
}

fn diagnose(wish: &Wish) -> Result<diag::Report, Failed> {
    let tests = wish.only.iter().map(|name| {
        Test::of_name(name).ok_or_else(|| Failed {
            message: format!("there is no test `{}`", name.escape_debug()),
            absent: false,
        })
    });
    let tests = tests.collect::<Result<Vec<Test>, Failed>>()?;
    let device = open(wish)?;
    let settings = Settings {
        memory_percent: wish.memory,
        duration: Duration::from_secs(wish.seconds.into()),
        tests: if tests.is_empty() {
            Test::ALL.to_vec()
        } else {
            tests
        },
        ..Settings::default()
    };
    let mut watch = Watch::of(wish, &device);
    let unheard = unheard();
    let mut told = Instant::now();
    let mut progress = |progress| {
        if unheard.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if told.elapsed() < EACH {
            return ControlFlow::Continue(());
        }
        told = Instant::now();
        say(&Line::Progress(progress))
    };
    let report = diag::run(&device, &settings, &mut || watch.read(), &mut progress);
    report.map_err(|error| Failed {
        message: error.to_string(),
        absent: false,
    })
}

/// The card that is wished for: the one of that name where a name is given and the driver tells names.
fn open(wish: &Wish) -> Result<Device, Failed> {
    let library = wish.library.as_deref().map(AsRef::<OsStr>::as_ref);
    let number = |index| match wish.kind.as_str() {
        "hip" => Device::hip(index, library),
        _ => Device::cuda(index, library),
    };
    let failed = |error: DeviceError| Failed {
        absent: is_absent(&error),
        message: chain(&error),
    };
    let first = number(wish.device);
    let Some(id) = &wish.id else {
        return first.map_err(failed);
    };
    let is_it = |device: &Device| device.id().is_none_or(|found| found == *id);
    match first {
        Ok(device) if is_it(&device) => return Ok(device),
        Ok(_) | Err(DeviceError::Card(GpuError::NoCard { .. })) => {}
        Err(error) => return Err(failed(error)),
    }
    for index in 0..CARDS_MAX {
        match number(index) {
            Ok(device) if is_it(&device) => return Ok(device),
            Ok(_) => {}
            Err(DeviceError::Card(GpuError::NoCard { .. })) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Failed {
        message: format!("the driver shows no card `{}`", id.escape_debug()),
        absent: true,
    })
}

/// Whether there is no driver, or no such card.
pub(super) fn is_absent(error: &DeviceError) -> bool {
    matches!(
        error,
        DeviceError::Card(
            GpuError::Library { .. }
                | GpuError::NoCard { .. }
                // What drivers answer where there is none of their cards: `CUDA_ERROR_NO_DEVICE` and `hipErrorNoDevice` have
                // one number.
                | GpuError::Failed { code: 100, .. }
        )
    )
}

/// The card's counters, from the vendor's management library.
struct Watch {
    vendor: VendorWatch,
    id: Option<String>,
    index: u32,
}

impl Watch {
    fn of(wish: &Wish, device: &Device) -> Self {
        let vendor = match wish.kind.as_str() {
            "hip" => Vendor::Amd,
            _ => Vendor::Nvidia,
        };
        Self {
            vendor: VendorWatch::detect(vendor, &Places::default()),
            id: device.id().or_else(|| wish.id.clone()),
            index: wish.device,
        }
    }

    fn read(&mut self) -> Option<telemetry::Device> {
        let all = self.vendor.sample(Instant::now());
        all.into_iter().find(|device| match &self.id {
            Some(id) => device.identity.id.0 == *id,
            None => device.identity.index == self.index,
        })
    }
}

/// Set once standard input ends, by which whoever asked says that nobody listens any more.
fn unheard() -> Arc<AtomicBool> {
    let unheard = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&unheard);
    let read = move || {
        let mut rest = [0; 64];
        while matches!(std::io::stdin().read(&mut rest), Ok(1..)) {}
        set.store(true, Ordering::Relaxed);
    };
    // Without the thread a word too many is said, to nobody.
    let _ = std::thread::Builder::new()
        .name("unheard".into())
        .spawn(read);
    unheard
}

fn say(line: &Line) -> ControlFlow<()> {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words += &format!(": {cause}");
        next = cause.source();
    }
    words
}

/// How often it is told how far it is.
const EACH: Duration = Duration::from_millis(100);

/// More cards than any one machine holds.
const CARDS_MAX: u32 = 64;
