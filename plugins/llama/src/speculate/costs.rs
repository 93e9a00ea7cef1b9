//! What a run costs by how many rows it computes, as measured. Decides when a measurement is believed and when it is
//! too old; guesses between measurements, low where nothing is known, so that it is tried.

use crate::limits::GUESS_ROWS_MAX;

/// Nanoseconds by rows.
#[derive(Debug, Default)]
pub struct Costs {
    /// At index `rows - 1`.
    by_rows: Vec<Measured>,
    /// Runs observed.
    runs: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    ns: f64,
    /// Since it was last forgotten.
    samples: u32,
    /// The run that it was last measured in.
    run: u64,
}

/// Samples before one counts: the first run of a kind also pays for memory that is touched for the first time.
const SAMPLES_MIN: u32 = 2;
/// How far one run moves a mean.
const WEIGHT: f64 = 0.25;
/// One run counts for no more than this many times the mean: the machine may have been busy with something else.
const OUTLIER: f64 = 2.0;
/// Runs after which a measurement is forgotten: contexts grow and neighbours come and go.
const KEPT_RUNS: u64 = 512;

impl Costs {
    /// A run of `rows` rows took `ns`. What is no time or past the bound is ignored.
    pub fn observe(&mut self, rows: usize, ns: u64) {
        let Some(index) = rows.checked_sub(1) else {
            return;
        };
        if ns == 0 || index >= GUESS_ROWS_MAX {
            return;
        }
        if self.by_rows.len() <= index {
            self.by_rows.resize(index + 1, Measured::default());
        }
        self.runs += 1;
        let Some(at) = self.by_rows.get_mut(index) else {
            return;
        };
        if self.runs - at.run > KEPT_RUNS {
            at.samples = 0;
        }
        let ns = ns as f64;
        at.ns = match at.samples {
            0 => ns,
            samples if samples < SAMPLES_MIN => ns.min(at.ns),
            _ => at.ns + (ns.min(OUTLIER * at.ns) - at.ns) * WEIGHT,
        };
        at.samples = at.samples.saturating_add(1);
        at.run = self.runs;
    }

    /// Whether runs of so many rows were measured lately.
    pub fn knows(&self, rows: usize) -> bool {
        self.measured(rows).is_some()
    }

    /// What a run of `rows` rows takes: as measured, on the line between its neighbours, or as much as the nearest one
    /// below. None if nothing at or below is known.
    pub fn of(&self, rows: usize) -> Option<f64> {
        if let Some(ns) = self.measured(rows) {
            return Some(ns);
        }
        let below = (1..rows).rev();
        let (low, low_ns) = below
            .into_iter()
            .find_map(|rows| Some((rows, self.measured(rows)?)))?;
        let mut above = rows + 1..=self.by_rows.len();
        let high = above.find_map(|rows| Some((rows, self.measured(rows)?)));
        Some(match high {
            Some((high, high_ns)) => {
                let part = (rows - low) as f64 / (high - low) as f64;
                low_ns + (high_ns - low_ns) * part
            }
            None => low_ns,
        })
    }

    fn measured(&self, rows: usize) -> Option<f64> {
        let at = self.by_rows.get(rows.checked_sub(1)?)?;
        let known = at.samples >= SAMPLES_MIN && self.runs - at.run <= KEPT_RUNS;
        known.then_some(at.ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(pairs: &[(usize, u64)]) -> Costs {
        let mut costs = Costs::default();
        for &(rows, ns) in pairs {
            (0..SAMPLES_MIN).for_each(|_| costs.observe(rows, ns));
        }
        costs
    }

    #[test]
    fn fills_the_gaps() {
        let costs = observed(&[(2, 100), (6, 300)]);
        let found: Vec<_> = (1..=8).map(|rows| costs.of(rows)).collect();
        let expected = [
            None,
            Some(100.0),
            Some(150.0),
            Some(200.0),
            Some(250.0),
            Some(300.0),
            Some(300.0),
            Some(300.0),
        ];
        assert_eq!(found, expected);
        assert!(costs.knows(6) && !costs.knows(5) && !costs.knows(0));
    }

    #[test]
    fn believes_no_single_run() {
        let mut costs = Costs::default();
        costs.observe(1, 90_000);
        assert_eq!(costs.of(1), None, "memory was touched for the first time");
        costs.observe(1, 100);
        assert_eq!(costs.of(1), Some(100.0));
        costs.observe(1, 1_000_000);
        assert_eq!(costs.of(1), Some(125.0), "something else was busy");
        (0..60).for_each(|_| costs.observe(1, 400));
        assert!((costs.of(1).unwrap() - 400.0).abs() < 1.0);
    }

    #[test]
    fn forgets_what_is_old() {
        let mut costs = observed(&[(1, 100), (9, 900)]);
        (0..=KEPT_RUNS).for_each(|_| costs.observe(1, 100));
        assert_eq!(costs.of(9), Some(100.0), "to be tried again");
        costs.observe(9, 100);
        costs.observe(9, 200);
        assert_eq!(costs.of(9), Some(100.0), "nothing of the old is left");
    }

    #[test]
    fn ignores_what_is_no_measurement() {
        let mut costs = Costs::default();
        for _ in 0..9 {
            costs.observe(0, 5);
            costs.observe(3, 0);
            costs.observe(GUESS_ROWS_MAX + 1, 5);
        }
        assert!(costs.by_rows.is_empty());
        assert_eq!(costs.of(GUESS_ROWS_MAX + 1), None);
    }
}
