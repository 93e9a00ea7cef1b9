//! How fast this machine reads memory: the limit of decoding, for the page that reports decoding.
//!
//! Plain vector loads over buffers larger than any cache.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lexopt::prelude::*;
use serde_json::{Value, json};

use crate::order;

#[derive(Debug)]
pub(crate) struct Options {
    threads: usize,
    mebibytes: usize,
    seconds: f64,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut options = Self {
            threads: 1,
            mebibytes: 256,
            seconds: 1.0,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("threads") => options.threads = arguments.value()?.parse()?,
                Long("mebibytes") => options.mebibytes = arguments.value()?.parse()?,
                Long("seconds") => options.seconds = arguments.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.threads == 0 || options.mebibytes == 0 {
            bail!("give at least one thread and one mebibyte");
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    let words = options.mebibytes << 17;
    let barrier = Barrier::new(options.threads);
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..options.threads)
            .map(|_| {
                scope.spawn(|| {
                    let buffer: Vec<u64> = (0..words as u64).collect();
                    barrier.wait();
                    read(&buffer, Duration::from_secs_f64(options.seconds))
                })
            })
            .collect();
        readers
            .into_iter()
            .filter_map(|reader| reader.join().ok())
            .collect()
    });
    Ok(json!({ "threads": options.threads, "bytes_per_second": rates.iter().sum::<f64>() }))
}

/// Bytes per second of the median pass.
fn read(buffer: &[u64], span: Duration) -> f64 {
    let begin = Instant::now();
    let mut rates = Vec::new();
    while begin.elapsed() < span {
        let start = Instant::now();
        let mut sums = [0_u64; 32];
        for line in buffer.chunks_exact(32) {
            for (sum, word) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(*word);
            }
        }
        black_box(sums);
        rates.push(size_of_val(buffer) as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    order::at(&rates, 0.5).unwrap_or_default()
}
