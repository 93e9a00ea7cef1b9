//! Gives back what only a start needed.
//!
//! This program's code, and what is embedded in it, are mapped from its file. Each page that was touched
//! once, and those around it (`fault_around_bytes` of the kernel), count as this process's until the
//! system is short of memory. An agent that idles uses an eighth of them; the others are dropped here, and
//! come back from the file should they be needed again.

use std::ffi::c_void;
use std::io;
use std::path::Path;

use rustix::mm::{Advice, madvise};

/// Part of this process's memory, from `/proc/self/smaps` (proc(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct Mapping {
    from: usize,
    until: usize,
    writable: bool,
    file: String,
    /// Pages that are no longer the file's, in KiB; none where it was not said.
    anonymous: Option<u64>,
}

/// Drops the pages of this program's file that nothing has changed.
///
/// # Errors
/// When the system does not tell what is mapped, or refuses.
pub(super) fn trim() -> io::Result<()> {
    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    for mapping in mappings(&maps) {
        if mapping.is_untouched(&program) {
            drop_pages(&mapping)?;
        }
    }
    Ok(())
}

impl Mapping {
    fn is_untouched(&self, program: &Path) -> bool {
        Path::new(&self.file) == program && !self.writable && self.anonymous == Some(0)
    }
}

#[allow(
    unsafe_code,
    reason = "giving pages back needs it, and this function is all of it"
)]
fn drop_pages(mapping: &Mapping) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(mapping.from);
    let length = mapping.until - mapping.from;
    // SAFETY: for a private mapping of a file, MADV_DONTNEED throws away this process's own copies of
    // pages, and the next access finds what is in the file (madvise(2)). There are no such copies here:
    // nobody can write to the mapping, and the kernel counts no anonymous page in it. The file of a
    // running program cannot be written to (ETXTBSY).
    unsafe { madvise(start, length, Advice::LinuxDontNeed) }?;
    Ok(())
}

fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(mapping) = first_line(line) {
            found.push(mapping);
        } else if let (Some(last), Some(size)) = (found.last_mut(), line.strip_prefix("Anonymous:"))
        {
            last.anonymous = size.trim().trim_end_matches(" kB").parse().ok();
        }
    }
    found
}

/// `from-until permissions offset device inode   path`
fn first_line(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (from, until) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let (permissions, rest) = rest.split_once(' ')?;
    let file = rest.find('/').and_then(|at| rest.get(at..));
    Some(Mapping {
        from: address(from)?,
        until: address(until)?,
        writable: permissions.contains('w'),
        file: file.unwrap_or_default().to_owned(),
        anonymous: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_files_own_is_dropped() {
        let smaps = "\
55c525eaa000-55c5274aa000 r-xp 00dc0000 fe:00 10010828                   /opt/a b/skep
Size:              22528 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
55c5274aa000-55c527558000 r--p 023bf000 fe:00 10010828                   /opt/a b/skep
Anonymous:           692 kB
55c527558000-55c527560000 rw-p 023bf000 fe:00 10010828                   /opt/a b/skep
Anonymous:             0 kB
7fb9ef90f000-7fb9efa65000 r-xp 00026000 fe:00 326279                     /usr/lib/libc.so.6
Anonymous:             0 kB
7ffd0d7f6000-7ffd0d818000 rw-p 00000000 00:00 0                          [stack]
";
        let program = Path::new("/opt/a b/skep");
        let found = mappings(smaps);
        assert_eq!(found.len(), 5);
        let dropped: Vec<bool> = found.iter().map(|one| one.is_untouched(program)).collect();
        assert_eq!(dropped, [true, false, false, false, false]);
        assert_eq!(found[0].until - found[0].from, 22_528 << 10);
        assert_eq!(mappings("nonsense\nAnonymous: 0 kB\n"), []);
    }

    #[test]
    fn what_was_dropped_can_be_used() {
        let of_files = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssFile:"));
            let kib = line.unwrap().trim().trim_end_matches(" kB");
            kib.parse::<u64>().unwrap()
        };
        let before = of_files();
        trim().unwrap();
        let after = of_files();
        assert!(after < before, "{before} KiB, and {after} after it");
    }
}
