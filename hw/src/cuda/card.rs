//! One card: its context, its kernels, and the order in which it does things.
//!
//! Decides that everything of a card happens in one stream, and which form of the kernels it gets: the one for its own
//! architecture, or the text that any driver translates.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::driver::{CudaError, Driver, Handle};
use super::memory::Memory;
use crate::weight::Weight;

/// What the driver's library is called.
const LIBRARY: &str = "libcuda.so.1";

/// Attributes of a device, by the driver's numbers.
const COMPUTE_MAJOR: c_int = 75;
const COMPUTE_MINOR: c_int = 76;

/// The kernels for any card.
const TEXT: &CStr = match CStr::from_bytes_with_nul(
    concat!(include_str!("../../kernels/prebuilt/kernels.ptx"), "\0").as_bytes(),
) {
    Ok(text) => text,
    Err(_) => c"",
};

/// The kernels for cards of one architecture.
macro_rules! image {
    ($number:literal) => {
        (
            $number,
            include_bytes!(concat!("../../kernels/prebuilt/sm_", $number, ".cubin")),
        )
    };
}

/// By major and minor number.
const IMAGES: [(&str, &[u8]); 8] = [
    image!("70"),
    image!("75"),
    image!("80"),
    image!("86"),
    image!("89"),
    image!("90"),
    image!("100"),
    image!("120"),
];

/// A card in use.
#[derive(Debug)]
pub(crate) struct Card {
    driver: Driver,
    device: c_int,
    name: String,
    context: Raw,
    stream: Raw,
    module: Raw,
    functions: Mutex<HashMap<&'static str, Raw>>,
    weights: Mutex<HashMap<u64, (Weight, Weak<Memory>)>>,
}

/// A handle. The driver's functions may be called from any thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw(pub(super) Handle);

// SAFETY: a handle is a name for something that the driver guards itself.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Card {
    /// Card `index`, by `library` instead of the system's driver if there is one.
    pub(crate) fn open(index: u32, library: Option<&OsStr>) -> Result<Arc<Self>, CudaError> {
        let driver = Driver::load(library.unwrap_or_else(|| OsStr::new(LIBRARY)))?;
        // SAFETY: no flags are defined.
        unsafe { driver.init(0) }?;
        let mut count = 0;
        // SAFETY: a place to write to.
        unsafe { driver.device_count(&raw mut count) }?;
        let none = CudaError::NoCard {
            index,
            count: count.cast_unsigned(),
        };
        let Some(ordinal) = c_int::try_from(index).ok().filter(|index| *index < count) else {
            return Err(none);
        };
        let mut device = 0;
        // SAFETY: a place to write to, and a number below the count.
        unsafe { driver.device(&raw mut device, ordinal) }?;
        let mut name = [0_u8; 256];
        // SAFETY: as much room as is said.
        unsafe { driver.device_name(name.as_mut_ptr().cast(), name.len() as c_int - 1, device) }?;
        let name = CStr::from_bytes_until_nul(&name).unwrap_or(c"a card");
        let name = name.to_string_lossy().into_owned();
        let mut context = std::ptr::null_mut();
        // SAFETY: a place to write to, and a device.
        unsafe { driver.retain_context(&raw mut context, device) }?;
        // From here on, dropping it gives back what it has.
        let mut card = Self {
            driver,
            device,
            name,
            context: Raw(context),
            stream: Raw(std::ptr::null_mut()),
            module: Raw(std::ptr::null_mut()),
            functions: Mutex::default(),
            weights: Mutex::default(),
        };
        card.enter()?;
        // SAFETY: a place to write to; 1 is a stream that does not wait for the default one.
        unsafe { card.driver.create_stream(&raw mut card.stream.0, 1) }?;
        card.load()?;
        Ok(Arc::new(card))
    }

    fn load(&mut self) -> Result<(), CudaError> {
        let number = format!(
            "{}{}",
            self.attribute(COMPUTE_MAJOR)?,
            self.attribute(COMPUTE_MINOR)?
        );
        let own = IMAGES.iter().find(|(of, _)| *of == number);
        if let Some((_, image)) = own {
            let image = image.as_ptr().cast::<c_void>();
            // SAFETY: a place to write to, and a whole image, which says its own length.
            if unsafe { self.driver.load_module(&raw mut self.module.0, image) }.is_ok() {
                return Ok(());
            }
        }
        let text = TEXT.as_ptr().cast::<c_void>();
        // SAFETY: a place to write to, and a text that ends with a zero.
        unsafe { self.driver.load_module(&raw mut self.module.0, text) }
    }

    fn attribute(&self, attribute: c_int) -> Result<c_int, CudaError> {
        let mut value = 0;
        // SAFETY: a place to write to, and a device.
        unsafe {
            self.driver
                .device_attribute(&raw mut value, attribute, self.device)
        }?;
        Ok(value)
    }

    /// The driver's name of it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes its context that of the calling thread, which everything else needs.
    pub(super) fn enter(&self) -> Result<&Driver, CudaError> {
        // SAFETY: the context lives as long as this.
        unsafe { self.driver.set_context(self.context.0) }?;
        Ok(&self.driver)
    }

    pub(super) fn stream(&self) -> Handle {
        self.stream.0
    }

    /// Bytes of its memory that nobody has.
    pub(crate) fn free_bytes(&self) -> Result<u64, CudaError> {
        let (mut free, mut total) = (0, 0);
        let driver = self.enter()?;
        // SAFETY: places to write to.
        unsafe { driver.memory_info(&raw mut free, &raw mut total) }?;
        Ok(free as u64)
    }

    /// Waits until it has done everything.
    pub(crate) fn wait(&self) -> Result<(), CudaError> {
        let driver = self.enter()?;
        // SAFETY: a stream of this context.
        unsafe { driver.wait(self.stream.0) }
    }

    /// A kernel by its name.
    pub(super) fn function(&self, name: &'static str) -> Result<Raw, CudaError> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = functions.get(name) {
            return Ok(*found);
        }
        let symbol = CString::new(name).unwrap_or_default();
        let mut found = std::ptr::null_mut();
        let driver = self.enter()?;
        // SAFETY: a place to write to, a module of this context, and a text that ends with a zero.
        unsafe { driver.function(&raw mut found, self.module.0, symbol.as_ptr()) }?;
        functions.insert(name, Raw(found));
        Ok(Raw(found))
    }

    /// Starts `blocks` blocks of `threads` threads.
    ///
    /// # Safety
    /// `parameters` are what the kernel takes, each in the low bytes of its own number, and every address among them is of
    /// memory that is as large as the kernel takes it to be, and lives until the stream has been waited for.
    pub(super) unsafe fn launch(
        &self,
        function: Raw,
        blocks: [usize; 2],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), CudaError> {
        let [x, y] = blocks.map(|count| count as u32);
        if x == 0 || y == 0 {
            return Ok(());
        }
        let mut places = [std::ptr::null_mut::<c_void>(); MOST_PARAMETERS];
        for (place, parameter) in places.iter_mut().zip(parameters) {
            *place = std::ptr::from_mut(parameter).cast();
        }
        let (places, none) = (places.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: the caller's; the driver copies the parameters before it returns.
        unsafe {
            self.driver.launch(
                function.0,
                x,
                y,
                1,
                threads,
                1,
                1,
                0,
                self.stream.0,
                places,
                none,
            )
        }
    }

    /// The bytes of a weight in its memory, copied there if they are not yet.
    pub(super) fn weight(self: &Arc<Self>, weight: &Weight) -> Result<Arc<Memory>, CudaError> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        weight.identity().hash(&mut hasher);
        let key = hasher.finish();
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        weights.retain(|_, (_, memory)| memory.strong_count() > 0);
        let known = weights.get(&key);
        let same = known.filter(|(known, _)| known.identity() == weight.identity());
        if let Some(memory) = same.and_then(|(_, memory)| memory.upgrade()) {
            return Ok(memory);
        }
        let memory = Memory::allocate(self, weight.data().len())?;
        memory.write(0, weight.data())?;
        self.wait()?;
        let memory = Arc::new(memory);
        weights.insert(key, (weight.clone(), Arc::downgrade(&memory)));
        Ok(memory)
    }
}

/// Parameters of a kernel, at most.
const MOST_PARAMETERS: usize = 24;

impl Drop for Card {
    fn drop(&mut self) {
        // What cannot be given back now is given back by the driver when the process ends.
        let _ = self.enter();
        if !self.module.0.is_null() {
            // SAFETY: nothing of it is in use: whoever has memory or launches has this card.
            let _ = unsafe { self.driver.unload_module(self.module.0) };
        }
        if !self.stream.0.is_null() {
            // SAFETY: as above.
            let _ = unsafe { self.driver.destroy_stream(self.stream.0) };
        }
        // SAFETY: it was retained once.
        let _ = unsafe { self.driver.release_context(self.device) };
    }
}
