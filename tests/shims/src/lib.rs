//! Stand-ins for the management libraries of GPU drivers, for machines without a GPU.
//!
//! One shared object that answers as `libnvidia-ml.so.1` and as `librocm_smi64.so`, so a link of
//! either name in `LD_LIBRARY_PATH` makes a real agent see devices. What they show stands in the
//! file that `SKEP_SHIM_SCRIPT` names. It is read again whenever a device's handle is asked for,
//! which is once for each device and sample, so a test can change it while the agent runs.
//!
//! # The script
//!
//! Lines of a device, a key and a value; `#` begins a comment. NVIDIA's devices are `0`, `1`, …,
//! AMD's `amd0`, `amd1`, …; `*` is every device. `devices N` and `amd_devices N` say how many there
//! are. A figure that is not named has the value of a healthy H100; `-` is a figure that the device
//! does not support. Beside the figures (see `nvml` and `rocm`) there are:
//!
//! | key | what happens |
//! |---|---|
//! | `lost 1` | every call answers that the device is lost |
//! | `hang_ms N` | the next call that asks for the handle lasts so long, once for each change of the script |
//! | `xid N` | the driver reports that Xid, once for each change of the script that brings the line |
//! | `uncorrected N` | the counter, and the driver's report of it whenever it grows |
//! | `process PID BYTES` | a process that computes; may be repeated |

#![allow(
    unsafe_code,
    clippy::missing_safety_doc,
    reason = "it offers a C interface: every function is called with the pointers that the vendor's header asks for"
)]

mod nvml;
mod rocm;
mod script;
