//! What is counted: descriptors, lengths of files, core dumps.

use std::fs::File;
use std::io;

use super::{Attempts, Scene, done};

/// How long a file may become here.
pub(super) const FILE_BYTES: u64 = 1 << 20;

/// A file over its limit is an error then and not the end.
pub(super) fn ignore_signal() {
    // SAFETY: no handler of ours runs.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

pub(super) fn try_all(scene: &Scene, attempts: &mut Attempts) {
    // A driver may write more.
    if scene.limited {
        attempts.made("write a long file", {
            File::create(scene.folder.join("own/long"))
                .and_then(|file| file.set_len(FILE_BYTES + 1))
        });
    }
    attempts.made("leave a core dump", dumpable());
    attempts.made("open 5000 files", open_many());
}

/// Succeeds if the system would write one.
fn dumpable() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one `rlimit`.
    done(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) })?;
    // SAFETY: the call takes a number alone.
    let shown = done(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) })?;
    if shown == 1 || limit.rlim_max > 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

fn open_many() -> io::Result<()> {
    let mut held = Vec::new();
    // As far as this system lets anybody.
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one `rlimit`, and reads it again.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    for _ in 0..5_000 {
        held.push(File::open("/dev/null")?);
    }
    Ok(())
}
