//! How fast memory can be read.

use std::hint::black_box;
use std::io;
use std::thread;
use std::time::Duration;

use memmap2::{Advice, MmapMut};

use crate::Clock;

/// Bytes per nanosecond.
pub(crate) struct Read {
    pub(crate) small: f64,
    pub(crate) huge: f64,
}

/// Each of `threads` threads reads its own part of a region far larger than the caches.
pub(crate) fn read(threads: usize, clock: Clock, quick: bool) -> io::Result<Read> {
    let bytes = if quick { 256 << 20 } else { 768 << 20 };
    let budget = Duration::from_millis(if quick { 400 } else { 1500 });
    Ok(Read {
        small: rate(threads, clock, bytes, budget, Advice::NoHugePage)?,
        huge: rate(threads, clock, bytes, budget, Advice::HugePage)?,
    })
}

fn rate(
    threads: usize,
    clock: Clock,
    bytes: usize,
    budget: Duration,
    pages: Advice,
) -> io::Result<f64> {
    let mut map = MmapMut::map_anon(bytes)?;
    // A kernel without huge pages reads at the speed of small ones, which is then the truth.
    let _ = map.advise(pages);
    map.fill(1);
    let part = bytes / threads;
    let time = clock.time(budget, || {
        if threads == 1 {
            black_box(sum(&map));
            return;
        }
        thread::scope(|scope| {
            for bytes in map.chunks(part) {
                scope.spawn(move || black_box(sum(bytes)));
            }
        });
    });
    Ok(bytes as f64 / time.as_nanos() as f64)
}

/// Four streams side by side, as kernels read four rows of weights: one stream alone does not keep
/// enough reads in flight.
fn sum(bytes: &[u8]) -> u64 {
    let lines = bytes.as_chunks::<64>().0;
    let mut streams = lines.chunks(lines.len().div_ceil(4).max(1));
    let mut next = || streams.next().unwrap_or_default();
    let [a, b, c, d] = [next(), next(), next(), next()];
    let mut sums = [0_u64; 8];
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for line in [a, b, c, d] {
            for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(u64::from_le_bytes(*word));
            }
        }
    }
    sums.iter().fold(0, |a, b| a.wrapping_add(*b))
}
