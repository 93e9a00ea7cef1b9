//! Descriptors that came with the process. Decides that the three standard ones stay.

/// Closes all others. A kernel before 5.9 has no call for that, and they stay.
#[allow(
    unsafe_code,
    reason = "descriptors that nobody has an object for can be closed by number alone"
)]
pub(super) fn close() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: the process has opened nothing yet, as `begin` asks, so no object of it stands for any of these.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
}
