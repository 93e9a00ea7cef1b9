//! Running a plan: the one call of a step.

use std::time::Instant;

use skep_hw::{Batch, Sequence};

use super::HeldPlan;
use crate::host::engine::generated::skep::plugin::compute as wit;
use crate::host::state::CallClock;
use crate::limits::{RUN_ROWS_BYTES, TOP_COUNT};
use crate::protocol::{Error, Invalid};

impl HeldPlan {
    pub(super) fn run(
        &mut self,
        batch: &wit::Batch,
        clock: &mut CallClock,
    ) -> Result<Vec<wit::Output>, Error> {
        if batch.outputs.len() > self.outputs_max as usize {
            return Err(invalid(
                "outputs",
                format!("{} outputs are over the plan's bound", batch.outputs.len()),
            ));
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
        let started = Instant::now();
        let ran = self.plan.run(&batch_of_ours);
        clock.add_kernels(started.elapsed());
        ran.map_err(|error| invalid("batch", error.to_string()))?;

        let mut returned = Vec::with_capacity(batch.outputs.len());
        let mut bytes = 0;
        for (index, output) in batch.outputs.iter().enumerate() {
            returned.push(match &output.want {
                wit::Want::Row => {
                    let row = self.plan.row(index).ok_or_else(|| no_row(index))?;
                    bytes += size_of_val(row);
                    if bytes > RUN_ROWS_BYTES {
                        return Err(invalid(
                            "outputs",
                            format!("the rows asked for take more than {RUN_ROWS_BYTES} bytes; ask for `top`"),
                        ));
                    }
                    wit::Output::Row(row.to_vec())
                }
                wit::Want::Top(want) => wit::Output::Top(self.top(index, *want)?),
            });
        }
        self.last_run = started.elapsed();
        Ok(returned)
    }

    pub(super) fn row(&self, output: u32) -> Result<Vec<f32>, Error> {
        let row = self
            .plan
            .row(output as usize)
            .ok_or_else(|| no_row(output as usize))?;
        Ok(row.to_vec())
    }

    fn top(&self, index: usize, want: wit::TopWant) -> Result<wit::Top, Error> {
        let mut largest = Vec::new();
        let count = want.count.min(TOP_COUNT) as usize;
        let log_sum_exp = self
            .plan
            .top(index, count, want.temperature, &mut largest)
            .ok_or_else(|| no_row(index))?;
        let (indices, values) = largest.into_iter().unzip();
        Ok(wit::Top {
            indices,
            values,
            log_sum_exp,
        })
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
