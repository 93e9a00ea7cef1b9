//! Running a plan: the one call of a step.

use std::time::Instant;

use skep_hw::{Batch, Blame, RunError, Sequence};

use super::HeldPlan;
use crate::host::engine::generated::skep::plugin::compute as wit;
use crate::host::fault::DeviceFault;
use crate::host::state::CallClock;
use crate::limits::{RUN_ROWS_BYTES, TOP_COUNT};
use crate::protocol::{Error, Invalid};

impl HeldPlan {
    pub(super) fn run(
        &mut self,
        batch: &wit::Batch,
        clock: &mut CallClock,
    ) -> Result<Vec<wit::Output>, Failure> {
        if batch.outputs.len() > self.outputs_max as usize {
            return Err(invalid(
                "outputs",
                format!("{} outputs are over the plan's bound", batch.outputs.len()),
            )
            .into());
        }
        let sequences: Vec<_> = batch
            .sequences
            .iter()
            .map(|sequence| Sequence {
                tokens: sequence.tokens,
                start: sequence.start,
                pages: &sequence.pages,
            })
            .collect();
        let rows: Vec<_> = batch.outputs.iter().map(|output| output.row).collect();
        let batch_of_ours = Batch {
            tokens: &batch.tokens,
            sequences: &sequences,
            outputs: &rows,
        };
        let ranked = batch.outputs.iter().map(|output| match output.want {
            wit::Want::Row => None,
            wit::Want::Top(want) => Some(want.temperature),
        });
        let temperatures: Option<Vec<_>> = ranked.collect();
        let started = Instant::now();
        let ran = self
            .plan
            .run_ranked(&batch_of_ours, temperatures.as_deref().unwrap_or_default());
        clock.add_kernels(started.elapsed());
        ran.map_err(|error| failed(&error))?;

        let mut returned = Vec::with_capacity(batch.outputs.len());
        let mut bytes = 0;
        for (index, output) in batch.outputs.iter().enumerate() {
            returned.push(match &output.want {
                wit::Want::Row => {
                    let row = self.plan.row(index).map_err(|error| failed(&error))?;
                    let row = row.ok_or_else(|| no_row(index))?;
                    bytes += size_of_val(row);
                    if bytes > RUN_ROWS_BYTES {
                        return Err(invalid(
                            "outputs",
                            format!("the rows asked for take more than {RUN_ROWS_BYTES} bytes; ask for `top`"),
                        )
                        .into());
                    }
                    wit::Output::Row(row.to_vec())
                }
                wit::Want::Top(want) => wit::Output::Top(self.top(index, *want)?),
            });
        }
        self.last_run = started.elapsed();
        Ok(returned)
    }

    pub(super) fn row(&mut self, output: u32) -> Result<Vec<f32>, Failure> {
        let row = self
            .plan
            .row(output as usize)
            .map_err(|error| failed(&error))?;
        Ok(row.ok_or_else(|| no_row(output as usize))?.to_vec())
    }

    fn top(&mut self, index: usize, want: wit::TopWant) -> Result<wit::Top, Failure> {
        let mut largest = Vec::new();
        let count = want.count.min(TOP_COUNT) as usize;
        let log_sum_exp = self
            .plan
            .top(index, count, want.temperature, &mut largest)
            .map_err(|error| failed(&error))?
            .ok_or_else(|| no_row(index))?;
        let (indices, values) = largest.into_iter().unzip();
        Ok(wit::Top {
            indices,
            values,
            log_sum_exp,
        })
    }
}

/// Why a run yielded nothing.
pub(super) enum Failure {
    /// What the plugin is told.
    Told(Error),
    /// The device's failure, which ends the plugin.
    Device(DeviceFault),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// A card that failed ends the worker whatever the plugin would make of it: what it computed so far may be wrong.
fn failed(error: &RunError) -> Failure {
    match error.blame() {
        None => Failure::Told(invalid("batch", error.to_string())),
        Some(Blame::Memory) => Failure::Told(Error::Exhausted(error.to_string())),
        Some(Blame::Card | Blame::Program) => Failure::Device(DeviceFault(error.to_string())),
    }
}

fn no_row(output: usize) -> Error {
    invalid("outputs", format!("the last run has no output {output}"))
}

fn invalid(field: &str, message: String) -> Error {
    Error::Invalid(Invalid {
        field: Some(field.to_owned()),
        message,
    })
}
