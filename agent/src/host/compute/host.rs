//! The interface's functions: weights, caches and compiling plans.

use std::sync::Arc;
use std::time::Duration;

use skep_hw::{Blame, Cache, CacheError, Graph, Plan, Weight};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::run::Failure;
use super::{HeldCache, HeldPlan, HeldWeight, convert};
use crate::host::SourceFile;
use crate::host::engine::generated::skep::plugin::compute as wit;
use crate::host::engine::generated::skep::plugin::types;
use crate::host::fault::DeviceFault;
use crate::host::state::State;
use crate::limits::{GRAPH_OPS, WEIGHT_VALUES_BYTES};
use crate::protocol::{Error, Invalid};

impl wit::Host for State {
    fn device_info(&mut self) -> Result<wit::Device> {
        Ok(wit::Device {
            kind: self.device.kind().to_owned(),
            name: self.device.name().to_owned(),
            memory_free_bytes: self
                .budget
                .free_bytes()
                .min(self.device.memory_free_bytes()),
        })
    }
}

impl wit::HostWeight for State {
    fn from_file(
        &mut self,
        source: Resource<SourceFile>,
        offset: u64,
        dtype: wit::Dtype,
        rows: u32,
        columns: u32,
    ) -> Result<Result<Resource<HeldWeight>, types::Error>> {
        let file = self.table.get(&source)?;
        let made = file.region().and_then(|region| {
            Weight::from_region(&region, offset, convert::dtype(dtype), rows, columns)
                .map_err(|error| Error::Malformed(format!("`{}`: {error}", file.name())))
        });
        let made = made.map(|weight| {
            let claim = self.budget.mapped(weight.bytes());
            HeldWeight { weight, claim }
        });
        Ok(self.keep(made))
    }

    fn from_values(
        &mut self,
        values: Vec<f32>,
        rows: u32,
        columns: u32,
    ) -> Result<Result<Resource<HeldWeight>, types::Error>> {
        let bytes = values.len() * size_of::<f32>();
        let made = if bytes > WEIGHT_VALUES_BYTES {
            Err(invalid(
                "values",
                format!("{bytes} bytes are more than the limit of {WEIGHT_VALUES_BYTES}"),
            ))
        } else {
            self.budget
                .claim(bytes as u64, "a weight")
                .and_then(|claim| {
                    let weight = Weight::from_values(values, rows, columns)
                        .map_err(|error| invalid("values", error.to_string()))?;
                    Ok(HeldWeight { weight, claim })
                })
        };
        Ok(self.keep(made))
    }

    fn drop(&mut self, weight: Resource<HeldWeight>) -> Result<()> {
        self.table.delete(weight)?;
        Ok(())
    }
}

impl wit::HostCache for State {
    fn create(
        &mut self,
        layers: Vec<wit::CacheLayer>,
        pages: u32,
        page_tokens: u32,
        dtype: wit::Dtype,
    ) -> Result<Result<Resource<HeldCache>, types::Error>> {
        let layers: Vec<_> = layers.iter().map(convert::layer).collect();
        // Pages are only reserved until they are written, so too large a cache costs nothing before it is refused.
        let made = Cache::create(
            &self.device,
            &layers,
            pages,
            page_tokens,
            convert::dtype(dtype),
        );
        if let Err(CacheError::Card(error)) = &made
            && error.blame() == Blame::Card
        {
            return Err(DeviceFault(error.to_string()).into());
        }
        let made = made.map_err(|error| cache_error(&error)).and_then(|cache| {
            let claim = self
                .budget
                .claim(cache.size_bytes(), "the cache of keys and values")?;
            Ok(HeldCache { cache, claim })
        });
        Ok(self.keep(made))
    }

    fn size(&mut self, cache: Resource<HeldCache>) -> Result<u64> {
        Ok(self.table.get(&cache)?.cache.size_bytes())
    }

    fn drop(&mut self, cache: Resource<HeldCache>) -> Result<()> {
        self.table.delete(cache)?;
        Ok(())
    }
}

impl wit::HostPlan for State {
    fn compile(
        &mut self,
        ops: Vec<wit::Op>,
        weights: Vec<Resource<HeldWeight>>,
        cache: Option<Resource<HeldCache>>,
        bounds: wit::Bounds,
    ) -> Result<Result<Resource<HeldPlan>, types::Error>> {
        if ops.len() > GRAPH_OPS {
            let error = invalid(
                "ops",
                format!(
                    "{} operations are more than the limit of {GRAPH_OPS}",
                    ops.len()
                ),
            );
            return Ok(Err(error.into()));
        }
        let mut claims = Vec::with_capacity(weights.len() + 2);
        let mut held = Vec::with_capacity(weights.len());
        for weight in &weights {
            let weight = self.table.get(weight)?;
            claims.push(Arc::clone(&weight.claim));
            held.push(weight.weight.clone());
        }
        let cache = match &cache {
            Some(cache) => {
                let cache = self.table.get(cache)?;
                claims.push(Arc::clone(&cache.claim));
                Some(cache.cache.clone())
            }
            None => None,
        };
        let made = match self.make_plan(ops, held, cache, bounds) {
            Err(Failure::Device(fault)) => return Err(fault.into()),
            Err(Failure::Told(error)) => Err(error),
            Ok((plan, claim)) => {
                claims.push(claim);
                Ok(HeldPlan {
                    plan,
                    outputs_max: bounds.outputs.max(bounds.sequences),
                    last_run: Duration::ZERO,
                    _claims: claims,
                })
            }
        };
        Ok(self.keep(made))
    }

    fn run(
        &mut self,
        plan: Resource<HeldPlan>,
        batch: wit::Batch,
    ) -> Result<Result<Vec<wit::Output>, types::Error>> {
        let held = self.table.get_mut(&plan)?;
        match held.run(&batch, &mut self.clock) {
            Ok(outputs) => Ok(Ok(outputs)),
            Err(Failure::Told(error)) => Ok(Err(error.into())),
            Err(Failure::Device(fault)) => Err(fault.into()),
        }
    }

    fn row(
        &mut self,
        plan: Resource<HeldPlan>,
        output: u32,
    ) -> Result<Result<Vec<f32>, types::Error>> {
        match self.table.get_mut(&plan)?.row(output) {
            Ok(row) => Ok(Ok(row)),
            Err(Failure::Told(error)) => Ok(Err(error.into())),
            Err(Failure::Device(fault)) => Err(fault.into()),
        }
    }

    fn last_run_ns(&mut self, plan: Resource<HeldPlan>) -> Result<u64> {
        let took = self.table.get(&plan)?.last_run;
        Ok(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
    }

    fn drop(&mut self, plan: Resource<HeldPlan>) -> Result<()> {
        self.table.delete(plan)?;
        Ok(())
    }
}

impl State {
    fn make_plan(
        &self,
        ops: Vec<wit::Op>,
        weights: Vec<Weight>,
        cache: Option<Cache>,
        bounds: wit::Bounds,
    ) -> std::result::Result<(Plan, Arc<super::Claim>), Failure> {
        let ops = ops.into_iter().map(convert::op).collect();
        let graph = Graph::check(ops, weights, cache, convert::bounds(bounds))
            .map_err(|error| invalid("ops", error.to_string()))?;
        let plan = Plan::compile(&self.device, graph).map_err(|error| match error.blame() {
            Some(Blame::Card) => Failure::Device(DeviceFault(error.to_string())),
            _ => Failure::Told(Error::Exhausted(error.to_string())),
        })?;
        let claim = self.budget.claim(plan.size_bytes(), "the plan's buffers")?;
        Ok((plan, claim))
    }

    /// Gives a new thing a handle.
    fn keep<T: Send + 'static>(
        &mut self,
        made: Result<T, Error>,
    ) -> Result<Resource<T>, types::Error> {
        let thing = made?;
        self.table.push(thing).map_err(|_| {
            types::Error::Exhausted(format!("more than {} handles", crate::limits::HANDLES))
        })
    }
}

fn cache_error(error: &CacheError) -> Error {
    match error {
        CacheError::Memory { .. } | CacheError::Card(_) => Error::Exhausted(error.to_string()),
        _ => invalid("layers", error.to_string()),
    }
}

fn invalid(field: &str, message: String) -> Error {
    Error::Invalid(Invalid {
        field: Some(field.to_owned()),
        message,
    })
}
