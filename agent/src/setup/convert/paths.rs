//! Which paths a plan may name, and which permissions it may give.

use super::{Wrong, shown, within};
use crate::limits::PLAN_PATH_BYTES;

/// A file or folder that may be made: absolute and normalised.
pub(super) fn file(path: String) -> Result<String, Wrong> {
    within("a path", path.len(), PLAN_PATH_BYTES)?;
    let wrong = || Wrong::Path(shown(&path));
    let parts = path.strip_prefix('/').ok_or_else(wrong)?;
    let is_part = |part: &str| {
        let is_name = !part.is_empty() && part != "." && part != "..";
        is_name && part.len() <= PART_BYTES && !part.chars().any(char::is_control)
    };
    if !parts.split('/').all(is_part) {
        return Err(wrong());
    }
    let is_below = |folder: &str| {
        let rest = path.strip_prefix(folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if KERNEL.into_iter().any(is_below) {
        return Err(Wrong::Kernel(shown(&path)));
    }
    if ACCOUNTS.into_iter().any(is_below) {
        return Err(Wrong::Accounts(shown(&path)));
    }
    Ok(path)
}

/// Where this program may be copied to: a plan gives no other name to it.
pub(super) fn program(path: String) -> Result<String, Wrong> {
    let path = file(path)?;
    if !path.ends_with("/skep") {
        return Err(Wrong::Path(shown(&path)));
    }
    Ok(path)
}

/// Permissions alone: no set-user, set-group and sticky bits, and nothing that everybody may write to.
pub(super) fn mode(mode: u16) -> Result<u16, Wrong> {
    if mode & !0o775 != 0 {
        return Err(Wrong::Mode(mode));
    }
    Ok(mode)
}

/// What a file's name may have on Linux.
const PART_BYTES: usize = 255;

const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Who may sign in and who may become root.
const ACCOUNTS: [&str; 8] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/pam.d",
    "/etc/security",
];
