//! A network of its own with nothing in it, not even a loopback that is up.
//!
//! Decides how one is had: by privilege, or in a user namespace where the system lets everybody have one. There this user
//! keeps its number, so that files stay its own.

use std::fs;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

/// Leaves the network that this process was started in.
///
/// # Errors
/// Why it stays there, as a clause.
pub(super) fn leave() -> Result<(), String> {
    if unshare(UnshareFlags::NEWNET).is_ok() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
        .map_err(|errno| format!("the system lets this user have no namespace ({errno})"))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        // Without it this user is called nobody here; what it may do is the same.
        let _ = fs::write(file, text);
    }
    Ok(())
}

#[allow(
    unsafe_code,
    reason = "the call is unsafe for what it can do to descriptors of other threads"
)]
fn unshare(what: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: only `FILES` can take descriptors away from other threads, and it is not asked for.
    unsafe { rustix::thread::unshare_unsafe(what) }
}
