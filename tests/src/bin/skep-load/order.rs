//! Order statistics of what was measured. They decide which value stands for many.

use serde_json::{Value, json};

/// Durations in microseconds, as a distribution.
pub(crate) fn distribution(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    json!({
        "count": values.len(),
        "min": at(&values, 0.0),
        "p50": at(&values, 0.5),
        "p90": at(&values, 0.9),
        "p99": at(&values, 0.99),
        "max": at(&values, 1.0),
    })
}

/// The value below which `part` of the sorted values lie (nearest rank); none of none.
pub(crate) fn at(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(at(&values, 0.0), Some(1.0));
        assert_eq!(at(&values, 0.5), Some(50.0));
        assert_eq!(at(&values, 0.99), Some(99.0));
        assert_eq!(at(&values, 1.0), Some(100.0));
        assert_eq!(at(&[], 0.5), None);
    }
}
