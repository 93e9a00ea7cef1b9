//! The order in which a device does things.
//!
//! Decides that each command waits for the one before, that commands are handed over some at a time, and that the processor
//! fills the next such frame while the device works on the last. After a failure nothing is known of what the device did:
//! from then on, everything fails.

use std::sync::Arc;

use ash::vk;

use super::device::Device;
use super::kernels::PUSHED_BYTES;
use super::memory::{Arena, Kind, Piece};
use super::{called, failed};
use crate::gpu::GpuError;

mod recording;

pub(super) use self::recording::Recording;

/// Frames that are filled and worked on in turn.
const FRAMES: usize = 3;

/// Bytes of a frame, for parameters and for what is copied to the device.
const FRAME_BYTES: u64 = 4 << 20;

/// Commands of a frame: after so many, the device begins.
const FRAME_COMMANDS: u32 = 128;

/// Bytes that come back at a time.
const BACK_BYTES: u64 = 1 << 20;

/// What parameters begin at a multiple of.
const STEP: u64 = 16;

/// Commands that are handed over together.
#[derive(Debug)]
struct Frame {
    commands: vk::CommandBuffer,
    done: vk::Fence,
    room: Piece,
    used: u64,
    count: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// Commands are being added.
    Open,
    /// The device has it.
    Running,
}

/// A device's queue. It must be idle when it is dropped.
#[derive(Debug)]
pub(super) struct Queue {
    frames: Vec<Frame>,
    at: usize,
    back: Option<Piece>,
    pool: vk::CommandPool,
    /// What went wrong first.
    failure: Option<(&'static str, vk::Result)>,
    written: Arena,
    read: Arena,
    device: Arc<Device>,
}

impl Queue {
    pub(super) fn new(device: &Arc<Device>) -> Result<Self, GpuError> {
        // From here on, dropping it gives back what it has.
        let mut queue = Self {
            frames: Vec::with_capacity(FRAMES),
            at: 0,
            back: None,
            pool: vk::CommandPool::null(),
            failure: None,
            written: Arena::new(device, Kind::Written),
            read: Arena::new(device, Kind::Read),
            device: Arc::clone(device),
        };
        let how = vk::CommandPoolCreateInfo::default()
            .queue_family_index(device.queue_family)
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER);
        // SAFETY: the family that the device's queue is of.
        queue.pool = called("vkCreateCommandPool", unsafe {
            device.raw.create_command_pool(&how, None)
        })?;
        for _ in 0..FRAMES {
            let commands = queue.commands(vk::CommandBufferLevel::PRIMARY)?;
            let room = queue.written.allocate(FRAME_BYTES)?;
            let how = vk::FenceCreateInfo::default();
            // SAFETY: the device lives.
            let done = unsafe { device.raw.create_fence(&how, None) };
            queue.frames.push(Frame {
                commands,
                done: called("vkCreateFence", done)?,
                room,
                used: 0,
                count: 0,
                state: State::Idle,
            });
        }
        queue.back = Some(queue.read.allocate(BACK_BYTES)?);
        Ok(queue)
    }

    /// Starts a kernel. Into a recording it goes without running.
    pub(super) fn launch(
        &mut self,
        recording: Option<&mut Recording>,
        pipeline: vk::Pipeline,
        layout: vk::PipelineLayout,
        blocks: [u32; 3],
        parameters: &[u64],
    ) -> Result<(), GpuError> {
        let bytes = size_of_val(parameters) as u64;
        let (commands, place) = match recording {
            Some(recording) => {
                let place = self.room_of(recording, bytes)?;
                (recording.commands, place)
            }
            None => self.room(bytes)?,
        };
        // SAFETY: as many bytes as the room has, which nobody else uses before the frame is done.
        unsafe {
            std::ptr::copy_nonoverlapping(
                parameters.as_ptr().cast::<u8>(),
                place.host,
                bytes as usize,
            );
        }
        self.after_all(commands);
        let pushed: [u8; PUSHED_BYTES as usize] = place.address.to_le_bytes();
        let device = &self.device.raw;
        let [x, y, z] = blocks;
        let (compute, stage) = (
            vk::PipelineBindPoint::COMPUTE,
            vk::ShaderStageFlags::COMPUTE,
        );
        // SAFETY: commands that are being added to, a pipeline and its layout; the rest is the caller's.
        unsafe {
            device.cmd_bind_pipeline(commands, compute, pipeline);
            device.cmd_push_constants(commands, layout, stage, 0, &pushed);
            device.cmd_dispatch(commands, x, y, z);
        }
        Ok(())
    }

    /// Copies to a place of the device's.
    pub(super) fn copy_in(&mut self, to: Piece, from: &[u8]) -> Result<(), GpuError> {
        let mut offset = to.offset;
        for part in from.chunks(FRAME_BYTES as usize / 2) {
            let bytes = part.len() as u64;
            let (commands, room) = self.room(bytes)?;
            // SAFETY: as many bytes as the room has, which nobody else uses before the frame is done.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), room.host, part.len()) };
            self.copy(commands, room, Piece { offset, ..to }, bytes);
            offset += bytes;
        }
        Ok(())
    }

    /// Copies from a place of the device's, and waits.
    pub(super) fn copy_out(&mut self, to: &mut [u8], from: Piece) -> Result<(), GpuError> {
        let Some(back) = self.back else {
            return Ok(());
        };
        let mut offset = from.offset;
        for part in to.chunks_mut(BACK_BYTES as usize) {
            let bytes = part.len() as u64;
            let (commands, _) = self.room(0)?;
            self.copy(commands, Piece { offset, ..from }, back, bytes);
            let seen = [vk::MemoryBarrier::default()
                .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
                .dst_access_mask(vk::AccessFlags::HOST_READ)];
            let (transfer, host) = (
                vk::PipelineStageFlags::TRANSFER,
                vk::PipelineStageFlags::HOST,
            );
            let none = vk::DependencyFlags::empty();
            // SAFETY: commands that are being added to.
            unsafe {
                let device = &self.device.raw;
                device.cmd_pipeline_barrier(commands, transfer, host, none, &seen, &[], &[]);
            }
            self.wait()?;
            // SAFETY: as many bytes as were copied, and nothing writes there any more.
            unsafe { std::ptr::copy_nonoverlapping(back.host, part.as_mut_ptr(), part.len()) };
            offset += bytes;
        }
        Ok(())
    }

    /// Fills whole words.
    pub(super) fn fill(&mut self, to: Piece, byte: u8) -> Result<(), GpuError> {
        let (commands, _) = self.room(0)?;
        self.after_all(commands);
        let word = u32::from_ne_bytes([byte; 4]);
        // SAFETY: commands that are being added to, and words within a buffer.
        unsafe {
            let device = &self.device.raw;
            device.cmd_fill_buffer(commands, to.buffer, to.offset, to.bytes, word);
        }
        Ok(())
    }

    /// Hands everything over and waits for it.
    pub(super) fn wait(&mut self) -> Result<(), GpuError> {
        self.submit()?;
        (0..self.frames.len()).try_for_each(|index| self.finish(index))
    }

    fn commands(&self, level: vk::CommandBufferLevel) -> Result<vk::CommandBuffer, GpuError> {
        let how = vk::CommandBufferAllocateInfo::default()
            .command_pool(self.pool)
            .level(level)
            .command_buffer_count(1);
        // SAFETY: a pool of this device.
        let made = unsafe { self.device.raw.allocate_command_buffers(&how) };
        let made = called("vkAllocateCommandBuffers", made)?;
        Ok(made.first().copied().unwrap_or_default())
    }

    fn copy(&self, commands: vk::CommandBuffer, from: Piece, to: Piece, bytes: u64) {
        self.after_all(commands);
        let region = [vk::BufferCopy {
            src_offset: from.offset,
            dst_offset: to.offset,
            size: bytes,
        }];
        // SAFETY: commands that are being added to, and bytes within both buffers.
        unsafe {
            let device = &self.device.raw;
            device.cmd_copy_buffer(commands, from.buffer, to.buffer, &region);
        }
    }

    /// What follows begins when all before is done, and sees it.
    fn after_all(&self, commands: vk::CommandBuffer) {
        let stages = vk::PipelineStageFlags::COMPUTE_SHADER | vk::PipelineStageFlags::TRANSFER;
        let wrote = vk::AccessFlags::SHADER_WRITE | vk::AccessFlags::TRANSFER_WRITE;
        let seen = [vk::MemoryBarrier::default()
            .src_access_mask(wrote)
            .dst_access_mask(
                wrote | vk::AccessFlags::SHADER_READ | vk::AccessFlags::TRANSFER_READ,
            )];
        let none = vk::DependencyFlags::empty();
        // SAFETY: commands that are being added to.
        unsafe {
            let device = &self.device.raw;
            device.cmd_pipeline_barrier(commands, stages, stages, none, &seen, &[], &[]);
        }
    }

    /// Room for so many bytes, no more than a frame's, and the commands that use it.
    fn room(&mut self, bytes: u64) -> Result<(vk::CommandBuffer, Piece), GpuError> {
        let full = self.frames.get(self.at).is_some_and(|frame| {
            frame.state == State::Open
                && (frame.count >= FRAME_COMMANDS || frame.used + bytes > frame.room.bytes)
        });
        if full {
            self.submit()?;
        }
        self.finish(self.at)?;
        let Some(frame) = self.frames.get_mut(self.at) else {
            return Err(failed("vkQueueSubmit", "no frame", 0));
        };
        if frame.state == State::Idle {
            let how = vk::CommandBufferBeginInfo::default()
                .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
            // SAFETY: commands that the device does not have; beginning them anew empties them.
            let begun = unsafe { self.device.raw.begin_command_buffer(frame.commands, &how) };
            called("vkBeginCommandBuffer", begun)?;
            frame.state = State::Open;
            frame.used = 0;
            frame.count = 0;
        }
        let place = part(frame.room, frame.used, bytes);
        frame.used += bytes.next_multiple_of(STEP);
        frame.count += 1;
        Ok((frame.commands, place))
    }

    /// Hands the open frame over, if there is one.
    fn submit(&mut self) -> Result<(), GpuError> {
        self.check()?;
        let device = &self.device.raw;
        let Some(frame) = self.frames.get_mut(self.at) else {
            return Ok(());
        };
        if frame.state != State::Open {
            return Ok(());
        }
        frame.state = State::Idle;
        // SAFETY: commands that are being added to.
        let ended = unsafe { device.end_command_buffer(frame.commands) };
        let commands = [frame.commands];
        let work = [vk::SubmitInfo::default().command_buffers(&commands)];
        let ended = ended.map_err(|code| ("vkEndCommandBuffer", code));
        let submitted = ended.and_then(|()| {
            // SAFETY: commands that were ended, and a fence that nothing signals; whoever calls holds the queue alone.
            unsafe { device.queue_submit(self.device.queue, &work, frame.done) }
                .map_err(|code| ("vkQueueSubmit", code))
        });
        if submitted.is_ok() {
            frame.state = State::Running;
            self.at = (self.at + 1) % FRAMES;
        }
        self.note(submitted)
    }

    /// Waits for a frame if the device has it.
    fn finish(&mut self, index: usize) -> Result<(), GpuError> {
        self.check()?;
        let device = &self.device.raw;
        let Some(frame) = self.frames.get_mut(index) else {
            return Ok(());
        };
        if frame.state != State::Running {
            return Ok(());
        }
        let fence = [frame.done];
        // SAFETY: a fence that the device signals when the frame is done or the device is lost.
        let done = unsafe { device.wait_for_fences(&fence, true, u64::MAX) };
        let done = done.map_err(|code| ("vkWaitForFences", code));
        let done = done.and_then(|()| {
            // SAFETY: the device has signalled it, and does not have it any more.
            unsafe { device.reset_fences(&fence) }.map_err(|code| ("vkResetFences", code))
        });
        frame.state = State::Idle;
        self.note(done)
    }

    fn check(&self) -> Result<(), GpuError> {
        match self.failure {
            Some((function, code)) => called(function, Err(code)),
            None => Ok(()),
        }
    }

    fn note(&mut self, result: Result<(), (&'static str, vk::Result)>) -> Result<(), GpuError> {
        self.failure = result.err();
        self.check()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let device = &self.device.raw;
        // SAFETY: the device is idle; the pool's commands go with it, and what was not made is null, which is allowed.
        unsafe {
            for frame in &self.frames {
                device.destroy_fence(frame.done, None);
            }
            device.destroy_command_pool(self.pool, None);
        }
    }
}

fn part(room: Piece, used: u64, bytes: u64) -> Piece {
    Piece {
        offset: room.offset + used,
        address: room.address + used,
        host: room.host.wrapping_add(used as usize),
        bytes,
        ..room
    }
}
