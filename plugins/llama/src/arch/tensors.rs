//! Picks tensors out of a file by name, checks each against the shape that the architecture expects, and lists the
//! weights that a graph needs. Matrices stay in the file; only small vectors that are not stored as F32 are read.

use std::collections::{BTreeMap, BTreeSet};

use half::{bf16, f16};

use super::network::{WeightSource, WeightSpec};
use crate::contract::{Dtype, Error};
use crate::error::{malformed, unsupported};
use crate::gguf::{DType, Gguf, Source, TensorInfo};

/// The tensors of one file, and which of them have been asked for.
pub(super) struct Tensors<'a> {
    gguf: &'a Gguf,
    source: &'a dyn Source,
    used: BTreeSet<String>,
    specs: Vec<WeightSpec>,
    /// By tensor, first row and number of rows: a tied matrix is one weight.
    by_place: BTreeMap<(String, u32, u32), u32>,
}

impl std::fmt::Debug for Tensors<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tensors").finish_non_exhaustive()
    }
}

impl<'a> Tensors<'a> {
    /// Nothing is read yet.
    pub(super) fn new(gguf: &'a Gguf, source: &'a dyn Source) -> Self {
        Self {
            gguf,
            source,
            used: BTreeSet::new(),
            specs: Vec::new(),
            by_place: BTreeMap::new(),
        }
    }

    /// Whether the file has such a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.gguf.tensors.contains_key(name)
    }

    /// The index of a matrix of `rows` x `columns`.
    pub(super) fn matrix(&mut self, name: &str, rows: u32, columns: u32) -> Result<u32, Error> {
        self.rows(name, rows, columns, 0, rows)
    }

    /// The index of `count` rows from row `start` of a matrix of `rows` x `columns`: a part of a fused matrix.
    pub(super) fn rows(
        &mut self,
        name: &str,
        rows: u32,
        columns: u32,
        start: u32,
        count: u32,
    ) -> Result<u32, Error> {
        let info = self.find(name, &[columns, rows])?;
        let place = (name.to_owned(), start, count);
        if let Some(&index) = self.by_place.get(&place) {
            return Ok(index);
        }
        let source = WeightSource::File {
            offset: info.offset + u64::from(start) * row_bytes(info, rows),
            dtype: dtype(info.dtype(name)?),
        };
        let index = self.list(name, source, count, columns);
        self.by_place.insert(place, index);
        Ok(index)
    }

    /// The index of a vector.
    pub(super) fn vector(&mut self, name: &str, columns: u32) -> Result<u32, Error> {
        let info = self.find(name, &[columns])?;
        let source = match info.dtype(name)? {
            DType::F32 => WeightSource::File {
                offset: info.offset,
                dtype: Dtype::F32,
            },
            _ => WeightSource::Values(self.read(name, info, 0, columns)?),
        };
        Ok(self.list(name, source, 1, columns))
    }

    /// The index of a vector, if the file has it.
    pub(super) fn optional_vector(
        &mut self,
        name: &str,
        columns: u32,
    ) -> Result<Option<u32>, Error> {
        match self.has(name) {
            true => self.vector(name, columns).map(Some),
            false => Ok(None),
        }
    }

    /// The index of `count` elements from `start` of a vector of `columns`, if the file has it: a part of a fused bias.
    pub(super) fn optional_part(
        &mut self,
        name: &str,
        columns: u32,
        start: u32,
        count: u32,
    ) -> Result<Option<u32>, Error> {
        if !self.has(name) {
            return Ok(None);
        }
        let info = self.find(name, &[columns])?;
        let values = self.read(name, info, start, count)?;
        Ok(Some(self.list(
            name,
            WeightSource::Values(values),
            1,
            count,
        )))
    }

    /// The numbers of a vector, if the file has it.
    pub(super) fn optional_values(
        &mut self,
        name: &str,
        columns: u32,
    ) -> Result<Option<Vec<f32>>, Error> {
        if !self.has(name) {
            return Ok(None);
        }
        let info = self.find(name, &[columns])?;
        self.read(name, info, 0, columns).map(Some)
    }

    /// The index of the first row of a matrix whose number of rows is its own affair.
    pub(super) fn first_row(&mut self, name: &str, columns: u32) -> Result<u32, Error> {
        let rows = self.row_count(name)?;
        let info = self.find(name, &[columns, rows])?;
        let values = self.read(name, info, 0, columns)?;
        Ok(self.list(name, WeightSource::Values(values), 1, columns))
    }

    /// How many rows a tensor has: 1 for a vector.
    pub(super) fn row_count(&self, name: &str) -> Result<u32, Error> {
        let info = self.gguf.tensor(name)?;
        let rows = info.shape.get(1).copied().unwrap_or(1);
        u32::try_from(rows).map_err(|_| malformed(format!("tensor `{name}` has {rows} rows")))
    }

    /// All weights asked for so far; refuses a file that has tensors nobody asked for, because a model that is
    /// computed without some of its parts answers wrongly without any sign of it.
    pub(super) fn finish(self) -> Result<Vec<WeightSpec>, Error> {
        let unknown = self
            .gguf
            .tensors
            .keys()
            .find(|name| !self.used.contains(*name) && !needless(name));
        match unknown {
            Some(name) => Err(unsupported(format!(
                "tensor `{name}` has no place in this architecture as this plugin knows it"
            ))),
            None => Ok(self.specs),
        }
    }

    fn list(&mut self, name: &str, source: WeightSource, rows: u32, columns: u32) -> u32 {
        self.specs.push(WeightSpec {
            name: name.to_owned(),
            source,
            rows,
            columns,
        });
        self.specs.len() as u32 - 1
    }

    /// The tensor, after comparing its shape (contiguous dimension first); trailing dimensions of 1 do not count.
    fn find(&mut self, name: &str, shape: &[u32]) -> Result<&'a TensorInfo, Error> {
        let info = self.gguf.tensor(name)?;
        let mut found = info.shape.as_slice();
        while let [rest @ .., 1] = found
            && rest.len() >= shape.len()
        {
            found = rest;
        }
        let expected: Vec<u64> = shape.iter().map(|&dim| u64::from(dim)).collect();
        // One row may be stored as a vector.
        let same = found == expected
            || (shape.get(1) == Some(&1) && found == expected.get(..1).unwrap_or_default());
        if !same {
            return Err(malformed(format!(
                "tensor `{name}` has shape {:?}, expected {expected:?}",
                info.shape
            )));
        }
        self.used.insert(name.to_owned());
        Ok(info)
    }

    /// `count` numbers from number `start` of the first row.
    fn read(
        &self,
        name: &str,
        info: &TensorInfo,
        start: u32,
        count: u32,
    ) -> Result<Vec<f32>, Error> {
        let width = match info.dtype(name)? {
            DType::F32 => 4_u64,
            DType::F16 | DType::BF16 => 2,
            _ => {
                return Err(unsupported(format!(
                    "tensor `{name}` has type {}, but a vector must be F32, F16 or BF16",
                    info.kind
                )));
            }
        };
        let bytes = self
            .source
            .read(
                info.offset + u64::from(start) * width,
                (u64::from(count) * width) as usize,
            )
            .map_err(|error| Error::Other(format!("could not read tensor `{name}`: {error}")))?;
        Ok(match info.dtype(name)? {
            DType::F32 => each(&bytes, f32::from_le_bytes),
            DType::F16 => each(&bytes, |pair| f16::from_le_bytes(pair).to_f32()),
            _ => each(&bytes, |pair| bf16::from_le_bytes(pair).to_f32()),
        })
    }
}

fn each<const N: usize>(bytes: &[u8], convert: fn([u8; N]) -> f32) -> Vec<f32> {
    let (blocks, _) = bytes.as_chunks::<N>();
    blocks.iter().map(|&block| convert(block)).collect()
}

/// Bytes of one row; the parser has checked that rows are whole.
fn row_bytes(info: &TensorInfo, rows: u32) -> u64 {
    info.length_bytes / u64::from(rows.max(1))
}

/// Tensors that a file may carry without changing what is computed: training heads, tables that are formulas, and
/// the LongRoPE factors of the other context length.
fn needless(name: &str) -> bool {
    let heads = ["cls.", "cls_out", "pooler.", "rope_factors_", "rope_freqs."];
    heads.iter().any(|start| name.starts_with(start))
        || name.ends_with("rotary_emb.inv_freq")
        || name.ends_with("attn_rot_embd.weight")
        || name == "position_ids"
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::Bf16,
        DType::Q8_0 => Dtype::Q80,
        DType::Q4_0 => Dtype::Q40,
        DType::Q4_1 => Dtype::Q41,
        DType::Q5_0 => Dtype::Q50,
        DType::Q5_1 => Dtype::Q51,
        DType::Q4K => Dtype::Q4K,
        DType::Q5K => Dtype::Q5K,
        DType::Q6K => Dtype::Q6K,
    }
}
