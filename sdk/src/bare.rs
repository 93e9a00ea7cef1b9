//! What a `no_std` component needs in place of the standard library: an allocator and a panic handler.
//!
//! A panic becomes an `unreachable` trap, which ends the call; its message is lost, since there is nowhere to write it.

use alloc::alloc::{alloc, realloc};
use core::alloc::Layout;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn trap(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

// The compiler calls `memcmp` and its kin, which the target's libc has; nothing else of it is linked in.
#[link(name = "c")]
#[allow(unsafe_code, reason = "declares nothing, only links")]
unsafe extern "C" {}

/// How the host asks for room for what it passes in (`realloc` of the component model's canonical ABI).
///
/// # Safety
/// `old` is null, or what this function returned for `old_length` and `align`.
#[allow(
    unsafe_code,
    reason = "the entry point that the component model demands"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_length: usize,
    align: usize,
    new_length: usize,
) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(
        if old_length == 0 {
            new_length
        } else {
            old_length
        },
        align,
    ) else {
        core::arch::wasm32::unreachable()
    };
    let new = match (old_length, new_length) {
        (0, 0) => core::ptr::without_provenance_mut(align),
        // SAFETY: the layout's size is `new_length`, which is not 0.
        (0, _) => unsafe { alloc(layout) },
        // SAFETY: as the caller promises.
        (..) => unsafe { realloc(old, layout, new_length) },
    };
    if new.is_null() {
        core::arch::wasm32::unreachable()
    }
    new
}
