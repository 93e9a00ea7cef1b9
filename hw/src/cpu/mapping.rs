//! Memory that the kernel hands out: files mapped read-only, and zeroed memory.
//!
//! Decides how bytes become numbers without a copy. Refuses to know what they are for.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapMut};

/// A file's bytes.
#[derive(Debug)]
pub(crate) struct FileBytes(Mmap);

impl FileBytes {
    /// Maps the whole file, read-only.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private and read-only, and is only ever seen as bytes, for which
        // every content is valid. Someone who changes the file while it is mapped changes numbers;
        // someone who truncates it ends this process by a signal, which is why models are mapped
        // in a worker of their own and stored files are never written in place.
        let map = unsafe { Mmap::map(file) }?;
        #[cfg(target_os = "linux")]
        if map.len() >= LARGE_BYTES {
            // Then the file is read in large pages, and mapped by them, where its file system has such (seen
            // with ext4 on Linux 6.18, in `FilePmdMapped`); elsewhere this changes nothing.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Self(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives back the memory of a part that will hardly be read again; its bytes stay what they are.
    pub(crate) fn forget(&self, part: Range<usize>) {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the mapping is of a file, read-only and never written through, so a page that is
            // dropped comes back from the file with the same bytes.
            let _ = unsafe {
                let advice = memmap2::UncheckedAdvice::DontNeed;
                self.0
                    .unchecked_advise_range(advice, part.start, part.len())
            };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = part;
    }
}

/// From here on large pages are worth their room.
const LARGE_BYTES: usize = 4 << 20;

/// Zeroed memory, aligned to a page and given by the system only when it is touched.
#[derive(Debug)]
pub(crate) struct Zeroed {
    map: Option<MmapMut>,
    len: usize,
}

impl Zeroed {
    /// Room for nothing.
    pub(crate) const fn empty() -> Self {
        Self { map: None, len: 0 }
    }

    /// Room for `len` numbers of 4 bytes.
    pub(crate) fn words(len: usize) -> io::Result<Self> {
        Self::bytes(len, len.checked_mul(4))
    }

    /// Room for `len` numbers of 2 bytes.
    pub(crate) fn halves(len: usize) -> io::Result<Self> {
        Self::bytes(len, len.checked_mul(2))
    }

    fn bytes(len: usize, bytes: Option<usize>) -> io::Result<Self> {
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let map = if bytes == 0 {
            None
        } else {
            let map = MmapMut::map_anon(bytes)?;
            #[cfg(target_os = "linux")]
            if bytes >= LARGE_BYTES {
                // Large pages are a matter of speed; a kernel without them refuses, and is right.
                let _ = map.advise(memmap2::Advice::HugePage);
            }
            Some(map)
        };
        Ok(Self { map, len })
    }

    /// As 32-bit floats.
    pub(crate) fn f32(&self) -> &[f32] {
        let Some(map) = self.fits(4) else { return &[] };
        // SAFETY: `fits` checked that the mapping has 4 bytes for each number; it starts at a page,
        // every bit pattern is an f32, and the borrow of `self` keeps it mapped and unwritten.
        unsafe { std::slice::from_raw_parts(map.as_ptr().cast(), self.len) }
    }

    /// As 32-bit floats, to write.
    pub(crate) fn f32_mut(&mut self) -> &mut [f32] {
        if self.fits(4).is_none() {
            return &mut [];
        }
        let len = self.len;
        let Some(map) = self.map.as_mut() else {
            return &mut [];
        };
        // SAFETY: as in `f32`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), len) }
    }

    /// As 32-bit patterns.
    pub(crate) fn u32(&self) -> &[u32] {
        let Some(map) = self.fits(4) else { return &[] };
        // SAFETY: as in `f32`: every bit pattern is a u32, too.
        unsafe { std::slice::from_raw_parts(map.as_ptr().cast(), self.len) }
    }

    /// As 32-bit patterns, to write.
    pub(crate) fn u32_mut(&mut self) -> &mut [u32] {
        if self.fits(4).is_none() {
            return &mut [];
        }
        let len = self.len;
        let Some(map) = self.map.as_mut() else {
            return &mut [];
        };
        // SAFETY: as in `u32`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), len) }
    }

    /// As 16-bit patterns.
    pub(crate) fn u16(&self) -> &[u16] {
        let Some(map) = self.fits(2) else { return &[] };
        // SAFETY: as in `f32`, with 2 bytes for each number.
        unsafe { std::slice::from_raw_parts(map.as_ptr().cast(), self.len) }
    }

    /// As 16-bit patterns, to write.
    pub(crate) fn u16_mut(&mut self) -> &mut [u16] {
        if self.fits(2).is_none() {
            return &mut [];
        }
        let len = self.len;
        let Some(map) = self.map.as_mut() else {
            return &mut [];
        };
        // SAFETY: as in `u16`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), len) }
    }

    /// As bytes: four or two for each number.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// As bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_deref_mut().unwrap_or_default()
    }

    fn fits(&self, width: usize) -> Option<&MmapMut> {
        self.map.as_ref().filter(|m| m.len() / width >= self.len)
    }
}
