//! Read-only matrices: mapped out of a model file, or made of given numbers.
//!
//! Decides whether a matrix lies inside its file and is aligned; after that nothing about it can
//! be wrong. Refuses to know the file's format.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::cpu::mapping::FileBytes;
use crate::cpu::packed::{Packed, file};
use crate::dtype::Dtype;
use crate::limits::{MAX_VALUES, MAX_WEIGHT_BYTES, MAX_WEIGHT_ROWS, MAX_WIDTH};

/// A file mapped read-only. Copies share the mapping.
#[derive(Clone, Debug)]
pub struct Region(Arc<Mapped>);

/// A mapped file, and what of it is packed for the processor.
#[derive(Debug)]
struct Mapped {
    file: FileBytes,
    packed: Mutex<HashMap<Place, Packed>>,
    /// Where packed weights are kept between starts.
    store: OnceLock<PathBuf>,
    /// Whether something was packed that is not there.
    unwritten: AtomicBool,
}

impl Mapped {
    fn packed(&self) -> MutexGuard<'_, HashMap<Place, Packed>> {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A weight of a file: where it begins, its type, rows and columns.
pub(crate) type Place = (usize, Dtype, u32, u32);

impl Region {
    /// Maps `file`.
    ///
    /// # Errors
    /// What the system says.
    pub fn map(file: &File) -> Result<Self, io::Error> {
        Ok(Self(Arc::new(Mapped {
            file: FileBytes::map(file)?,
            packed: Mutex::default(),
            store: OnceLock::new(),
            unwritten: AtomicBool::new(false),
        })))
    }

    /// Uses what the file `path` holds of this file's weights as the processor wants them, and has
    /// [`Region::write_packed`] write there what it lacks. The name must belong to this file's content
    /// alone, since it is believed; a file that is damaged or of another version is as good as none.
    pub fn keep_packed(&self, path: &Path) {
        if let Ok(known) = file::read(path, self.len()) {
            self.0.packed().extend(known);
        }
        // A second path for the same mapping changes nothing.
        let _ = self.0.store.set(path.to_owned());
    }

    /// Bytes that [`Region::write_packed`] would write: none before a plan was compiled, or when the file
    /// that [`Region::keep_packed`] named was as it should be.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        if self.0.store.get().is_none() || !self.0.unwritten.load(Ordering::SeqCst) {
            return 0;
        }
        let known = self.0.packed();
        known
            .values()
            .map(|packed| packed.size_bytes() as u64)
            .sum()
    }

    /// Writes what is packed to where [`Region::keep_packed`] said. It takes as long as the disk does, and
    /// may run beside everything else.
    ///
    /// # Errors
    /// What the system says; a file that was there before is still there then.
    pub fn write_packed(&self) -> Result<(), io::Error> {
        let Some(path) = self.0.store.get() else {
            return Ok(());
        };
        let mut weights: Vec<(Place, Packed)> = {
            let known = self.0.packed();
            let all = known.iter();
            all.map(|(place, packed)| (*place, packed.clone()))
                .collect()
        };
        weights.sort_by_key(|((start, ..), _)| *start);
        self.0.unwritten.store(false, Ordering::SeqCst);
        file::write(path, self.len(), &weights)
    }

    /// The file's length when it was mapped, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.file.bytes().len() as u64
    }

    /// Whether the file was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A read-only matrix of `rows` x `columns` numbers. Copies share the numbers.
#[derive(Clone, Debug)]
pub struct Weight {
    source: Source,
    dtype: Dtype,
    rows: u32,
    columns: u32,
    row_bytes: usize,
}

impl Weight {
    /// The matrix of `rows` x `columns` numbers at `offset` of `region`, row after row.
    ///
    /// # Errors
    /// [`WeightError`] when a size is zero or too large, a row is no whole number of blocks, the
    /// offset is not aligned to the type or the range leaves the file.
    pub fn from_region(
        region: &Region,
        offset: u64,
        dtype: Dtype,
        rows: u32,
        columns: u32,
    ) -> Result<Self, WeightError> {
        let (row_bytes, bytes) = checked_size(dtype, rows, columns)?;
        if !offset.is_multiple_of(dtype.alignment()) {
            return Err(WeightError::Unaligned {
                offset,
                dtype: dtype.name(),
                alignment: dtype.alignment(),
            });
        }
        let outside = WeightError::Outside {
            offset,
            bytes,
            file_bytes: region.len(),
        };
        let Some(end) = offset.checked_add(bytes).filter(|e| *e <= region.len()) else {
            return Err(outside);
        };
        let (Ok(start), Ok(end)) = (usize::try_from(offset), usize::try_from(end)) else {
            return Err(outside);
        };
        Ok(Self {
            source: Source::File {
                bytes: Arc::clone(&region.0),
                start,
                end,
            },
            dtype,
            rows,
            columns,
            row_bytes,
        })
    }

    /// A matrix of the given numbers, row after row.
    ///
    /// # Errors
    /// [`WeightError`] when a size is zero, too large or not that of `values`.
    pub fn from_values(values: Vec<f32>, rows: u32, columns: u32) -> Result<Self, WeightError> {
        let (row_bytes, bytes) = checked_size(Dtype::F32, rows, columns)?;
        if values.len() > MAX_VALUES {
            return Err(WeightError::TooManyValues(values.len()));
        }
        if values.len() as u64 * 4 != bytes {
            return Err(WeightError::Count {
                rows,
                columns,
                found: values.len(),
            });
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        drop(values);
        Ok(Self {
            source: Source::Own(bytes.into()),
            dtype: Dtype::F32,
            rows,
            columns,
            row_bytes,
        })
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Numbers in a row.
    #[must_use]
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// How the numbers are stored.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The bytes that it occupies.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.row_bytes as u64 * u64::from(self.rows)
    }

    /// All bytes, `rows * row_bytes` of them.
    pub(crate) fn data(&self) -> &[u8] {
        match &self.source {
            Source::File { bytes, start, end } => {
                bytes.file.bytes().get(*start..*end).unwrap_or_default()
            }
            Source::Own(bytes) => bytes,
        }
    }

    /// The bytes of one row; empty beyond the last.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        let start = row.saturating_mul(self.row_bytes);
        let end = start.saturating_add(self.row_bytes);
        self.data().get(start..end).unwrap_or_default()
    }

    /// The same numbers as kernels read them, if [`Weight::keep`] was told of them.
    pub(crate) fn packed(&self) -> Option<Packed> {
        match &self.source {
            Source::File { bytes, .. } => bytes.packed().get(&self.place()).cloned(),
            Source::Own(_) => None,
        }
    }

    /// Gives back the memory in which it is mapped: what is read of it from now on are single rows, if any.
    pub(crate) fn forget(&self) {
        if let Source::File { bytes, start, end } = &self.source {
            bytes.file.forget(*start..*end);
        }
    }

    /// Remembers the numbers as kernels read them, for all weights of this place in the file.
    pub(crate) fn keep(&self, packed: Packed) {
        if let Source::File { bytes, .. } = &self.source {
            bytes.packed().insert(self.place(), packed);
            bytes.unwritten.store(true, Ordering::SeqCst);
        }
    }

    /// The same for weights that are the same numbers of one file, as long as they live.
    pub(crate) fn identity(&self) -> impl Eq + Hash + use<> {
        let file = match &self.source {
            Source::File { bytes, .. } => Arc::as_ptr(bytes).addr(),
            Source::Own(own) => own.as_ptr().addr(),
        };
        (file, self.place())
    }

    fn place(&self) -> Place {
        let start = match &self.source {
            Source::File { start, .. } => *start,
            Source::Own(_) => 0,
        };
        (start, self.dtype, self.rows, self.columns)
    }
}

/// Why a matrix could not be made. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// A size is zero or beyond its limit.
    #[error("a weight of {rows} x {columns} numbers is empty or too large")]
    Size {
        /// Rows asked for.
        rows: u32,
        /// Columns asked for.
        columns: u32,
    },
    /// A row does not end with a block.
    #[error("a row of {columns} numbers is no whole number of {dtype} blocks of {block}")]
    Blocks {
        /// Columns asked for.
        columns: u32,
        /// The type's name.
        dtype: &'static str,
        /// Numbers in a block.
        block: usize,
    },
    /// The offset does not suit the type.
    #[error("offset {offset} is not a multiple of {alignment}, as {dtype} needs")]
    Unaligned {
        /// Bytes from the start of the file.
        offset: u64,
        /// The type's name.
        dtype: &'static str,
        /// What the offset must be a multiple of.
        alignment: u64,
    },
    /// The range leaves the file.
    #[error("{bytes} bytes at offset {offset} leave the file of {file_bytes} bytes")]
    Outside {
        /// Bytes from the start of the file.
        offset: u64,
        /// Bytes needed.
        bytes: u64,
        /// Bytes there are.
        file_bytes: u64,
    },
    /// The numbers given are not as many as the shape has.
    #[error("{found} numbers were given for {rows} x {columns}")]
    Count {
        /// Rows asked for.
        rows: u32,
        /// Columns asked for.
        columns: u32,
        /// Numbers given.
        found: usize,
    },
    /// More numbers than a copied weight may have.
    #[error("{0} numbers are more than a weight made from values may hold; map a file instead")]
    TooManyValues(usize),
}

#[derive(Clone, Debug)]
enum Source {
    File {
        bytes: Arc<Mapped>,
        start: usize,
        end: usize,
    },
    Own(Arc<[u8]>),
}

/// Bytes of a row and of the whole.
fn checked_size(dtype: Dtype, rows: u32, columns: u32) -> Result<(usize, u64), WeightError> {
    let size = WeightError::Size { rows, columns };
    if rows == 0 || columns == 0 || rows > MAX_WEIGHT_ROWS || columns > MAX_WIDTH {
        return Err(size);
    }
    let Some(row_bytes) = dtype.row_bytes(columns as usize) else {
        return Err(WeightError::Blocks {
            columns,
            dtype: dtype.name(),
            block: dtype.block_len(),
        });
    };
    let bytes = row_bytes as u64 * u64::from(rows);
    if bytes > MAX_WEIGHT_BYTES {
        return Err(size);
    }
    Ok((row_bytes, bytes))
}
