//! One matrix, written by several threads.
//!
//! Decides how rows are dealt out, and whether it is worth it. Refuses to know what is written.

use std::marker::PhantomData;
use std::ops::Range;

use super::pool::Lead;

/// A matrix whose parts may be written from several threads at once.
#[derive(Debug)]
pub(super) struct Split<'a, T> {
    data: *mut T,
    len: usize,
    stride: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Split` only hands out parts of a slice that it borrows exclusively, and `part`
// obliges its caller to keep them apart; numbers may be written from any thread.
unsafe impl<T: Send> Sync for Split<'_, T> {}

impl<'a, T> Split<'a, T> {
    /// Rows of `stride` numbers.
    pub(super) fn of(data: &'a mut [T], stride: usize) -> Self {
        Self {
            data: data.as_mut_ptr(),
            len: data.len(),
            stride,
            owner: PhantomData,
        }
    }

    /// Some columns of one row; empty when they are not all there.
    ///
    /// # Safety
    /// While the part is alive, no other part that overlaps it may be asked for.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that no two parts overlap"
    )]
    pub(super) unsafe fn part(&self, row: usize, columns: Range<usize>) -> &mut [T] {
        let Some(start) = row.checked_mul(self.stride) else {
            return &mut [];
        };
        let start = start.saturating_add(columns.start);
        let count = columns.len();
        if start.saturating_add(count) > self.len {
            return &mut [];
        }
        // SAFETY: the range was just checked against the slice, which is borrowed exclusively for
        // as long as `self` lives; the caller keeps parts from overlapping.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), count) }
    }
}

/// Calls `work(row, its first `width` numbers)` for each of `rows` rows of `stride` numbers, on all
/// threads when that is worth it. `row_ns` is about how long a row takes on one.
pub(super) fn for_each_row<T: Send>(
    lead: &mut Lead<'_>,
    data: &mut [T],
    [rows, width, stride]: [usize; 3],
    row_ns: usize,
    work: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let work = |row: usize, _: usize, out: &mut [T]| work(row, out);
    for_each_row_on(lead, data, [rows, width, stride], row_ns, &work);
}

/// The same with `work(row, thread, numbers)`; no two calls at a time have the same thread.
pub(super) fn for_each_row_on<T: Send>(
    lead: &mut Lead<'_>,
    data: &mut [T],
    [rows, width, stride]: [usize; 3],
    row_ns: usize,
    work: &(dyn Fn(usize, usize, &mut [T]) + Sync),
) {
    let worth = rows.saturating_mul(row_ns) / WORTH_NS;
    let chunks = worth.min(lead.threads() * 4).min(rows).max(1);
    if chunks < 2 || lead.threads() < 2 {
        for (row, out) in data.chunks_mut(stride.max(1)).take(rows).enumerate() {
            work(row, 0, out.get_mut(..width).unwrap_or_default());
        }
        return;
    }
    let split = Split::of(data, stride);
    lead.run(chunks, &|chunk, thread| {
        for row in rows * chunk / chunks..rows * (chunk + 1) / chunks {
            // SAFETY: chunks are disjoint ranges of rows, and each chunk runs once.
            work(row, thread, unsafe { split.part(row, 0..width) });
        }
    });
}

/// What a chunk must last to be worth handing to another thread: some times what handing costs.
pub(super) const WORTH_NS: usize = 3_000;
