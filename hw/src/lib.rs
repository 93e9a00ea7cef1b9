//! Hardware: what a machine has, and arithmetic on it.
//!
//! Decides how devices are observed ([`telemetry`]) and tried ([`diag`]), and how recorded operations become numbers
//! ([`Graph`], [`Plan`]). Refuses to know models, requests and WebAssembly.
//!
//! A [`Graph`] is checked once against its [`Weight`]s and its [`Cache`]; a [`Plan`] is the only
//! way to run one. `reference/` says what each op means, one naive file per op; `cpu/` computes the
//! same with whatever the processor offers, `gpu/` on a card through a back end, `cuda/` or `vulkan/`. Each row's numbers are the same, to the bit, whatever
//! else is in its batch and however its sequence is cut into runs.

#![warn(missing_docs)]

mod cache;
mod cpu;
mod cuda;
mod device;
pub mod diag;
mod dtype;
mod gpu;
mod graph;
pub mod limits;
mod matrix;
mod op;
mod plan;
mod reference;
pub mod telemetry;
mod turn;
mod vulkan;
mod weight;

pub use self::cache::{Cache, CacheError, CacheLayer};
pub use self::cpu::level::Isa;
pub use self::device::{CpuSettings, Device, DeviceError};
pub use self::dtype::Dtype;
pub use self::gpu::{Blame, GpuError};
pub use self::graph::{Bounds, Fault, Graph, GraphError};
pub use self::op::{Activation, Index, Op, Pairing, Pooling};
pub use self::plan::{Batch, Plan, PlanError, RunError, Sequence};
pub use self::weight::{Region, Weight, WeightError};
