//! The log against kill -9, power loss, flipped bytes and failing disks.
//!
//! Power loss is real here: ext4 in a file is shut down (`FS_IOC_SHUTDOWN`, no flush of its journal), so
//! that everything is gone that no `fsync` made safe; then it is mounted again. Only acknowledgements that
//! were read before the shutdown count. `SKEP_CRASH_CYCLES` sets the cycles of each kind and engine.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const WRITER: &str = env!("CARGO_BIN_EXE_skep-store-writer");

/// How long one start may take before it counts as hung.
const HANG: Duration = Duration::from_secs(60);

fn cycles(usual: u64) -> u64 {
    std::env::var("SKEP_CRASH_CYCLES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(usual)
}

/// A writer, and what it has said so far.
struct Writer {
    child: Child,
    acknowledged: Arc<AtomicU64>,
    said: mpsc::Receiver<String>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// How a start went.
#[derive(Debug)]
struct Opened {
    last: u64,
    took_ms: u64,
    damage: String,
}

impl Writer {
    fn start(verb: &str, folder: &Path, engine: &str) -> Self {
        let mut child = Command::new(WRITER)
            .arg(verb)
            .arg(folder)
            .arg(engine)
            .stdout(Stdio::piped())
            // A line at most, said as it ends.
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (sender, said) = mpsc::channel();
        let output = child.stdout.take().unwrap();
        let seen = acknowledged.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("ack ") {
                    // A line that was cut off by the kill has no end and never comes here whole.
                    if let Ok(number) = number.parse() {
                        seen.fetch_max(number, Ordering::SeqCst);
                    }
                } else {
                    let _ = sender.send(line);
                }
            }
        });
        Self {
            child,
            acknowledged,
            said,
            reader: Some(reader),
        }
    }

    /// Waits until the log is open and checked.
    fn opened(&mut self) -> Opened {
        let Ok(line) = self.said.recv_timeout(HANG) else {
            let _ = self.child.kill();
            let mut said = String::new();
            if let Some(mut errors) = self.child.stderr.take() {
                let _ = errors.read_to_string(&mut said);
            }
            panic!("it did not open: {:?}: {said}", self.child.wait());
        };
        let mut words = line.splitn(5, ' ');
        assert_eq!(words.next(), Some("open"), "{line}");
        let _first = words.next();
        Opened {
            last: words.next().unwrap().parse().unwrap(),
            took_ms: words.next().unwrap().parse().unwrap(),
            damage: words.next().unwrap().to_owned(),
        }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// kill -9; then everything that it had said is read.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a moment that the test itself chooses: that is what it is about.
fn pause(time: Duration) {
    let (_keep, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Numbers that spread: the golden ratio's multiples.
fn spread(cycle: u64, least_ms: u64, most_ms: u64) -> Duration {
    let part = cycle.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(least_ms + part % (most_ms - least_ms))
}

/// What all cycles came to.
#[derive(Default)]
struct Tally {
    records: u64,
    slowest_ms: u64,
}

impl Tally {
    fn check(&mut self, what: &str, acknowledged: u64, opened: &Opened) {
        assert_eq!(opened.damage, "none", "{what}");
        assert!(
            opened.last >= acknowledged,
            "{what}: record {acknowledged} was acknowledged, the log ends at {}",
            opened.last
        );
        self.records = opened.last;
        self.slowest_ms = self.slowest_ms.max(opened.took_ms);
    }

    fn report(&self, kind: &str, engine: &str, cycles: u64, start: Instant) {
        eprintln!(
            "{kind}, {engine}: {cycles} cycles, {} records, none lost; slowest start {} ms; {:.0} s in all",
            self.records,
            self.slowest_ms,
            start.elapsed().as_secs_f64()
        );
    }
}

fn kill_cycles(engine: &str, cycles: u64) {
    let start = Instant::now();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("log");
    let mut tally = Tally::default();
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        if cycle % 2 == 1 {
            // A recovery that is killed as well.
            let mut writer = Writer::start("write", &folder, engine);
            pause(spread(cycle, 1, 40));
            writer.kill();
            acknowledged = acknowledged.max(writer.acknowledged());
        }
        let mut writer = Writer::start("write", &folder, engine);
        let opened = writer.opened();
        tally.check(&format!("{engine}, kill {cycle}"), acknowledged, &opened);
        pause(spread(cycle, 20, 160));
        writer.kill();
        acknowledged = acknowledged.max(writer.acknowledged());
    }
    let opened = Writer::start("check", &folder, engine).opened();
    tally.check(&format!("{engine}, at the end"), acknowledged, &opened);
    assert!(acknowledged > cycles, "it hardly wrote: {acknowledged}");
    tally.report("kill -9", engine, cycles, start);
}

#[test]
fn kill_9_loses_nothing_with_sled() {
    kill_cycles("sled", cycles(100));
}

#[test]
fn kill_9_loses_nothing_with_redb() {
    kill_cycles("redb", cycles(100));
}

/// A disk of our own, whose power we can cut.
struct Disk {
    home: tempfile::TempDir,
}

impl Disk {
    /// None where this may not be done, which it says.
    fn new() -> Option<Self> {
        let disk = Self {
            home: tempfile::tempdir().unwrap(),
        };
        let image = disk.image();
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(64 << 20))
            .unwrap();
        std::fs::create_dir(disk.mounted()).unwrap();
        let made = quiet(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let perl = quiet(Command::new("perl").args(["-e", "1"]));
        if !(made && perl && disk.share() && disk.mount()) {
            eprintln!("not tried: power loss needs root, loop devices, ext4 and perl");
            return None;
        }
        // A shutdown that does nothing would leave everything as it was, and prove nothing.
        assert!(disk.cut(), "could not shut the file system down");
        let written = std::fs::write(disk.mounted().join("x"), "x");
        assert!(written.is_err(), "it goes on after the shutdown");
        disk.restore();
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }

    fn mounted(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// Has mount namespaces that others make meanwhile (`ip netns exec` does) lose the disk with us: a copy that
    /// stays would keep the file system, shut down as it is.
    fn share(&self) -> bool {
        let home = self.home.path();
        quiet(Command::new("mount").arg("--bind").arg(home).arg(home))
            && quiet(Command::new("mount").arg("--make-shared").arg(home))
    }

    fn mount(&self) -> bool {
        quiet(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(self.image())
                .arg(self.mounted()),
        )
    }

    fn unmount(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !quiet(Command::new("umount").arg(self.mounted())) {
            assert!(Instant::now() < deadline, "could not unmount");
            pause(Duration::from_millis(20));
        }
    }

    /// Nothing reaches the disk from now on, the journal included.
    fn cut(&self) -> bool {
        // What is handed over must be a variable: perl writes to it.
        const SHUTDOWN: &str = r#"open(F, "<", $ARGV[0]) or die; my $how = pack("I", 2); ioctl(F, 0x8004587d, $how) or die"#;
        quiet(
            Command::new("perl")
                .args(["-e", SHUTDOWN])
                .arg(self.mounted()),
        )
    }

    /// The power comes back.
    fn restore(&self) {
        self.unmount();
        assert!(self.mount(), "could not mount again");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        quiet(Command::new("umount").arg("--lazy").arg(self.mounted()));
        quiet(Command::new("umount").arg("--lazy").arg(self.home.path()));
    }
}

fn quiet(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn power_cycles(engine: &str, cycles: u64) {
    let start = Instant::now();
    let Some(disk) = Disk::new() else { return };
    let folder = disk.mounted().join("log");
    let mut tally = Tally::default();
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        if cycle % 2 == 1 {
            // The power goes again during recovery.
            let mut writer = Writer::start("write", &folder, engine);
            pause(spread(cycle, 1, 60));
            acknowledged = acknowledged.max(writer.acknowledged());
            assert!(disk.cut());
            writer.kill();
            disk.restore();
        }
        let mut writer = Writer::start("write", &folder, engine);
        let opened = writer.opened();
        tally.check(
            &format!("{engine}, power loss {cycle}"),
            acknowledged,
            &opened,
        );
        pause(spread(cycle, 80, 300));
        // Only what was read before counts.
        acknowledged = acknowledged.max(writer.acknowledged());
        assert!(disk.cut());
        writer.kill();
        disk.restore();
    }
    let opened = Writer::start("check", &folder, engine).opened();
    tally.check(&format!("{engine}, at the end"), acknowledged, &opened);
    assert!(acknowledged > cycles, "it hardly wrote: {acknowledged}");
    tally.report("power loss", engine, cycles, start);
}

#[test]
fn power_loss_loses_nothing_with_sled() {
    power_cycles("sled", cycles(100));
}

#[test]
fn power_loss_loses_nothing_with_redb() {
    power_cycles("redb", cycles(100));
}

fn corruptions(engine: &str) {
    let start = Instant::now();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("log");
    let mut writer = Writer::start("write", &folder, engine);
    writer.opened();
    let deadline = Instant::now() + HANG;
    while writer.acknowledged() < 200 {
        assert!(Instant::now() < deadline, "it hardly wrote");
        pause(Duration::from_millis(5));
    }
    writer.kill();
    let (seed, count) = ("7", 300);
    let mut child = Command::new(WRITER)
        .arg("corrupt")
        .arg(&folder)
        .args([engine, seed, &count.to_string()])
        // Its error is wanted, not where it was made.
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = errors.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = output.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let said = ended.recv_timeout(4 * HANG);
    let _ = child.kill();
    let status = child.wait().unwrap();
    let errors = errors.join().unwrap();
    let said = said.unwrap_or_else(|_| panic!("it hung: {errors}"));
    assert!(status.success(), "{status}: {said}{errors}");
    let line = said.lines().last().unwrap_or_default();
    let figures: Vec<u64> = line
        .strip_prefix("corrupted ")
        .unwrap_or_else(|| panic!("{said}"))
        .split(' ')
        .map(|figure| figure.parse().unwrap())
        .collect();
    let [harmless, detected, refused] = figures[..] else {
        panic!("{line}")
    };
    assert_eq!(refused, 0, "{said}");
    assert!(detected > 0, "{line}");
    eprintln!(
        "one byte changed, {engine}: {count} times, {detected} found out, {harmless} harmless; {:.0} s",
        start.elapsed().as_secs_f64()
    );
}

#[test]
fn a_changed_byte_is_found_out_or_harmless_with_sled() {
    corruptions("sled");
}

#[test]
fn a_changed_byte_is_found_out_or_harmless_with_redb() {
    corruptions("redb");
}

/// The disk says no from the `when`th sync on.
fn failing(engine: &str, when: u32) -> bool {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("log");
    Writer::start("check", &folder, engine).opened();
    let inject = format!("inject=fsync,fdatasync,sync_file_range:error=EIO:when={when}+");
    let output = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=fsync,fdatasync,sync_file_range",
            "-e",
            &inject,
        ])
        .args(["-o", "/dev/null"])
        .arg(WRITER)
        .arg("write")
        .arg(&folder)
        .arg(engine)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let acknowledged = said
        .lines()
        .filter_map(|line| line.strip_prefix("ack ")?.parse::<u64>().ok())
        .max();
    // Either it did not even open, or it stopped at once and took nothing more.
    let opened = said.lines().any(|line| line.starts_with("open "));
    if opened {
        assert!(said.contains("\nfailed "), "{engine} {when}: {said}");
        assert_eq!(said.lines().last(), Some("refuses"), "{engine} {when}");
    } else {
        assert!(!output.status.success(), "{engine} {when}: {said}");
    }
    let after = Writer::start("check", &folder, engine).opened();
    assert_eq!(after.damage, "none", "{engine} {when}");
    assert!(after.last >= acknowledged.unwrap_or(0), "{engine} {when}");
    acknowledged.is_some()
}

#[test]
fn after_a_failed_sync_nothing_more_is_accepted() {
    let traced = quiet(Command::new("strace").args(["-o", "/dev/null", "true"]));
    if !traced {
        eprintln!("not tried: failing disks need strace, and the right to trace");
        return;
    }
    for engine in ["sled", "redb"] {
        let wrote = [1, 4, 9, 16, 31, 60].map(|when| failing(engine, when));
        assert!(wrote.contains(&true), "{engine}: it never got to write");
    }
}
