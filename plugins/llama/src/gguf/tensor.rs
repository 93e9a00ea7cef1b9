//! The tensor list: reads each description, computes how many bytes it covers, and checks that all ranges are
//! aligned, inside the file and apart from each other. Never reads the data.

use std::collections::{BTreeMap, btree_map};

use super::cursor::Cursor;
use super::{DType, GgufError, Place, Source, TensorType, limits::*};

/// Where one tensor lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type as the file numbers it.
    pub kind: TensorType,
    /// Dimensions in the file's order: the contiguous one (the row) first. Empty for a scalar.
    pub shape: Vec<u64>,
    /// Absolute offset in the file, in bytes.
    pub offset: u64,
    /// Length of the data in bytes; 0 if a dimension is 0.
    pub length_bytes: u64,
}

impl TensorInfo {
    /// The element type, if kernels exist for it; the error names the tensor as `name`.
    pub fn dtype(&self, name: &str) -> Result<DType, GgufError> {
        self.kind
            .supported()
            .ok_or_else(|| GgufError::UnsupportedType {
                name: name.to_owned(),
                kind: self.kind,
            })
    }

    /// Dimensions in row-major order: rows first, the contiguous one last, as NumPy and PyTorch write them.
    pub fn shape_row_major(&self) -> Vec<u64> {
        self.shape.iter().rev().copied().collect()
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        // The parser has checked that the product fits.
        self.shape.iter().product()
    }
}

/// Reads `count` descriptions; offsets are still relative to the start of the data.
pub(super) fn read_list<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    count: u64,
) -> Result<BTreeMap<String, TensorInfo>, GgufError> {
    let mut tensors = BTreeMap::new();
    for index in 0..count {
        cursor.enter(Place::TensorName(index));
        let name = cursor.utf8(NAME_BYTES_MAX)?;
        if name.is_empty() {
            return Err(GgufError::Text {
                place: cursor.place(),
                why: "is empty",
            });
        }
        let info = read_one(cursor, &name)?;
        match tensors.entry(name) {
            btree_map::Entry::Vacant(entry) => entry.insert(info),
            btree_map::Entry::Occupied(entry) => {
                return Err(GgufError::DuplicateTensor(entry.key().clone()));
            }
        };
    }
    Ok(tensors)
}

fn read_one<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    name: &str,
) -> Result<TensorInfo, GgufError> {
    cursor.enter(Place::Tensor(name.to_owned()));
    let dims = u32::from_le_bytes(cursor.bytes()?);
    if dims as usize > DIMS_MAX {
        return Err(GgufError::Dims {
            name: name.to_owned(),
            found: dims,
        });
    }
    let mut shape = Vec::with_capacity(dims as usize);
    for _ in 0..dims {
        let found = i64::from_le_bytes(cursor.bytes()?);
        let dim = u64::try_from(found).map_err(|_| GgufError::NegativeDim {
            name: name.to_owned(),
            found,
        })?;
        shape.push(dim);
    }
    let code = u32::from_le_bytes(cursor.bytes()?);
    let kind = TensorType::from_code(code).ok_or_else(|| GgufError::UnknownTensorType {
        name: name.to_owned(),
        found: code,
    })?;
    let length_bytes = length_bytes(name, &shape, kind)?;
    let offset = u64::from_le_bytes(cursor.bytes()?);
    Ok(TensorInfo {
        kind,
        shape,
        offset,
        length_bytes,
    })
}

fn length_bytes(name: &str, shape: &[u64], kind: TensorType) -> Result<u64, GgufError> {
    // Signed 64-bit is what every other reader counts in. A zero dimension hides no overflow of the others.
    let elements = shape
        .iter()
        .try_fold(1_u64, |product, &dim| product.checked_mul(dim.max(1)))
        .filter(|&product| i64::try_from(product).is_ok())
        .ok_or_else(|| GgufError::TooManyElements {
            name: name.to_owned(),
            shape: shape.to_vec(),
        })?;
    let row = shape.first().copied().unwrap_or(1);
    let block = kind.block_elements();
    if row % block != 0 {
        return Err(GgufError::PartialBlock {
            name: name.to_owned(),
            row,
            block,
            kind,
        });
    }
    if shape.contains(&0) {
        return Ok(0);
    }
    (elements / block)
        .checked_mul(kind.block_bytes())
        .filter(|&bytes| i64::try_from(bytes).is_ok())
        .ok_or_else(|| GgufError::TooManyBytes {
            name: name.to_owned(),
            elements,
            kind,
        })
}

/// Turns offsets into absolute ones and checks all ranges.
pub(super) fn place(
    mut tensors: BTreeMap<String, TensorInfo>,
    data_offset: u64,
    alignment: u64,
    size: u64,
) -> Result<BTreeMap<String, TensorInfo>, GgufError> {
    for (name, info) in &mut tensors {
        if info.offset % alignment != 0 {
            return Err(GgufError::Misaligned {
                name: name.clone(),
                offset: info.offset,
                alignment,
            });
        }
        let range = data_offset
            .checked_add(info.offset)
            .and_then(|start| Some((start, start.checked_add(info.length_bytes)?)));
        let Some((start, end)) = range else {
            return Err(GgufError::Offset {
                name: name.clone(),
                offset: info.offset,
            });
        };
        if end > size && info.length_bytes > 0 {
            return Err(GgufError::PastEnd {
                name: name.clone(),
                start,
                end,
                size,
            });
        }
        info.offset = start;
    }
    refuse_overlap(&tensors)?;
    Ok(tensors)
}

fn refuse_overlap(tensors: &BTreeMap<String, TensorInfo>) -> Result<(), GgufError> {
    let mut ranges: Vec<_> = tensors
        .iter()
        .filter(|(_, info)| info.length_bytes > 0)
        .map(|(name, info)| (info.offset, info.offset + info.length_bytes, name))
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && start < end
        {
            return Err(GgufError::Overlap {
                first: (*first).clone(),
                second: (*second).clone(),
            });
        }
    }
    Ok(())
}
