//! The kernels in the forms that cards take.
//!
//! Decides which form a card gets: on NVIDIA's the one for its own architecture, or the text that any driver translates; on
//! AMD's the one that its runtime takes.

use std::ffi::{c_int, c_void};

use super::library::{Handle, Library, Vendor};
use crate::gpu::{GpuError, unpacked};

/// Attributes of a device, by NVIDIA's numbers.
const COMPUTE_MAJOR: c_int = 75;
const COMPUTE_MINOR: c_int = 76;

/// The kernels in one form, packed.
macro_rules! image {
    ($name:literal, $file:literal) => {
        (
            $name,
            include_bytes!(concat!("../../kernels/prebuilt/", $file, ".zst")),
        )
    };
}

/// Texts that NVIDIA's driver translates for cards from these numbers on; the last that fits is the best.
const TEXTS: [(c_int, &[u8]); 2] = [image!(70, "sm_70.ptx"), image!(80, "sm_80.ptx")];

/// By major and minor number.
const NVIDIA: [(&str, &[u8]); 8] = [
    image!("70", "sm_70.cubin"),
    image!("75", "sm_75.cubin"),
    image!("80", "sm_80.cubin"),
    image!("86", "sm_86.cubin"),
    image!("89", "sm_89.cubin"),
    image!("90", "sm_90.cubin"),
    image!("100", "sm_100.cubin"),
    image!("120", "sm_120.cubin"),
];

/// By instruction set.
const AMD: [(&str, &[u8]); 7] = [
    image!("gfx900", "gfx900.hsaco"),
    image!("gfx906", "gfx906.hsaco"),
    image!("gfx90a", "gfx90a.hsaco"),
    image!("gfx942", "gfx942.hsaco"),
    image!("gfx1030", "gfx1030.hsaco"),
    image!("gfx1100", "gfx1100.hsaco"),
    image!("gfx1201", "gfx1201.hsaco"),
];

/// Brings the kernels to the card whose context is the calling thread's.
pub(super) fn load(library: &Library, device: c_int) -> Result<Handle, GpuError> {
    match library.vendor() {
        Vendor::Nvidia => {
            let major = attribute(library, COMPUTE_MAJOR, device)?;
            let minor = attribute(library, COMPUTE_MINOR, device)?;
            let number = format!("{major}{minor}");
            let own = NVIDIA.iter().find(|(of, _)| *of == number);
            if let Some(loaded) = own.and_then(|(_, image)| module(library, image).ok()) {
                return Ok(loaded);
            }
            let fits = |(from, _): &&(c_int, &[u8])| *from <= major * 10 + minor;
            let [oldest, ..] = &TEXTS;
            let (_, text) = TEXTS.iter().rfind(fits).unwrap_or(oldest);
            module(library, text)
        }
        Vendor::Amd => {
            // A code object says what it is for, and the runtime refuses those for others.
            let mut refused = None;
            for (_, image) in AMD {
                match module(library, image) {
                    Ok(loaded) => return Ok(loaded),
                    Err(error) => refused = Some(error),
                }
            }
            Err(refused.unwrap_or_else(|| GpuError::Missing {
                vendor: library.vendor().name(),
                function: "hipModuleLoadData",
            }))
        }
    }
}

fn attribute(library: &Library, attribute: c_int, device: c_int) -> Result<c_int, GpuError> {
    let mut value = 0;
    // SAFETY: a place to write to, and a device.
    unsafe { library.device_attribute(&raw mut value, attribute, device) }?;
    Ok(value)
}

/// Takes what says its own length, or a text, which ends with a zero.
fn module(library: &Library, packed: &[u8]) -> Result<Handle, GpuError> {
    let image = unpacked(packed)?;
    let mut module = std::ptr::null_mut();
    // SAFETY: a place to write to, and a whole image.
    unsafe { library.load_module(&raw mut module, image.as_ptr().cast::<c_void>()) }?;
    Ok(module)
}
