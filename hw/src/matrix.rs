//! Borrowed matrices of floats with room between their rows.
//!
//! Decides where a row lies. Refuses to know which op wrote it.

/// A matrix to read: row r is `data[r * stride..][..width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl<'a> Matrix<'a> {
    /// One row; empty beyond the last.
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        let start = row * self.stride;
        self.data.get(start..start + self.width).unwrap_or_default()
    }
}

/// A matrix to write.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl MatrixMut<'_> {
    /// One row to write; empty beyond the last.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        let start = row * self.stride;
        self.data
            .get_mut(start..start + self.width)
            .unwrap_or_default()
    }
}
