//! The driver's functions, by name.
//!
//! Decides which are used and that one that is missing is an error when it is called, not before. Signatures are those of
//! the driver's interface from version 11 on (CUDA Driver API reference).

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};

use libloading::Library;

/// What every function returns; 0 is success.
type Status = c_int;
/// An address in a card's memory.
pub(super) type Address = u64;
/// Handles are pointers that are never followed here.
pub(super) type Handle = *mut c_void;

/// Why a card does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// There is no driver.
    #[error("the NVIDIA driver's library could not be loaded")]
    Library(#[source] libloading::Error),
    /// The driver is older than what is asked of it.
    #[error("the NVIDIA driver has no function `{0}`; a newer one has")]
    Missing(&'static str),
    /// A function failed.
    #[error("the NVIDIA driver's `{function}` failed: {name} ({code})")]
    Failed {
        /// Which.
        function: &'static str,
        /// The driver's name of the error.
        name: String,
        /// Its number.
        code: i32,
    },
    /// No such card.
    #[error("there is no card {index}: this machine has {count}")]
    NoCard {
        /// The one asked for, from 0.
        index: u32,
        /// How many there are.
        count: u32,
    },
}

macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) = $symbol:literal;)*) => {
        /// A loaded driver.
        #[derive(Debug)]
        pub(super) struct Driver {
            $($name: Option<unsafe extern "C" fn($($type),*) -> Status>,)*
            error_name: Option<unsafe extern "C" fn(Status, *mut *const c_char) -> Status>,
            /// Holds the functions above.
            _library: Library,
        }

        impl Driver {
            /// Loads the library `name`.
            pub(super) fn load(name: &OsStr) -> Result<Self, CudaError> {
                // SAFETY: whoever names the library vouches for what loading it runs: by default, it is the system's driver.
                let library = unsafe { Library::new(name) }.map_err(CudaError::Library)?;
                Ok(Self {
                    // SAFETY: functions of these names have these signatures; see above.
                    $($name: unsafe { library.get($symbol).ok().map(|found| *found) },)*
                    // SAFETY: as above.
                    error_name: unsafe { library.get(b"cuGetErrorName\0").ok().map(|found| *found) },
                    _library: library,
                })
            }

            $(
                /// # Safety
                /// As the driver says of the function.
                #[allow(clippy::too_many_arguments, reason = "as many as the driver's function has")]
                pub(super) unsafe fn $name(&self, $($argument: $type),*) -> Result<(), CudaError> {
                    let name = name_of($symbol);
                    let function = self.$name.ok_or(CudaError::Missing(name))?;
                    // SAFETY: the caller's.
                    self.check(name, unsafe { function($($argument),*) })
                }
            )*
        }
    };
}

functions! {
    init(flags: c_uint) = b"cuInit\0";
    device_count(count: *mut c_int) = b"cuDeviceGetCount\0";
    device(device: *mut c_int, index: c_int) = b"cuDeviceGet\0";
    device_name(name: *mut c_char, room: c_int, device: c_int) = b"cuDeviceGetName\0";
    device_attribute(value: *mut c_int, attribute: c_int, device: c_int) = b"cuDeviceGetAttribute\0";
    retain_context(context: *mut Handle, device: c_int) = b"cuDevicePrimaryCtxRetain\0";
    release_context(device: c_int) = b"cuDevicePrimaryCtxRelease_v2\0";
    set_context(context: Handle) = b"cuCtxSetCurrent\0";
    memory_info(free: *mut usize, total: *mut usize) = b"cuMemGetInfo_v2\0";
    allocate(address: *mut Address, bytes: usize) = b"cuMemAlloc_v2\0";
    free(address: Address) = b"cuMemFree_v2\0";
    copy_in(to: Address, from: *const c_void, bytes: usize, stream: Handle) = b"cuMemcpyHtoDAsync_v2\0";
    copy_out(to: *mut c_void, from: Address, bytes: usize, stream: Handle) = b"cuMemcpyDtoHAsync_v2\0";
    fill(to: Address, byte: u8, bytes: usize, stream: Handle) = b"cuMemsetD8Async\0";
    create_stream(stream: *mut Handle, flags: c_uint) = b"cuStreamCreate\0";
    destroy_stream(stream: Handle) = b"cuStreamDestroy_v2\0";
    wait(stream: Handle) = b"cuStreamSynchronize\0";
    load_module(module: *mut Handle, image: *const c_void) = b"cuModuleLoadData\0";
    unload_module(module: Handle) = b"cuModuleUnload\0";
    function(function: *mut Handle, module: Handle, name: *const c_char) = b"cuModuleGetFunction\0";
    begin_capture(stream: Handle, mode: c_int) = b"cuStreamBeginCapture_v2\0";
    end_capture(stream: Handle, graph: *mut Handle) = b"cuStreamEndCapture\0";
    instantiate(recording: *mut Handle, graph: Handle, flags: u64) = b"cuGraphInstantiateWithFlags\0";
    start(recording: Handle, stream: Handle) = b"cuGraphLaunch\0";
    destroy_graph(graph: Handle) = b"cuGraphDestroy\0";
    destroy_recording(recording: Handle) = b"cuGraphExecDestroy\0";
    launch(
        function: Handle,
        blocks_x: c_uint,
        blocks_y: c_uint,
        blocks_z: c_uint,
        threads_x: c_uint,
        threads_y: c_uint,
        threads_z: c_uint,
        shared_bytes: c_uint,
        stream: Handle,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void
    ) = b"cuLaunchKernel\0";
}

impl Driver {
    fn check(&self, function: &'static str, code: Status) -> Result<(), CudaError> {
        if code == 0 {
            return Ok(());
        }
        let mut name = std::ptr::null();
        if let Some(of) = self.error_name {
            // SAFETY: the place is one to write to; what is written is a static text, or nothing.
            unsafe { of(code, &raw mut name) };
        }
        let name = if name.is_null() {
            "an unknown error".to_owned()
        } else {
            // SAFETY: a static text, which ends with a zero.
            unsafe { CStr::from_ptr(name) }
                .to_string_lossy()
                .into_owned()
        };
        Err(CudaError::Failed {
            function,
            name,
            code,
        })
    }
}

fn name_of(symbol: &'static [u8]) -> &'static str {
    let end = symbol.len().saturating_sub(1);
    let name = symbol.get(..end).unwrap_or_default();
    std::str::from_utf8(name).unwrap_or_default()
}
