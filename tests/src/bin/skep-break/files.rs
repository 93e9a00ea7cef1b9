//! Files of others: reading, writing and reaching them by every road; and one's own, which must stay open.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Attempts, Scene, done};

pub(super) fn try_all(scene: &Scene, attempts: &mut Attempts) {
    let own = scene.folder.join("own");
    let others = scene.folder.join("others");
    let key = others.join("key");
    let victim = scene.victim;

    attempts.made("own: make, write, rename, read, remove", in_own(&own));
    attempts.made("own: read what was given", read(scene.folder.join("given")));
    attempts.made("own: read /proc/self/status", read("/proc/self/status"));
    attempts.made("own: read /proc/meminfo", read("/proc/meminfo"));

    attempts.made("read a key", read(&key));
    attempts.made("list a folder", fs::read_dir(&others));
    attempts.made("read by ..", read(own.join("../others/key")));
    attempts.made("read by /proc/self/root", {
        let inside = key.strip_prefix("/").unwrap_or(&key);
        read(Path::new("/proc/self/root").join(inside))
    });
    attempts.made("read by a link that was there", read(own.join("link")));
    attempts.made("read /etc/passwd", read("/etc/passwd"));
    attempts.made("read /root", fs::read_dir("/root"));
    attempts.made("read kernel messages", File::open("/dev/kmsg"));
    for part in ["mem", "environ", "maps", "fd"] {
        let path = format!("/proc/{victim}/{part}");
        let outcome = OpenOptions::new().read(true).open(path);
        attempts.made(&format!("open /proc/VICTIM/{part}"), outcome);
    }

    attempts.made("make a file outside", File::create(others.join("new")));
    attempts.made(
        "append to a key",
        OpenOptions::new().append(true).open(&key),
    );
    attempts.made("cut a key short", cut(&key));
    attempts.made("rename a key to a name of one's own", {
        let taken = own.join("taken");
        fs::rename(&key, &taken).and_then(|()| fs::rename(&taken, &key))
    });
    attempts.made("rename out of the folder", {
        let (from, to) = (own.join("leaving"), others.join("left"));
        File::create(&from).and_then(|_| fs::rename(&from, &to))
    });
    attempts.made(
        "remove a file of others",
        fs::remove_file(others.join("spare")),
    );
    attempts.made("make a folder", fs::create_dir(others.join("folder")));
    attempts.made(
        "make a folder in one's own",
        fs::create_dir(own.join("folder")),
    );
    attempts.made("make a link", symlink(&key, own.join("made")));
    attempts.made("make a hard link", fs::hard_link(&key, own.join("hard")));
    attempts.made(
        "make a pipe with a name",
        node(&own.join("pipe"), libc::S_IFIFO),
    );
    attempts.made("make a device", node(&own.join("device"), libc::S_IFCHR));
    attempts.made("change a mode", mode(&key));
    attempts.made("change an owner", owner(&key));
    attempts.made("change times", times(&key));
    attempts.made("set an attribute", attribute(&key));
}

fn read(path: impl AsRef<Path>) -> io::Result<()> {
    let mut text = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut text)?;
    Ok(())
}

fn in_own(own: &Path) -> io::Result<()> {
    let (first, second) = (own.join(".new-weights"), own.join("weights"));
    let mut file = File::create(&first)?;
    file.try_lock().map_err(io::Error::from)?;
    file.set_len(0)?;
    file.write_all(b"packed")?;
    file.sync_all()?;
    fs::rename(&first, &second)?;
    File::open(own)?.sync_all()?;
    read(&second)?;
    fs::remove_file(&second)
}

fn cut(path: &Path) -> io::Result<i64> {
    let path = c(path);
    // SAFETY: the path lives as long as the call.
    done(unsafe { libc::truncate(path.as_ptr(), 16) })
}

fn node(path: &Path, kind: libc::mode_t) -> io::Result<i64> {
    let path = c(path);
    // The null device.
    // SAFETY: the path lives as long as the call.
    done(unsafe { libc::mknod(path.as_ptr(), kind | 0o600, libc::makedev(1, 3)) })
}

fn mode(path: &Path) -> io::Result<i64> {
    let path = c(path);
    // SAFETY: the path lives as long as the call.
    done(unsafe { libc::chmod(path.as_ptr(), 0o600) })
}

fn owner(path: &Path) -> io::Result<i64> {
    let path = c(path);
    // Nobody's number means that it stays.
    // SAFETY: the path lives as long as the call.
    done(unsafe { libc::chown(path.as_ptr(), u32::MAX, u32::MAX) })
}

fn times(path: &Path) -> io::Result<i64> {
    let path = c(path);
    // SAFETY: the path lives as long as the call; null stands for now.
    done(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) })
}

fn attribute(path: &Path) -> io::Result<i64> {
    let path = c(path);
    let (name, value) = (c"user.skep", b"x");
    // SAFETY: path, name and value live as long as the call, and the length is that of the value.
    done(unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    })
}

pub(super) fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
