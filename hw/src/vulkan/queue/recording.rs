//! Launches that are recorded once and started again and again.
//!
//! Decides that a recording keeps its kernels' parameters, in memory of its own.

use ash::vk;

use super::super::called;
use super::super::memory::Piece;
use super::{Queue, STEP, part};
use crate::gpu::GpuError;

/// Bytes of parameters that a recording grows by.
const RECORDING_BYTES: u64 = 64 << 10;

/// Launches that can be started again and again.
#[derive(Debug)]
pub(in super::super) struct Recording {
    pub(super) commands: vk::CommandBuffer,
    rooms: Vec<Piece>,
    used: u64,
}

impl Queue {
    /// Begins a recording.
    pub(in super::super) fn record(&mut self) -> Result<Recording, GpuError> {
        let commands = self.commands(vk::CommandBufferLevel::SECONDARY)?;
        let recording = Recording {
            commands,
            rooms: Vec::new(),
            used: 0,
        };
        let inheritance = vk::CommandBufferInheritanceInfo::default();
        let how = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::SIMULTANEOUS_USE)
            .inheritance_info(&inheritance);
        // SAFETY: commands that were allocated just now.
        let begun = unsafe { self.device.raw.begin_command_buffer(commands, &how) };
        self.or_forget(recording, called("vkBeginCommandBuffer", begun))
    }

    /// Ends it, so that it can be started.
    pub(in super::super) fn recorded(
        &mut self,
        recording: Recording,
    ) -> Result<Recording, GpuError> {
        // SAFETY: commands that are being added to.
        let ended = unsafe { self.device.raw.end_command_buffer(recording.commands) };
        self.or_forget(recording, called("vkEndCommandBuffer", ended))
    }

    /// Starts all launches of a recording.
    pub(in super::super) fn start(&mut self, recording: &Recording) -> Result<(), GpuError> {
        let (commands, _) = self.room(0)?;
        self.after_all(commands);
        // SAFETY: commands that are being added to, and a recording that was ended; the rest is the caller's.
        unsafe {
            let device = &self.device.raw;
            device.cmd_execute_commands(commands, &[recording.commands]);
        }
        Ok(())
    }

    /// Gives a recording back, which nothing uses any more.
    pub(in super::super) fn forget(&mut self, recording: Recording) {
        for room in recording.rooms {
            self.written.free(room.address);
        }
        // SAFETY: commands of this pool that the device does not have.
        unsafe {
            let device = &self.device.raw;
            device.free_command_buffers(self.pool, &[recording.commands]);
        }
    }

    fn or_forget(
        &mut self,
        recording: Recording,
        result: Result<(), GpuError>,
    ) -> Result<Recording, GpuError> {
        match result {
            Ok(()) => Ok(recording),
            Err(error) => {
                self.forget(recording);
                Err(error)
            }
        }
    }

    /// Room in a recording, which keeps it.
    pub(super) fn room_of(
        &mut self,
        recording: &mut Recording,
        bytes: u64,
    ) -> Result<Piece, GpuError> {
        let room = match recording.rooms.last() {
            Some(room) if recording.used + bytes <= room.bytes => *room,
            _ => {
                let room = self.written.allocate(RECORDING_BYTES)?;
                recording.rooms.push(room);
                recording.used = 0;
                room
            }
        };
        let place = part(room, recording.used, bytes);
        recording.used += bytes.next_multiple_of(STEP);
        Ok(place)
    }
}
