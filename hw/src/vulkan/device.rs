//! The loader, its instance and one device.
//!
//! Decides what a device must have. A driver that lacks a function of the version that it claims is refused here, since
//! calling what is not there would end the process. Names are those of the Vulkan 1.2 specification.

use std::ffi::{CStr, OsStr, c_char};

use ash::vk;
use libloading::Library;

use super::{VENDOR, called};
use crate::gpu::GpuError;

/// What the loader's library is called.
const LIBRARY: &str = "libvulkan.so.1";

/// The version that kernels and this driver are written for.
const VERSION: u32 = vk::API_VERSION_1_2;

/// Threads of the largest block, and bytes that blocks share at most, as `kernels/vulkan` has them.
const THREADS: u32 = 256;
const SHARED_BYTES: u32 = 12 * 1024;

/// An instance. It goes after the device.
struct Host {
    instance: ash::Instance,
    /// Holds the loader's code.
    _library: Library,
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: the device is gone, or was never made.
        unsafe { self.instance.destroy_instance(None) };
    }
}

/// A device and what is known of it.
pub(super) struct Device {
    pub(super) raw: ash::Device,
    pub(super) queue: vk::Queue,
    pub(super) queue_family: u32,
    pub(super) name: String,
    /// It is a driver that computes on the processor.
    pub(super) is_processor: bool,
    /// Of blocks of one launch, in each direction.
    pub(super) blocks_max: [u32; 3],
    /// Of one piece of memory.
    pub(super) piece_bytes_max: u64,
    pub(super) memory: vk::PhysicalDeviceMemoryProperties,
    /// Whether it tells how much of its memory is free.
    tells_budget: bool,
    physical: vk::PhysicalDevice,
    host: Host,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.name).finish()
    }
}

impl Device {
    /// Device `index` as the loader counts them, by `library` instead of the system's loader if there is one.
    pub(super) fn open(index: u32, library: Option<&OsStr>) -> Result<Self, GpuError> {
        let host = Host::open(library.unwrap_or_else(|| OsStr::new(LIBRARY)))?;
        let instance = &host.instance;
        // SAFETY: the instance lives.
        let found = called("vkEnumeratePhysicalDevices", unsafe {
            instance.enumerate_physical_devices()
        })?;
        let Some(physical) = found.get(index as usize).copied() else {
            return Err(GpuError::NoCard {
                vendor: VENDOR,
                index,
                count: found.len() as u32,
            });
        };
        // SAFETY: a device of this instance.
        let properties = unsafe { instance.get_physical_device_properties(physical) };
        let name = properties.device_name_as_c_str().unwrap_or(c"a device");
        let name = name.to_string_lossy().into_owned();
        let lacks = |feature| GpuError::Lacks {
            card: name.clone(),
            feature,
        };
        if properties.api_version < VERSION {
            return Err(lacks("Vulkan 1.2"));
        }
        let limits = properties.limits;
        let [wide, _, _] = limits.max_compute_work_group_size;
        if limits.max_compute_work_group_invocations.min(wide) < THREADS {
            return Err(lacks("maxComputeWorkGroupInvocations of 256"));
        }
        if limits.max_compute_shared_memory_size < SHARED_BYTES {
            return Err(lacks("maxComputeSharedMemorySize of 12 KiB"));
        }
        let mut pieces = vk::PhysicalDeviceMaintenance3Properties::default();
        let mut more = vk::PhysicalDeviceProperties2::default().push_next(&mut pieces);
        // SAFETY: a device of this instance of version 1.2, and structures of that version.
        unsafe { instance.get_physical_device_properties2(physical, &mut more) };
        let mut addresses = vk::PhysicalDeviceBufferDeviceAddressFeatures::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut addresses);
        // SAFETY: as above.
        unsafe { instance.get_physical_device_features2(physical, &mut features) };
        let long = features.features.shader_int64;
        if long == vk::FALSE {
            return Err(lacks("shaderInt64"));
        }
        if addresses.buffer_device_address == vk::FALSE {
            return Err(lacks("bufferDeviceAddress"));
        }
        // SAFETY: as above.
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
        let computes = |family: &vk::QueueFamilyProperties| {
            family.queue_count > 0 && family.queue_flags.contains(vk::QueueFlags::COMPUTE)
        };
        let Some(family) = families.iter().position(computes) else {
            return Err(lacks("a queue with VK_QUEUE_COMPUTE_BIT"));
        };
        let queue_family = family as u32;
        // SAFETY: as above.
        let extensions = called("vkEnumerateDeviceExtensionProperties", unsafe {
            instance.enumerate_device_extension_properties(physical)
        })?;
        let budget = ash::ext::memory_budget::NAME;
        let tells_budget = extensions
            .iter()
            .any(|extension| extension.extension_name_as_c_str() == Ok(budget));
        let wanted: Vec<*const c_char> = tells_budget
            .then_some(budget.as_ptr())
            .into_iter()
            .collect();
        let queue = vk::DeviceQueueCreateInfo::default()
            .queue_family_index(queue_family)
            .queue_priorities(&[1.0]);
        let queues = [queue];
        let features = vk::PhysicalDeviceFeatures::default().shader_int64(true);
        let mut addresses =
            vk::PhysicalDeviceBufferDeviceAddressFeatures::default().buffer_device_address(true);
        let how = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&wanted)
            .enabled_features(&features)
            .push_next(&mut addresses);
        // SAFETY: a device of this instance, features and extensions that it has, and a family that it has a queue of.
        let raw = called("vkCreateDevice", unsafe {
            instance.create_device(physical, &how, None)
        })?;
        // SAFETY: as above.
        let memory = unsafe { instance.get_physical_device_memory_properties(physical) };
        // From here on, dropping it gives back what it has.
        let mut device = Self {
            raw,
            queue: vk::Queue::null(),
            queue_family,
            name,
            is_processor: properties.device_type == vk::PhysicalDeviceType::CPU,
            blocks_max: limits.max_compute_work_group_count,
            piece_bytes_max: pieces.max_memory_allocation_size,
            memory,
            tells_budget,
            physical,
            host,
        };
        let instance = &device.host.instance;
        let lacking = DEVICE_FUNCTIONS.iter().find(|name| {
            // SAFETY: the device lives, and the name ends with a zero.
            unsafe { instance.get_device_proc_addr(device.raw.handle(), name.as_ptr()) }.is_none()
        });
        if let Some(name) = lacking {
            // A device that may have no function to destroy it stays.
            std::mem::forget(device);
            return Err(missing(name));
        }
        // SAFETY: the device was made with one queue of this family.
        device.queue = unsafe { device.raw.get_device_queue(queue_family, 0) };
        Ok(device)
    }

    /// Bytes of a heap that nobody has, `own` of which are this process's if the driver does not tell more.
    pub(super) fn free_bytes(&self, heap: u32, own: u64) -> u64 {
        let heap = heap as usize;
        let size = self
            .memory
            .memory_heaps
            .get(heap)
            .map_or(0, |heap| heap.size);
        if !self.tells_budget {
            return size.saturating_sub(own);
        }
        let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
        let mut told = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        let instance = &self.host.instance;
        // SAFETY: a device of this instance that has the structure's extension.
        unsafe { instance.get_physical_device_memory_properties2(self.physical, &mut told) };
        let budgets = budget.heap_budget.get(heap).copied().unwrap_or_default();
        let usage = budget.heap_usage.get(heap).copied().unwrap_or_default();
        budgets.saturating_sub(usage)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: whoever had something of the device has given it back.
        unsafe { self.raw.destroy_device(None) };
    }
}

impl Host {
    fn open(library: &OsStr) -> Result<Self, GpuError> {
        // SAFETY: whoever names the library vouches for what loading it runs: by default, it is the system's loader.
        let loaded = unsafe { Library::new(library) };
        let library = loaded.map_err(|source| GpuError::Library {
            vendor: VENDOR,
            source,
        })?;
        // SAFETY: a function of this name has this signature.
        let found = unsafe { library.get(c"vkGetInstanceProcAddr") };
        let get_instance_proc_addr = *found.map_err(|_| missing(c"vkGetInstanceProcAddr"))?;
        let first = ash::StaticFn {
            get_instance_proc_addr,
        };
        // SAFETY: the function is the loader's, which stays as long as the entry.
        let entry = unsafe { ash::Entry::from_static_fn(first) };
        let has = |instance, name: &CStr| {
            // SAFETY: an instance that lives or none, and a name that ends with a zero.
            unsafe { entry.get_instance_proc_addr(instance, name.as_ptr()) }.is_some()
        };
        if !has(vk::Instance::null(), c"vkCreateInstance") {
            return Err(missing(c"vkCreateInstance"));
        }
        // SAFETY: no arguments. A loader without the function is of version 1.0.
        let version = unsafe { entry.try_enumerate_instance_version() };
        let version = called("vkEnumerateInstanceVersion", version)?;
        if version.unwrap_or(vk::API_VERSION_1_0) < VERSION {
            return Err(missing(c"vkGetBufferDeviceAddress"));
        }
        let about = vk::ApplicationInfo::default()
            .application_name(c"skep")
            .api_version(VERSION);
        let how = vk::InstanceCreateInfo::default().application_info(&about);
        // SAFETY: no extensions and no layers are asked for.
        let instance = called("vkCreateInstance", unsafe {
            entry.create_instance(&how, None)
        })?;
        let lacking = INSTANCE_FUNCTIONS
            .iter()
            .find(|name| !has(instance.handle(), name));
        match lacking {
            // An instance that may have no function to destroy it stays.
            Some(name) => Err(missing(name)),
            None => Ok(Self {
                instance,
                _library: library,
            }),
        }
    }
}

fn missing(name: &'static CStr) -> GpuError {
    GpuError::Missing {
        vendor: VENDOR,
        function: name.to_str().unwrap_or_default(),
    }
}

/// The functions that are called.
const INSTANCE_FUNCTIONS: &[&CStr] = &[
    c"vkCreateDevice",
    c"vkDestroyInstance",
    c"vkEnumerateDeviceExtensionProperties",
    c"vkEnumeratePhysicalDevices",
    c"vkGetDeviceProcAddr",
    c"vkGetPhysicalDeviceFeatures2",
    c"vkGetPhysicalDeviceMemoryProperties",
    c"vkGetPhysicalDeviceMemoryProperties2",
    c"vkGetPhysicalDeviceProperties",
    c"vkGetPhysicalDeviceProperties2",
    c"vkGetPhysicalDeviceQueueFamilyProperties",
];

const DEVICE_FUNCTIONS: &[&CStr] = &[
    c"vkAllocateCommandBuffers",
    c"vkAllocateMemory",
    c"vkBeginCommandBuffer",
    c"vkBindBufferMemory",
    c"vkCmdBindPipeline",
    c"vkCmdCopyBuffer",
    c"vkCmdDispatch",
    c"vkCmdExecuteCommands",
    c"vkCmdFillBuffer",
    c"vkCmdPipelineBarrier",
    c"vkCmdPushConstants",
    c"vkCreateBuffer",
    c"vkCreateCommandPool",
    c"vkCreateComputePipelines",
    c"vkCreateFence",
    c"vkCreatePipelineLayout",
    c"vkCreateShaderModule",
    c"vkDestroyBuffer",
    c"vkDestroyCommandPool",
    c"vkDestroyDevice",
    c"vkDestroyFence",
    c"vkDestroyPipeline",
    c"vkDestroyPipelineLayout",
    c"vkDestroyShaderModule",
    c"vkDeviceWaitIdle",
    c"vkEndCommandBuffer",
    c"vkFreeCommandBuffers",
    c"vkFreeMemory",
    c"vkGetBufferDeviceAddress",
    c"vkGetBufferMemoryRequirements",
    c"vkGetDeviceQueue",
    c"vkMapMemory",
    c"vkQueueSubmit",
    c"vkResetFences",
    c"vkWaitForFences",
];
