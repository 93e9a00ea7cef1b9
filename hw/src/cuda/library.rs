//! The drivers' functions, by name.
//!
//! Decides which are used and that one that is missing is an error when it is called, not before. Signatures are those of
//! NVIDIA's driver interface from version 11 on (CUDA Driver API reference); AMD's runtime has the same under its own names
//! (HIP Runtime API reference, 5.4 and later).

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};

use libloading::Library as File;

use crate::gpu::GpuError;

/// Whose cards and driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// CUDA's driver library.
    Nvidia,
    /// HIP's runtime library.
    Amd,
}

impl Vendor {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Amd => "AMD",
        }
    }

    /// Where the library may be, the likeliest first.
    fn libraries(self) -> &'static [&'static str] {
        match self {
            Self::Nvidia => &["libcuda.so.1"],
            Self::Amd => &[
                "libamdhip64.so.7",
                "libamdhip64.so.6",
                "libamdhip64.so.5",
                "/opt/rocm/lib/libamdhip64.so",
            ],
        }
    }
}

/// What every function returns; 0 is success.
type Status = c_int;
/// An address in a card's memory.
pub(super) type Address = u64;
/// Handles are pointers that are never followed here.
pub(super) type Handle = *mut c_void;

macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) = $nvidia:literal | $amd:literal;)*) => {
        /// A loaded driver.
        #[derive(Debug)]
        pub(super) struct Library {
            vendor: Vendor,
            $($name: Option<unsafe extern "C" fn($($type),*) -> Status>,)*
            error_name: Option<unsafe extern "C" fn(Status, *mut *const c_char) -> Status>,
            /// Holds the functions above.
            _file: File,
        }

        impl Library {
            fn of(vendor: Vendor, file: File) -> Self {
                let find = |nvidia: &'static [u8], amd: &'static [u8]| match vendor {
                    Vendor::Nvidia => nvidia,
                    Vendor::Amd => amd,
                };
                Self {
                    vendor,
                    // SAFETY: functions of these names have these signatures; see above.
                    $($name: unsafe {
                        let symbol = find(concat!($nvidia, "\0").as_bytes(), concat!($amd, "\0").as_bytes());
                        file.get(symbol).ok().map(|found| *found)
                    },)*
                    // SAFETY: as above.
                    error_name: unsafe {
                        file.get(find(b"cuGetErrorName\0", b"hipDrvGetErrorName\0")).ok().map(|found| *found)
                    },
                    _file: file,
                }
            }

            $(
                /// # Safety
                /// As the driver says of the function.
                #[allow(clippy::too_many_arguments, reason = "as many as the driver's function has")]
                pub(super) unsafe fn $name(&self, $($argument: $type),*) -> Result<(), GpuError> {
                    let (vendor, function) = match self.vendor {
                        Vendor::Nvidia => ("NVIDIA", $nvidia),
                        Vendor::Amd => ("AMD", $amd),
                    };
                    let call = self.$name.ok_or(GpuError::Missing { vendor, function })?;
                    // SAFETY: the caller's.
                    self.check(function, unsafe { call($($argument),*) })
                }
            )*
        }
    };
}

functions! {
    init(flags: c_uint) = "cuInit" | "hipInit";
    device_count(count: *mut c_int) = "cuDeviceGetCount" | "hipGetDeviceCount";
    device(device: *mut c_int, index: c_int) = "cuDeviceGet" | "hipDeviceGet";
    device_name(name: *mut c_char, room: c_int, device: c_int) = "cuDeviceGetName" | "hipDeviceGetName";
    device_uuid(uuid: *mut c_char, device: c_int) = "cuDeviceGetUuid_v2" | "hipDeviceGetUuid";
    device_attribute(value: *mut c_int, attribute: c_int, device: c_int) = "cuDeviceGetAttribute" | "hipDeviceGetAttribute";
    retain_context(context: *mut Handle, device: c_int) = "cuDevicePrimaryCtxRetain" | "hipDevicePrimaryCtxRetain";
    release_context(device: c_int) = "cuDevicePrimaryCtxRelease_v2" | "hipDevicePrimaryCtxRelease";
    set_context(context: Handle) = "cuCtxSetCurrent" | "hipCtxSetCurrent";
    memory_info(free: *mut usize, total: *mut usize) = "cuMemGetInfo_v2" | "hipMemGetInfo";
    allocate(address: *mut Address, bytes: usize) = "cuMemAlloc_v2" | "hipMalloc";
    free(address: Address) = "cuMemFree_v2" | "hipFree";
    copy_in(to: Address, from: *const c_void, bytes: usize, stream: Handle) = "cuMemcpyHtoDAsync_v2" | "hipMemcpyHtoDAsync";
    copy_out(to: *mut c_void, from: Address, bytes: usize, stream: Handle) = "cuMemcpyDtoHAsync_v2" | "hipMemcpyDtoHAsync";
    fill(to: Address, byte: u8, bytes: usize, stream: Handle) = "cuMemsetD8Async" | "hipMemsetD8Async";
    create_stream(stream: *mut Handle, flags: c_uint) = "cuStreamCreate" | "hipStreamCreateWithFlags";
    destroy_stream(stream: Handle) = "cuStreamDestroy_v2" | "hipStreamDestroy";
    wait(stream: Handle) = "cuStreamSynchronize" | "hipStreamSynchronize";
    load_module(module: *mut Handle, image: *const c_void) = "cuModuleLoadData" | "hipModuleLoadData";
    unload_module(module: Handle) = "cuModuleUnload" | "hipModuleUnload";
    function(function: *mut Handle, module: Handle, name: *const c_char) = "cuModuleGetFunction" | "hipModuleGetFunction";
    begin_capture(stream: Handle, mode: c_int) = "cuStreamBeginCapture_v2" | "hipStreamBeginCapture";
    end_capture(stream: Handle, graph: *mut Handle) = "cuStreamEndCapture" | "hipStreamEndCapture";
    instantiate(recording: *mut Handle, graph: Handle, flags: u64) = "cuGraphInstantiateWithFlags" | "hipGraphInstantiateWithFlags";
    start(recording: Handle, stream: Handle) = "cuGraphLaunch" | "hipGraphLaunch";
    destroy_graph(graph: Handle) = "cuGraphDestroy" | "hipGraphDestroy";
    destroy_recording(recording: Handle) = "cuGraphExecDestroy" | "hipGraphExecDestroy";
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
    ) = "cuLaunchKernel" | "hipModuleLaunchKernel";
}

impl Library {
    /// Loads the library `named`, or else the system's.
    pub(super) fn load(vendor: Vendor, named: Option<&OsStr>) -> Result<Self, GpuError> {
        let names = vendor.libraries().iter().map(OsStr::new);
        let names = named.into_iter().chain(names.filter(|_| named.is_none()));
        let mut first = None;
        for name in names {
            // SAFETY: whoever names the library vouches for what loading it runs: by default, it is the system's driver.
            match unsafe { File::new(name) } {
                Ok(file) => return Ok(Self::of(vendor, file)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let source = first.unwrap_or(libloading::Error::DlOpenUnknown);
        let vendor = vendor.name();
        Err(GpuError::Library { vendor, source })
    }

    pub(super) fn vendor(&self) -> Vendor {
        self.vendor
    }

    fn check(&self, function: &'static str, code: Status) -> Result<(), GpuError> {
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
        Err(GpuError::Failed {
            vendor: self.vendor.name(),
            function,
            name,
            code,
        })
    }
}
