//! The kernels' one module, and a pipeline for each kernel that is used.
//!
//! Decides that a pipeline is made when a kernel is first started. Refuses a start with other threads than the kernel was
//! compiled for.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

use ash::vk;

use super::called;
use super::device::Device;
use crate::gpu::{GpuError, unpacked};

/// SPIR-V, as `cargo xtask kernels` made and packed it.
const MODULE: &[u8] = include_bytes!("../../kernels/prebuilt/vulkan.spv.zst");

/// What a kernel is given: the address of its parameters.
pub(super) const PUSHED_BYTES: u32 = 8;

/// The SPIR-V specification's numbers.
const HEADER_WORDS: usize = 5;
const ENTRY_POINT: u32 = 15;
const EXECUTION_MODE: u32 = 16;
const LOCAL_SIZE: u32 = 17;

/// A device's kernels. They are given back with it, so nothing may run any more.
#[derive(Debug)]
pub(super) struct Kernels {
    device: Arc<Device>,
    module: vk::ShaderModule,
    layout: vk::PipelineLayout,
    /// Threads of a block, by name.
    threads: HashMap<String, u32>,
    pipelines: HashMap<&'static str, vk::Pipeline>,
}

impl Kernels {
    pub(super) fn load(device: &Arc<Device>) -> Result<Self, GpuError> {
        let words = words()?;
        // From here on, dropping it gives back what it has.
        let mut kernels = Self {
            device: Arc::clone(device),
            module: vk::ShaderModule::null(),
            layout: vk::PipelineLayout::null(),
            threads: threads_of(&words),
            pipelines: HashMap::new(),
        };
        let how = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: a whole module, whose capabilities the device was made with.
        kernels.module = called("vkCreateShaderModule", unsafe {
            device.raw.create_shader_module(&how, None)
        })?;
        let pushed = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(PUSHED_BYTES)];
        let how = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&pushed);
        // SAFETY: the device lives.
        kernels.layout = called("vkCreatePipelineLayout", unsafe {
            device.raw.create_pipeline_layout(&how, None)
        })?;
        Ok(kernels)
    }

    pub(super) fn layout(&self) -> vk::PipelineLayout {
        self.layout
    }

    /// The pipeline of a kernel of so many threads; `parameters` are told to whoever reads the error.
    pub(super) fn pipeline(
        &mut self,
        name: &'static str,
        threads: u32,
        parameters: usize,
    ) -> Result<vk::Pipeline, GpuError> {
        if self.threads.get(name) != Some(&threads) {
            return Err(GpuError::Kernel {
                name,
                threads,
                parameters,
            });
        }
        if let Some(pipeline) = self.pipelines.get(name) {
            return Ok(*pipeline);
        }
        let symbol = CString::new(name).unwrap_or_default();
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(self.module)
            .name(&symbol);
        let how = [vk::ComputePipelineCreateInfo::default()
            .stage(stage)
            .layout(self.layout)];
        let cache = vk::PipelineCache::null();
        // SAFETY: the module has an entry point of this name, and takes what the layout says.
        let made = unsafe { self.device.raw.create_compute_pipelines(cache, &how, None) };
        let made = called("vkCreateComputePipelines", made.map_err(|(_, code)| code))?;
        let pipeline = made.first().copied().unwrap_or_default();
        self.pipelines.insert(name, pipeline);
        Ok(pipeline)
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        let device = &self.device.raw;
        // SAFETY: nothing of it is in use any more; what was not made is null, which is allowed.
        unsafe {
            for pipeline in self.pipelines.values() {
                device.destroy_pipeline(*pipeline, None);
            }
            device.destroy_pipeline_layout(self.layout, None);
            device.destroy_shader_module(self.module, None);
        }
    }
}

/// The module as Vulkan takes it.
fn words() -> Result<Vec<u32>, GpuError> {
    let word = |bytes: &[u8]| {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
    };
    Ok(unpacked(MODULE)?.chunks_exact(4).map(word).collect())
}

/// Of each entry point of a module, its name and the threads of a block.
fn threads_of(module: &[u32]) -> HashMap<String, u32> {
    let mut names = HashMap::new();
    let mut threads = HashMap::new();
    let mut rest = module.get(HEADER_WORDS..).unwrap_or_default();
    while let [first, ..] = rest {
        let Some((line, after)) = rest.split_at_checked((*first >> 16).max(1) as usize) else {
            break;
        };
        match (*first & 0xffff, line) {
            (ENTRY_POINT, [_, _, id, name @ ..]) => {
                let bytes = name.iter().flat_map(|word| word.to_le_bytes());
                let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
                names.insert(*id, String::from_utf8_lossy(&bytes).into_owned());
            }
            (EXECUTION_MODE, [_, id, LOCAL_SIZE, x, y, z]) => {
                if let Some(name) = names.get(id) {
                    threads.insert(name.clone(), x * y * z);
                }
            }
            _ => {}
        }
        rest = after;
    }
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_tells_its_kernels() {
        let threads = threads_of(&words().unwrap());
        assert_eq!(threads.get("round_rows"), Some(&256));
        assert_eq!(threads.get("attend_pages"), Some(&128));
        assert!(threads.len() >= 40, "{threads:?}");
    }

    #[test]
    fn a_module_that_is_cut_off_tells_less() {
        let words = words().unwrap();
        for length in 0..400 {
            assert!(threads_of(&words[..length]).is_empty());
        }
        // A line that says it has no words.
        assert!(threads_of(&[0; 20]).is_empty());
    }
}
