//! The script: what devices show now, and what is reported once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the script says now, and what of it is still to be reported.
#[derive(Default)]
pub(crate) struct Script {
    text: String,
    /// By device, then by key. Taken apart once, so that a call costs next to nothing.
    values: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    counts: BTreeMap<String, u32>,
    /// Device and what is to be reported of it.
    reports: VecDeque<(String, Report)>,
    /// Devices whose next handle lasts so long.
    hangs: Vec<(String, Duration)>,
}

/// What a driver reports by itself.
#[derive(Clone, Copy)]
pub(crate) enum Report {
    Xid(u64),
    DoubleBitError,
}

/// What a device answers.
pub(crate) enum Answer<T> {
    Is(T),
    NotSupported,
    Lost,
}

static SCRIPT: Mutex<Script> = Mutex::new(Script {
    text: String::new(),
    values: BTreeMap::new(),
    counts: BTreeMap::new(),
    reports: VecDeque::new(),
    hangs: Vec::new(),
});

pub(crate) fn script() -> MutexGuard<'static, Script> {
    SCRIPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the file again. One that cannot be read leaves things as they were.
pub(crate) fn refresh() {
    let Some(path) = std::env::var_os("SKEP_SHIM_SCRIPT") else {
        return;
    };
    if let Ok(text) = std::fs::read_to_string(path) {
        script().become_(text);
    }
}

/// Sleeps when the script says so; the script is not held meanwhile.
pub(crate) fn hang(device: &str) {
    let found = {
        let mut script = script();
        let at = script.hangs.iter().position(|(hangs, _)| hangs == device);
        at.map(|at| script.hangs.remove(at).1)
    };
    if let Some(long) = found {
        #[expect(
            clippy::disallowed_methods,
            reason = "a driver that hangs is what it stands for"
        )]
        std::thread::sleep(long);
    }
}

impl Script {
    fn become_(&mut self, text: String) {
        if text == self.text {
            return;
        }
        let before = std::mem::replace(&mut self.text, text);
        let text = self.text.clone();
        self.values.clear();
        for (device, key, value) in lines(&text) {
            let of_device = self.values.entry(device.to_owned()).or_default();
            let of_key = of_device.entry(key.to_owned()).or_default();
            of_key.push(value.to_owned());
        }
        self.counts = text
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            .filter_map(|(key, count)| Some((key.to_owned(), count.trim().parse().ok()?)))
            .collect();
        for (device, key, value) in lines(&text) {
            let was_there = lines(&before).any(|line| line == (device, key, value));
            if was_there {
                continue;
            }
            let number = value.parse().unwrap_or(0);
            match key {
                "xid" => self.report(device, Report::Xid(number)),
                "uncorrected" if number > 0 => self.report(device, Report::DoubleBitError),
                "hang_ms" => self
                    .hangs
                    .push((device.to_owned(), Duration::from_millis(number))),
                _ => {}
            }
        }
    }

    fn report(&mut self, device: &str, report: Report) {
        self.reports.push_back((device.to_owned(), report));
    }

    /// The oldest report of that device.
    pub(crate) fn take_report(&mut self, device: &str) -> Option<Report> {
        let at = self.reports.iter().position(|(of, _)| of == device)?;
        self.reports.remove(at).map(|(_, report)| report)
    }

    /// How many devices there are, under that key.
    pub(crate) fn count(&self, key: &str) -> u32 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// A figure of a device, or `default`.
    pub(crate) fn number(&self, device: &str, key: &str, default: Option<u64>) -> Answer<u64> {
        if self.is_lost(device) {
            return Answer::Lost;
        }
        match self.value(device, key) {
            Some("-") => Answer::NotSupported,
            Some(value) => parse(value).map_or(Answer::NotSupported, Answer::Is),
            None => default.map_or(Answer::NotSupported, Answer::Is),
        }
    }

    /// A text of a device, or `default`.
    pub(crate) fn text(&self, device: &str, key: &str, default: &str) -> Answer<String> {
        if self.is_lost(device) {
            return Answer::Lost;
        }
        Answer::Is(self.value(device, key).unwrap_or(default).to_owned())
    }

    /// Every value that a device has under a key.
    pub(crate) fn all(&self, device: &str, key: &str) -> &[String] {
        let of = |device: &str| self.values.get(device)?.get(key).map(Vec::as_slice);
        of(device).or_else(|| of("*")).unwrap_or_default()
    }

    pub(crate) fn is_lost(&self, device: &str) -> bool {
        self.value(device, "lost") == Some("1")
    }

    fn value(&self, device: &str, key: &str) -> Option<&str> {
        self.all(device, key).last().map(String::as_str)
    }
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.split('#').next()?.trim();
        let (device, rest) = line.split_once(char::is_whitespace)?;
        let (key, value) = rest.trim().split_once(char::is_whitespace)?;
        Some((device, key, value.trim()))
    })
}

fn parse(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}
