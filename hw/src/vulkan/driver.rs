//! What the engine asks for, by Vulkan.
//!
//! Decides that whoever asks holds the device alone, since a queue is one thread's at a time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::device::Device;
use super::failed;
use super::kernels::Kernels;
use super::memory::{Arena, Kind, Piece};
use super::queue::{Queue, Recording};
use crate::gpu::{Driver, GpuError, PARAMETERS_MAX, Recorded};

/// A device in use.
#[derive(Debug)]
pub(crate) struct Vulkan {
    work: Mutex<Work>,
    device: Arc<Device>,
}

#[derive(Debug)]
struct Work {
    queue: Queue,
    kernels: Kernels,
    memory: Arena,
    /// By the thread that records.
    recording: HashMap<ThreadId, Recording>,
    recorded: HashMap<u64, Recording>,
    next: u64,
}

impl Vulkan {
    /// Device `index`, by `library` instead of the system's loader if there is one.
    pub(crate) fn open(index: u32, library: Option<&OsStr>) -> Result<Self, GpuError> {
        let device = Arc::new(Device::open(index, library)?);
        let work = Work {
            queue: Queue::new(&device)?,
            kernels: Kernels::load(&device)?,
            memory: Arena::new(&device, Kind::Own),
            recording: HashMap::new(),
            recorded: HashMap::new(),
            next: 1,
        };
        Ok(Self {
            work: Mutex::new(work),
            device,
        })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn find(&self, address: u64, bytes: usize) -> Result<Piece, GpuError> {
        let found = self.memory.find(address, bytes as u64);
        found.ok_or_else(|| failed("vkCmdCopyBuffer", "an address outside of all memory", 0))
    }
}

impl Driver for Vulkan {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn is_processor(&self) -> bool {
        self.device.is_processor
    }

    fn has_planes(&self) -> bool {
        false
    }

    fn free_bytes(&self) -> Result<u64, GpuError> {
        Ok(self.work().memory.free_bytes())
    }

    fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        let piece = self.work().memory.allocate(bytes as u64)?;
        Ok(piece.address)
    }

    unsafe fn free(&self, address: u64) {
        let mut work = self.work();
        // A device that fails has stopped.
        let _ = work.queue.wait();
        work.memory.free(address);
    }

    unsafe fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), GpuError> {
        let mut work = self.work();
        // Only whole words can be filled.
        let head = ((to.next_multiple_of(4) - to) as usize).min(bytes);
        let tail = (bytes - head) % 4;
        let words = bytes - head - tail;
        let odd = [byte; 3];
        for (at, count) in [(to, head), (to + (head + words) as u64, tail)] {
            let to = work.find(at, count)?;
            let odd = odd.get(..count).unwrap_or_default();
            work.queue.copy_in(to, odd)?;
        }
        if words == 0 {
            return Ok(());
        }
        let to = work.find(to + head as u64, words)?;
        work.queue.fill(to, byte)
    }

    unsafe fn copy_in(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        let mut work = self.work();
        let to = work.find(to, from.len())?;
        work.queue.copy_in(to, from)
    }

    unsafe fn copy_out(&self, to: &mut [u8], from: u64) -> Result<(), GpuError> {
        let mut work = self.work();
        let from = work.find(from, to.len())?;
        work.queue.copy_out(to, from)
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.work().queue.wait()
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        blocks: [u32; 3],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        let most = self.device.blocks_max;
        if blocks.iter().zip(most).any(|(blocks, most)| *blocks > most) {
            return Err(GpuError::Grid {
                kernel,
                blocks,
                most,
            });
        }
        let count = parameters.len();
        if count > PARAMETERS_MAX {
            return Err(GpuError::Kernel {
                name: kernel,
                threads,
                parameters: count,
            });
        }
        let mut work = self.work();
        let Work {
            queue,
            kernels,
            recording,
            ..
        } = &mut *work;
        let pipeline = kernels.pipeline(kernel, threads, count)?;
        let recording = recording.get_mut(&thread::current().id());
        queue.launch(recording, pipeline, kernels.layout(), blocks, parameters)
    }

    fn begin_recording(&self) -> Result<bool, GpuError> {
        let mut work = self.work();
        let recording = work.queue.record()?;
        work.recording.insert(thread::current().id(), recording);
        Ok(true)
    }

    fn end_recording(&self) -> Result<Recorded, GpuError> {
        let mut work = self.work();
        let Some(recording) = work.recording.remove(&thread::current().id()) else {
            return Err(failed("vkEndCommandBuffer", "nothing is recorded", 0));
        };
        let recording = work.queue.recorded(recording)?;
        let name = work.next;
        work.next += 1;
        work.recorded.insert(name, recording);
        Ok(Recorded(name))
    }

    unsafe fn start(&self, Recorded(name): Recorded) -> Result<(), GpuError> {
        let mut work = self.work();
        let Work {
            queue, recorded, ..
        } = &mut *work;
        match recorded.get(&name) {
            Some(recording) => queue.start(recording),
            None => Err(failed("vkCmdExecuteCommands", "no such recording", 0)),
        }
    }

    unsafe fn forget(&self, Recorded(name): Recorded) {
        let mut work = self.work();
        if let Some(recording) = work.recorded.remove(&name) {
            // A device that fails has stopped.
            let _ = work.queue.wait();
            work.queue.forget(recording);
        }
    }
}

impl Drop for Vulkan {
    fn drop(&mut self) {
        // SAFETY: the device lives, and nobody else has it. One that fails has stopped.
        let _ = unsafe { self.device.raw.device_wait_idle() };
    }
}
