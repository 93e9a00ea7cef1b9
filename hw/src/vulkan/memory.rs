//! A device's memory, in chunks that are dealt out in pieces.
//!
//! Decides which kind of memory is taken, and that small pieces share a chunk: drivers count chunks, and some give no more
//! than 4096 (`maxMemoryAllocationCount`).

use std::collections::BTreeMap;
use std::sync::Arc;

use ash::vk;
use ash::vk::MemoryPropertyFlags as Flags;

use super::called;
use super::device::Device;
use crate::gpu::GpuError;

/// What every address is a multiple of.
pub(super) const ALIGNMENT: u64 = 256;

/// Only for what is asked for by name, which nothing here does.
const SPECIAL: Flags = Flags::from_raw(
    Flags::PROTECTED.as_raw()
        | Flags::LAZILY_ALLOCATED.as_raw()
        | Flags::DEVICE_COHERENT_AMD.as_raw(),
);

/// Who uses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Kernels.
    Own,
    /// The processor writes it, kernels and copies read it.
    Written,
    /// Copies write it, the processor reads it.
    Read,
}

impl Kind {
    /// Kinds of memory, the best first.
    fn wishes(self) -> [Flags; 2] {
        let shared = Flags::HOST_VISIBLE | Flags::HOST_COHERENT;
        match self {
            Self::Own => [Flags::DEVICE_LOCAL, Flags::empty()],
            Self::Written => [shared | Flags::DEVICE_LOCAL, shared],
            Self::Read => [shared | Flags::HOST_CACHED, shared],
        }
    }

    /// Bytes of a chunk of small pieces.
    fn chunk_bytes(self) -> u64 {
        match self {
            Self::Own => 32 << 20,
            Self::Written | Self::Read => 1 << 20,
        }
    }
}

/// Some bytes of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) buffer: vk::Buffer,
    /// Where it is in the buffer.
    pub(super) offset: u64,
    /// What kernels call its first byte.
    pub(super) address: u64,
    /// What the processor calls it; null where it has no access.
    pub(super) host: *mut u8,
    pub(super) bytes: u64,
}

// SAFETY: the pointer is into memory that is mapped as long as its chunk lives, on any thread.
unsafe impl Send for Piece {}

/// One allocation of the driver's.
#[derive(Debug)]
struct Chunk {
    /// All of it but what aligns its start.
    whole: Piece,
    memory: vk::DeviceMemory,
    heap: u32,
    /// Bytes that nobody has, by their offset.
    free: BTreeMap<u64, u64>,
}

/// Memory of one kind. It is given back with it, so nothing may use it any more.
#[derive(Debug)]
pub(super) struct Arena {
    device: Arc<Device>,
    kind: Kind,
    /// By address.
    chunks: BTreeMap<u64, Chunk>,
    /// Bytes of each piece that is taken, by address.
    taken: BTreeMap<u64, u64>,
}

impl Arena {
    pub(super) fn new(device: &Arc<Device>, kind: Kind) -> Self {
        Self {
            device: Arc::clone(device),
            kind,
            chunks: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    /// A piece of so many bytes, or some more.
    pub(super) fn allocate(&mut self, bytes: u64) -> Result<Piece, GpuError> {
        let most = self.device.piece_bytes_max;
        if bytes > most.saturating_sub(2 * ALIGNMENT) {
            return Err(GpuError::Piece { bytes, most });
        }
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT);
        let of_chunk = self.kind.chunk_bytes();
        let found = self
            .chunks
            .iter()
            .find_map(|(base, chunk)| Some((*base, chunk.first_fit(bytes)?)));
        let (base, offset) = if let Some(found) = found {
            found
        } else if bytes >= of_chunk / 4 {
            (self.grow(bytes)?, 0)
        } else {
            // Where memory is short, a chunk for this piece alone may still fit.
            let grown = self.grow(of_chunk);
            (grown.or_else(|_| self.grow(bytes))?, 0)
        };
        let Some(chunk) = self.chunks.get_mut(&base) else {
            return Err(GpuError::Piece { bytes, most });
        };
        chunk.take(offset, bytes);
        let piece = chunk.part(offset, bytes);
        self.taken.insert(piece.address, bytes);
        Ok(piece)
    }

    /// Gives a piece back.
    pub(super) fn free(&mut self, address: u64) {
        let Some(bytes) = self.taken.remove(&address) else {
            return;
        };
        let Some((&base, chunk)) = self.chunks.range_mut(..=address).next_back() else {
            return;
        };
        chunk.give(address - base, bytes);
        if chunk.free.get(&0) == Some(&chunk.whole.bytes)
            && let Some(chunk) = self.chunks.remove(&base)
        {
            self.destroy(&chunk);
        }
    }

    /// What lies at an address, if so many bytes from there on are of one chunk.
    pub(super) fn find(&self, address: u64, bytes: u64) -> Option<Piece> {
        let (base, chunk) = self.chunks.range(..=address).next_back()?;
        let offset = address - base;
        let end = offset.checked_add(bytes)?;
        (end <= chunk.whole.bytes).then(|| chunk.part(offset, bytes))
    }

    /// Bytes of the heap that it takes from which nobody has.
    pub(super) fn free_bytes(&self) -> u64 {
        let heap = self.heap();
        let own = self.chunks.values().filter(|chunk| chunk.heap == heap);
        let held: u64 = own.clone().map(|chunk| chunk.whole.bytes).sum();
        let spare: u64 = own.flat_map(|chunk| chunk.free.values()).sum();
        self.device.free_bytes(heap, held) + spare
    }

    /// The heap of the best kind of memory.
    fn heap(&self) -> u32 {
        let types = self.device.memory.memory_types_as_slice();
        let fits = |wish| move |kind: &&vk::MemoryType| fits(kind.property_flags, wish);
        let mut found = self.kind.wishes().into_iter();
        let best = found.find_map(|wish| types.iter().find(fits(wish)));
        best.map_or(0, |kind| kind.heap_index)
    }

    /// A chunk with so many bytes; yields its address.
    fn grow(&mut self, bytes: u64) -> Result<u64, GpuError> {
        let device = &self.device.raw;
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let how = vk::BufferCreateInfo::default()
            .size(bytes + ALIGNMENT)
            .usage(usage)
            .sharing_mode(vk::SharingMode::EXCLUSIVE);
        // SAFETY: the device lives, and the size is not 0.
        let buffer = called("vkCreateBuffer", unsafe {
            device.create_buffer(&how, None)
        })?;
        // SAFETY: a buffer of this device.
        let needs = unsafe { device.get_buffer_memory_requirements(buffer) };
        let made = self.memory_for(needs).and_then(|(memory, heap)| {
            let chunk = self.bind(buffer, memory, heap, bytes);
            if chunk.is_err() {
                // SAFETY: nothing uses it.
                unsafe { device.free_memory(memory, None) };
            }
            chunk
        });
        if made.is_err() {
            // SAFETY: nothing uses it.
            unsafe { device.destroy_buffer(buffer, None) };
        }
        let chunk = made?;
        let base = chunk.whole.address;
        self.chunks.insert(base, chunk);
        Ok(base)
    }

    /// Memory of the best kind that there is some of, and its heap.
    fn memory_for(
        &self,
        needs: vk::MemoryRequirements,
    ) -> Result<(vk::DeviceMemory, u32), GpuError> {
        let mut with_address =
            vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let mut last = Err(vk::Result::ERROR_OUT_OF_DEVICE_MEMORY);
        let types = self.device.memory.memory_types_as_slice();
        for wish in self.kind.wishes() {
            let found = types.iter().enumerate().find(|(index, kind)| {
                needs.memory_type_bits >> index & 1 == 1 && fits(kind.property_flags, wish)
            });
            let Some((index, kind)) = found else {
                continue;
            };
            let how = vk::MemoryAllocateInfo::default()
                .allocation_size(needs.size)
                .memory_type_index(index as u32)
                .push_next(&mut with_address);
            // SAFETY: a type of this device, and structures of its version.
            last = unsafe { self.device.raw.allocate_memory(&how, None) };
            if let Ok(memory) = last {
                return Ok((memory, kind.heap_index));
            }
        }
        called("vkAllocateMemory", last).map(|memory| (memory, 0))
    }

    fn bind(
        &self,
        buffer: vk::Buffer,
        memory: vk::DeviceMemory,
        heap: u32,
        bytes: u64,
    ) -> Result<Chunk, GpuError> {
        let device = &self.device.raw;
        // SAFETY: memory that was allocated for this buffer, of which nothing is bound yet.
        called("vkBindBufferMemory", unsafe {
            device.bind_buffer_memory(buffer, memory, 0)
        })?;
        let of = vk::BufferDeviceAddressInfo::default().buffer(buffer);
        // SAFETY: a buffer with memory, made for this use; the feature is on.
        let start = unsafe { device.get_buffer_device_address(&of) };
        let address = start.next_multiple_of(ALIGNMENT);
        let offset = address - start;
        let mut host = std::ptr::null_mut();
        if self.kind != Kind::Own {
            let flags = vk::MemoryMapFlags::empty();
            // SAFETY: memory that the processor has access to, and that is not mapped yet.
            host = called("vkMapMemory", unsafe {
                device.map_memory(memory, 0, vk::WHOLE_SIZE, flags)
            })?
            .cast::<u8>()
            .wrapping_add(offset as usize);
        }
        let whole = Piece {
            buffer,
            offset,
            address,
            host,
            bytes,
        };
        Ok(Chunk {
            whole,
            memory,
            heap,
            free: BTreeMap::from([(0, bytes)]),
        })
    }

    fn destroy(&self, chunk: &Chunk) {
        // SAFETY: nothing uses it any more, as whoever gives memory back says; freeing memory ends its mapping.
        unsafe {
            self.device.raw.destroy_buffer(chunk.whole.buffer, None);
            self.device.raw.free_memory(chunk.memory, None);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in std::mem::take(&mut self.chunks).into_values() {
            self.destroy(&chunk);
        }
    }
}

impl Chunk {
    fn first_fit(&self, bytes: u64) -> Option<u64> {
        let mut free = self.free.iter();
        free.find(|(_, length)| **length >= bytes)
            .map(|(offset, _)| *offset)
    }

    fn take(&mut self, offset: u64, bytes: u64) {
        if let Some(length) = self.free.remove(&offset)
            && length > bytes
        {
            self.free.insert(offset + bytes, length - bytes);
        }
    }

    /// Joins what is given back with what is free beside it.
    fn give(&mut self, mut offset: u64, mut bytes: u64) {
        if let Some(after) = self.free.remove(&(offset + bytes)) {
            bytes += after;
        }
        if let Some((&before, &length)) = self.free.range(..offset).next_back()
            && before + length == offset
        {
            offset = before;
            bytes += length;
        }
        self.free.insert(offset, bytes);
    }

    fn part(&self, offset: u64, bytes: u64) -> Piece {
        let Piece {
            buffer,
            offset: start,
            address,
            host,
            ..
        } = self.whole;
        Piece {
            buffer,
            offset: start + offset,
            address: address + offset,
            host: match host.is_null() {
                true => host,
                false => host.wrapping_add(offset as usize),
            },
            bytes,
        }
    }
}

fn fits(flags: Flags, wish: Flags) -> bool {
    flags.contains(wish) && !flags.intersects(SPECIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_come_back_are_joined() {
        let whole = Piece {
            buffer: vk::Buffer::null(),
            offset: 64,
            address: 512,
            host: std::ptr::null_mut(),
            bytes: 4096,
        };
        let mut chunk = Chunk {
            whole,
            memory: vk::DeviceMemory::null(),
            heap: 0,
            free: BTreeMap::from([(0, 4096)]),
        };
        for offset in [0, 256, 512] {
            assert_eq!(chunk.first_fit(256), Some(offset));
            chunk.take(offset, 256);
        }
        let second = chunk.part(256, 256);
        assert_eq!((second.offset, second.address), (320, 768));
        chunk.give(0, 256);
        chunk.give(512, 256);
        assert_eq!(chunk.first_fit(512), Some(512));
        assert_eq!(chunk.first_fit(256), Some(0));
        chunk.give(256, 256);
        assert_eq!(chunk.free, BTreeMap::from([(0, 4096)]));
        assert_eq!(chunk.first_fit(4097), None);
    }
}
