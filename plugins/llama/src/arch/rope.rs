//! Frequencies of rotary position embedding with every scaling that supported models use, as pure formulas.
//!
//! Sources: RoFormer (arXiv 2104.09864) for the rotation, "Extending Context Window via Positional Interpolation"
//! (arXiv 2306.15595) for linear scaling, YaRN (arXiv 2309.00071) sections 3.2 to 3.4, LongRoPE (arXiv 2402.13753) as
//! Phi-3's model card applies it. Llama 3 stores its divisors in the file. Knows nothing of files or layers.

use std::f64::consts::PI;

/// What one rotation needs: the angle per position of each pair, and what the rotated part is multiplied by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rope {
    /// Radians per position, one per pair.
    pub frequencies: Vec<f32>,
    /// Factor of the rotated part; 1 unless a scaling asks for more.
    pub magnitude: f32,
}

/// How the plain frequencies are changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scaling {
    /// Not at all.
    None,
    /// All divided by one factor.
    Linear(f32),
    /// Each divided by its own number: Llama 3's divisors.
    Divisors(Vec<f32>),
    /// LongRoPE: divisors and a magnitude.
    Long { divisors: Vec<f32>, magnitude: f32 },
    /// YaRN.
    Yarn(Yarn),
}

/// The parameters of YaRN under the paper's names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Yarn {
    /// By how much the context was stretched.
    pub factor: f32,
    /// The context before that, in tokens.
    pub original_context: u32,
    /// Dimensions that turn more often than this within the original context keep their frequency.
    pub beta_fast: f32,
    /// Dimensions that turn less often than this are divided by the whole factor.
    pub beta_slow: f32,
    /// Multiplies the magnitude that the paper gives.
    pub attention_factor: f32,
}

impl Rope {
    /// The rotation of the first `dims` elements of each head. Divisors are as many as pairs.
    pub(super) fn new(dims: u32, base: f32, scaling: &Scaling) -> Self {
        let plain = plain(dims, base);
        let (divisors, magnitude): (Vec<f64>, f32) = match scaling {
            Scaling::None => (vec![1.0; plain.len()], 1.0),
            Scaling::Linear(factor) => (vec![f64::from(*factor); plain.len()], 1.0),
            Scaling::Divisors(divisors) => (divisors.iter().map(|&d| f64::from(d)).collect(), 1.0),
            Scaling::Long {
                divisors,
                magnitude,
            } => (divisors.iter().map(|&d| f64::from(d)).collect(), *magnitude),
            Scaling::Yarn(yarn) => (yarn.divisors(dims, base), yarn.magnitude()),
        };
        Self {
            frequencies: plain
                .iter()
                .zip(divisors)
                .map(|(frequency, divisor)| (frequency / divisor) as f32)
                .collect(),
            magnitude,
        }
    }
}

/// `base ^ (-2i / dims)`: RoFormer, equation 15.
fn plain(dims: u32, base: f32) -> Vec<f64> {
    (0..dims / 2)
        .map(|pair| f64::from(base).powf(-2.0 * f64::from(pair) / f64::from(dims)))
        .collect()
}

impl Yarn {
    /// 1 where a dimension turns often within the original context, `factor` where it turns less than once, and
    /// a linear blend of both frequencies between (section 3.2, "NTK-by-parts").
    fn divisors(&self, dims: u32, base: f32) -> Vec<f64> {
        let last = f64::from(dims) - 1.0;
        let low = self.dimension(dims, base, self.beta_fast).floor().max(0.0);
        let high = self.dimension(dims, base, self.beta_slow).ceil().min(last);
        (0..dims / 2)
            .map(|pair| {
                let ramp = ((f64::from(pair) - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                1.0 / ((1.0 - ramp) + ramp / f64::from(self.factor))
            })
            .collect()
    }

    /// The dimension that turns `rotations` times within the original context.
    fn dimension(&self, dims: u32, base: f32, rotations: f32) -> f64 {
        let turns = f64::from(self.original_context) / (f64::from(rotations) * 2.0 * PI);
        f64::from(dims) * turns.ln() / (2.0 * f64::from(base).ln())
    }

    /// Attention's temperature as a factor of queries and keys (section 3.4).
    fn magnitude(&self) -> f32 {
        ((0.1 * f64::from(self.factor).ln() + 1.0) * f64::from(self.attention_factor)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected numbers come from `tests/reference/rope.py`, which agrees with `transformers`.
    fn check(rope: &Rope, expected: &[f64], magnitude: f64) {
        assert!(
            (f64::from(rope.magnitude) - magnitude).abs() < 1e-6,
            "{rope:?}"
        );
        assert_eq!(rope.frequencies.len(), expected.len());
        for (found, expected) in rope.frequencies.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs() / expected;
            assert!(error < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn plain_and_linear() {
        check(
            &Rope::new(8, 10000.0, &Scaling::None),
            &[1.0, 0.1, 0.01, 0.001],
            1.0,
        );
        check(
            &Rope::new(8, 10000.0, &Scaling::Linear(4.0)),
            &[0.25, 0.025, 0.0025, 0.00025],
            1.0,
        );
    }

    #[test]
    fn divisors_of_the_file() {
        let divisors = vec![1.0, 2.0, 4.0, 8.0];
        check(
            &Rope::new(8, 10000.0, &Scaling::Divisors(divisors.clone())),
            &[1.0, 0.05, 0.0025, 0.000125],
            1.0,
        );
        let long = Scaling::Long {
            divisors,
            magnitude: 1.19,
        };
        check(
            &Rope::new(8, 10000.0, &long),
            &[1.0, 0.05, 0.0025, 0.000125],
            1.19,
        );
    }

    #[test]
    fn yarn() {
        let yarn = Scaling::Yarn(Yarn {
            factor: 4.0,
            original_context: 32,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: 1.0,
        });
        let expected = [
            1.0,
            0.4217559938927619,
            0.15811388300841897,
            0.04445698525097307,
            0.025,
            0.014058533129758726,
            0.007905694150420948,
            0.004445698525097307,
            0.0025,
            0.0014058533129758727,
            0.0007905694150420948,
            0.0004445698525097307,
            0.00025,
            0.00014058533129758727,
            7.905694150420948e-05,
            4.445698525097307e-05,
        ];
        check(&Rope::new(32, 10000.0, &yarn), &expected, 1.138629436111989);
    }
}
