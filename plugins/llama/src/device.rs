//! The host's compute as this plugin sees it, so that everything above can be tested where there is no host: inside
//! the sandbox it is the contract's imports, in native tests a small machine with the same manners.

use crate::arch::{Network, WeightSource};
use crate::contract::{
    Batch, Bounds, CacheLayer, Device as DeviceInfo, Dtype, Error, File, Output,
};
use crate::gguf::{ReadError, Source};
use skep_sdk::engine::compute;

/// A compiled network.
pub trait Plan {
    /// Runs one batch; see `plan.run` of the contract.
    fn run(&mut self, batch: &Batch) -> Result<Vec<Output>, Error>;

    /// A whole output row of the last run.
    fn row(&self, output: u32) -> Result<Vec<f32>, Error>;

    /// How long the last run took, in nanoseconds; 0 before the first.
    fn last_run_ns(&self) -> u64;
}

/// How large the cache of keys and values is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize {
    pub pages: u32,
    pub page_tokens: u32,
    pub dtype: Dtype,
}

/// What the host computes on.
pub fn info() -> DeviceInfo {
    compute::device_info()
}

/// Maps the network's weights out of `file`, makes the cache and compiles.
pub fn compile(
    file: &File,
    network: &Network,
    cache: Option<CacheSize>,
    bounds: Bounds,
) -> Result<Compiled, Error> {
    let mut weights = Vec::with_capacity(network.weights.len());
    for spec in &network.weights {
        let weight = match &spec.source {
            WeightSource::File { offset, dtype } => {
                compute::Weight::from_file(file, *offset, *dtype, spec.rows, spec.columns)
            }
            WeightSource::Values(values) => {
                compute::Weight::from_values(values, spec.rows, spec.columns)
            }
        };
        weights.push(weight.map_err(|error| naming(&spec.name, error))?);
    }
    let cache = cache
        .map(|size| create_cache(&network.cache, size))
        .transpose()?;
    let borrowed: Vec<&compute::Weight> = weights.iter().collect();
    let plan = compute::Plan::compile(&network.ops, &borrowed, cache.as_ref(), bounds)?;
    Ok(Compiled { plan, cache })
}

fn create_cache(layers: &[CacheLayer], size: CacheSize) -> Result<compute::Cache, Error> {
    compute::Cache::create(layers, size.pages, size.page_tokens, size.dtype)
}

fn naming(tensor: &str, error: Error) -> Error {
    match error {
        Error::Malformed(why) => Error::Malformed(format!("tensor `{tensor}`: {why}")),
        Error::Exhausted(why) => Error::Exhausted(format!("tensor `{tensor}`: {why}")),
        other => other,
    }
}

/// A plan of the host, with the cache that it writes to.
#[derive(Debug)]
pub struct Compiled {
    plan: compute::Plan,
    cache: Option<compute::Cache>,
}

impl Compiled {
    /// Bytes that the cache occupies.
    pub fn cache_bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, compute::Cache::size)
    }
}

impl Plan for Compiled {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Output>, Error> {
        self.plan.run(batch)
    }

    fn row(&self, output: u32) -> Result<Vec<f32>, Error> {
        self.plan.row(output)
    }

    fn last_run_ns(&self) -> u64 {
        self.plan.last_run_ns()
    }
}

impl Source for File {
    fn size_bytes(&self) -> u64 {
        self.size()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        // The host gives at most this much at a time.
        const CALL_BYTES_MAX: usize = 1 << 20;
        while bytes.len() < length {
            let missing = (length - bytes.len()).min(CALL_BYTES_MAX) as u32;
            let part = Self::read(self, offset + bytes.len() as u64, missing)
                .map_err(|error| ReadError(format!("{error:?}")))?;
            if part.is_empty() {
                return Err(ReadError(
                    "the file became shorter while it was read".to_owned(),
                ));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}
