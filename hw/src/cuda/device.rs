//! One card, by the driver's functions.
//!
//! Decides that everything of a card happens in one stream. NVIDIA's driver and AMD's runtime are the same to it.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::sync::{Mutex, PoisonError};

use super::images;
use super::library::{Handle, Library, Vendor};
use crate::gpu::{Driver, GpuError, PARAMETERS_MAX, Recorded};

/// Only this thread's calls are recorded, and only they are held to what may be.
const THREAD_LOCAL: c_int = 1;
/// A stream that does not wait for the default one.
const NON_BLOCKING: u32 = 1;

/// A card and its one stream.
#[derive(Debug)]
pub(crate) struct Device {
    library: Library,
    device: c_int,
    name: String,
    context: Raw,
    stream: Raw,
    module: Raw,
    functions: Mutex<HashMap<&'static str, Raw>>,
}

/// A handle. The driver's functions may be called from any thread.
#[derive(Clone, Copy, Debug)]
struct Raw(Handle);

// SAFETY: a handle is a name for something that the driver guards itself.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    const NONE: Self = Self(std::ptr::null_mut());
}

impl Device {
    /// Card `index`, by `library` instead of the system's driver if there is one.
    pub(crate) fn open(
        vendor: Vendor,
        index: u32,
        library: Option<&OsStr>,
    ) -> Result<Self, GpuError> {
        let library = Library::load(vendor, library)?;
        // SAFETY: no flags are defined.
        unsafe { library.init(0) }?;
        let mut count = 0;
        // SAFETY: a place to write to.
        unsafe { library.device_count(&raw mut count) }?;
        let none = GpuError::NoCard {
            vendor: vendor.name(),
            index,
            count: count.cast_unsigned(),
        };
        let Some(ordinal) = c_int::try_from(index).ok().filter(|index| *index < count) else {
            return Err(none);
        };
        let mut device = 0;
        // SAFETY: a place to write to, and a number below the count.
        unsafe { library.device(&raw mut device, ordinal) }?;
        let mut name = [0_u8; 256];
        // SAFETY: as much room as is said.
        unsafe { library.device_name(name.as_mut_ptr().cast(), name.len() as c_int - 1, device) }?;
        let name = CStr::from_bytes_until_nul(&name).unwrap_or(c"a card");
        let name = name.to_string_lossy().into_owned();
        let mut context = std::ptr::null_mut();
        // SAFETY: a place to write to, and a device.
        unsafe { library.retain_context(&raw mut context, device) }?;
        // From here on, dropping it gives back what it has.
        let mut card = Self {
            library,
            device,
            name,
            context: Raw(context),
            stream: Raw::NONE,
            module: Raw::NONE,
            functions: Mutex::default(),
        };
        card.enter()?;
        // SAFETY: a place to write to.
        unsafe {
            card.library
                .create_stream(&raw mut card.stream.0, NON_BLOCKING)
        }?;
        card.module = Raw(images::load(&card.library, device)?);
        Ok(card)
    }

    /// Makes its context that of the calling thread, which everything else needs.
    fn enter(&self) -> Result<&Library, GpuError> {
        // SAFETY: the context lives as long as this.
        unsafe { self.library.set_context(self.context.0) }?;
        Ok(&self.library)
    }

    /// A kernel by its name.
    fn function(&self, library: &Library, name: &'static str) -> Result<Raw, GpuError> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = functions.get(name) {
            return Ok(*found);
        }
        let symbol = CString::new(name).unwrap_or_default();
        let mut found = Raw::NONE;
        // SAFETY: a place to write to, a module of this context, and a text that ends with a zero.
        unsafe { library.function(&raw mut found.0, self.module.0, symbol.as_ptr()) }?;
        functions.insert(name, found);
        Ok(found)
    }
}

impl Driver for Device {
    fn name(&self) -> &str {
        &self.name
    }

    fn has_planes(&self) -> bool {
        true
    }

    fn id(&self) -> Option<String> {
        // What AMD's runtime tells is not what its other tools call a card.
        if self.library.vendor() == Vendor::Amd {
            return None;
        }
        let mut uuid = [0_u8; 16];
        // SAFETY: a place of 16 bytes, and a device.
        unsafe {
            self.library
                .device_uuid(uuid.as_mut_ptr().cast(), self.device)
        }
        .ok()?;
        let mut id = "GPU".to_owned();
        let mut rest = uuid.as_slice();
        for length in [4, 2, 2, 2, 6] {
            let (part, after) = rest.split_at_checked(length)?;
            id.push('-');
            id.extend(part.iter().map(|byte| format!("{byte:02x}")));
            rest = after;
        }
        Some(id)
    }

    fn free_bytes(&self) -> Result<u64, GpuError> {
        let (mut free, mut total) = (0, 0);
        let library = self.enter()?;
        // SAFETY: places to write to.
        unsafe { library.memory_info(&raw mut free, &raw mut total) }?;
        Ok(free as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        let mut address = 0;
        let library = self.enter()?;
        // SAFETY: a place to write to.
        unsafe { library.allocate(&raw mut address, bytes) }?;
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        // A kernel may still be at it. What cannot be given back now goes with the process.
        let _ = self.wait();
        if let Ok(library) = self.enter() {
            // SAFETY: the caller's.
            let _ = unsafe { library.free(address) };
        }
    }

    unsafe fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), GpuError> {
        // SAFETY: the caller's.
        unsafe { self.enter()?.fill(to, byte, bytes, self.stream.0) }
    }

    unsafe fn copy_in(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        let (bytes, stream) = (from.len(), self.stream.0);
        // SAFETY: the caller's; the driver takes pageable bytes over before it returns.
        unsafe {
            self.enter()?
                .copy_in(to, from.as_ptr().cast(), bytes, stream)
        }
    }

    unsafe fn copy_out(&self, to: &mut [u8], from: u64) -> Result<(), GpuError> {
        let (bytes, stream) = (to.len(), self.stream.0);
        // SAFETY: the caller's, and as much room as is copied; the wait ends before `to` may go.
        unsafe {
            self.enter()?
                .copy_out(to.as_mut_ptr().cast(), from, bytes, stream)
        }?;
        self.wait()
    }

    fn wait(&self) -> Result<(), GpuError> {
        // SAFETY: a stream of this context.
        unsafe { self.enter()?.wait(self.stream.0) }
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        [x, y, z]: [u32; 3],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        let library = self.enter()?;
        let function = self.function(library, kernel)?;
        let mut places = [std::ptr::null_mut::<c_void>(); PARAMETERS_MAX];
        for (place, parameter) in places.iter_mut().zip(parameters) {
            *place = std::ptr::from_mut(parameter).cast();
        }
        let (places, none) = (places.as_mut_ptr(), std::ptr::null_mut());
        let stream = self.stream.0;
        // SAFETY: the caller's; the driver copies the parameters before it returns.
        unsafe { library.launch(function.0, x, y, z, threads, 1, 1, 0, stream, places, none) }
    }

    fn begin_recording(&self) -> Result<bool, GpuError> {
        let library = self.enter()?;
        // SAFETY: a stream of this context.
        match unsafe { library.begin_capture(self.stream.0, THREAD_LOCAL) } {
            Err(GpuError::Missing { .. }) => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    fn end_recording(&self) -> Result<Recorded, GpuError> {
        let library = self.enter()?;
        let mut graph = std::ptr::null_mut();
        // SAFETY: a stream that records, and a place to write to.
        let mut end = || unsafe { library.end_capture(self.stream.0, &raw mut graph) };
        let ended = end();
        if ended.is_err() {
            // A stream that still records can do nothing else.
            let _ = end();
        }
        let mut recording = std::ptr::null_mut();
        let made = ended.and_then(|()| {
            // SAFETY: a place to write to, and a graph that was made just now.
            unsafe { library.instantiate(&raw mut recording, graph, 0) }
        });
        if !graph.is_null() {
            // SAFETY: what was made of it does not need it.
            let _ = unsafe { library.destroy_graph(graph) };
        }
        made.map(|()| Recorded(recording.expose_provenance() as u64))
    }

    unsafe fn start(&self, Recorded(recorded): Recorded) -> Result<(), GpuError> {
        let recording = std::ptr::with_exposed_provenance_mut(recorded as usize);
        // SAFETY: a recording and a stream of this context; the rest is the caller's.
        unsafe { self.enter()?.start(recording, self.stream.0) }
    }

    unsafe fn forget(&self, Recorded(recorded): Recorded) {
        let recording = std::ptr::with_exposed_provenance_mut(recorded as usize);
        if let Ok(library) = self.enter() {
            // SAFETY: the caller's; the driver keeps what still runs until it is done.
            let _ = unsafe { library.destroy_recording(recording) };
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // What cannot be given back now is given back by the driver when the process ends.
        let _ = self.enter();
        if !self.module.0.is_null() {
            // SAFETY: nothing of it is in use: whoever has memory or launches has this card.
            let _ = unsafe { self.library.unload_module(self.module.0) };
        }
        if !self.stream.0.is_null() {
            // SAFETY: as above.
            let _ = unsafe { self.library.destroy_stream(self.stream.0) };
        }
        // SAFETY: it was retained once.
        let _ = unsafe { self.library.release_context(self.device) };
    }
}
