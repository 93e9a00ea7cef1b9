//! The stand-in for the driver's library, built once for each test program.

use std::ffi::{CString, OsStr, c_char, c_int, c_uint, c_ulonglong};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use libloading::Library;
use skep_hw::Device;

use super::build::{build, build_from};

/// The driver's functions that plans use.
pub(crate) const FUNCTIONS: &[&str] = &[
    "cuInit",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuMemGetInfo_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuLaunchKernel",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
];

/// Those whose failure may leave something behind: a driver that does not give back cannot be helped.
pub(crate) const GIVES_BACK: &[&str] = &[
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuMemFree_v2",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuModuleUnload",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
];

struct Fake {
    path: PathBuf,
    hip_path: PathBuf,
    library: Library,
    _folder: tempfile::TempDir,
}

static FAKE: LazyLock<Fake> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libcuda.so.1");
    let hip_path = folder.path().join("libamdhip64.so.6");
    let hw = Path::new(env!("CARGO_MANIFEST_DIR"));
    build(hw, &path);
    build_from("hip.cpp", hw, &hip_path);
    // SAFETY: it runs nothing but what was just built.
    let library = unsafe { Library::new(&path) }.unwrap();
    Fake {
        path,
        hip_path,
        library,
        _folder: folder,
    }
});

static USERS: RwLock<()> = RwLock::new(());

/// Its path.
pub(crate) fn library() -> &'static OsStr {
    FAKE.path.as_os_str()
}

/// The path of the one for AMD's runtime.
pub(crate) fn hip_library() -> &'static OsStr {
    FAKE.hip_path.as_os_str()
}

/// A card.
pub(crate) fn card() -> Device {
    Device::cuda(0, Some(library())).unwrap()
}

/// No function is made to fail meanwhile.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    USERS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Nobody else's calls fail or are counted meanwhile.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    USERS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Call number `call` of a function fails.
pub(crate) fn fail(name: &str, code: i32, call: u32) {
    let name = CString::new(name).unwrap();
    // SAFETY: the signature is that of `fakes/cuda.cpp`, and so below.
    unsafe {
        let fail = FAKE
            .library
            .get::<unsafe extern "C" fn(*const c_char, c_int, c_int)>(b"fake_cuda_fail\0");
        fail.unwrap()(name.as_ptr(), code, call.cast_signed());
    }
}

/// Nothing fails any more, and calls are counted from none.
pub(crate) fn reset() {
    // SAFETY: as above.
    unsafe {
        FAKE.library
            .get::<unsafe extern "C" fn()>(b"fake_cuda_reset\0")
            .unwrap()()
    }
}

/// Cards have so much memory, and something is broken as a variable of `fakes/cuda.cpp` says; none mends all.
#[allow(
    dead_code,
    reason = "only one of the tests that share this breaks cards"
)]
pub(crate) fn damage(fault: Option<(&str, &str)>, memory_bytes: u64) {
    let [variable, value] =
        [fault.map(|f| f.0), fault.map(|f| f.1)].map(|text| text.map(|t| CString::new(t).unwrap()));
    let pointer =
        |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
    // SAFETY: as above.
    unsafe {
        let damage = FAKE
            .library
            .get::<unsafe extern "C" fn(*const c_char, *const c_char, c_ulonglong)>(
                b"fake_cuda_break\0",
            );
        damage.unwrap()(pointer(&variable), pointer(&value), memory_bytes);
    }
}

/// How often `name` is called in `work`.
pub(crate) fn calls_of(name: &str, work: impl FnOnce()) -> u32 {
    reset();
    work();
    let name = CString::new(name).unwrap();
    // SAFETY: as above.
    let calls = unsafe {
        let calls = FAKE
            .library
            .get::<unsafe extern "C" fn(*const c_char) -> c_uint>(b"fake_cuda_calls\0");
        calls.unwrap()(name.as_ptr())
    };
    reset();
    calls
}

/// Bytes that nobody has given back.
pub(crate) fn allocated_bytes() -> u64 {
    // SAFETY: as above.
    unsafe {
        let bytes = FAKE
            .library
            .get::<unsafe extern "C" fn() -> c_ulonglong>(b"fake_cuda_allocated_bytes\0");
        bytes.unwrap()()
    }
}
