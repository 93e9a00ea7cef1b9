//! How often guesses come true, by what speaks for them. Moving means; decides how fast they move.

/// What speaks for a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It followed the last tokens before, this many of them.
    Matched(usize),
    /// Another model would say it.
    Modelled,
}

/// The share of guesses that come true, for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance([f64; CLASSES]);

const CLASSES: usize = 5;

/// What is assumed before anything is known: high enough to be tried where rows cost little.
const FIRST: [f64; CLASSES] = [0.25, 0.4, 0.55, 0.75, 0.6];
/// How far one guess moves a mean.
const WEIGHT: f64 = 1.0 / 16.0;
/// How far a mean that cannot be observed moves back: what was hopeless is tried again after some hundred tokens.
const DRIFT: f64 = 1.0 / 256.0;

impl Default for Acceptance {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Acceptance {
    /// How likely a guess of this class comes true.
    pub fn of(&self, class: Class) -> f64 {
        self.0.get(index(class)).copied().unwrap_or(0.0)
    }

    /// A guess came true or did not.
    pub fn observe(&mut self, class: Class, came_true: bool) {
        self.toward(class, f64::from(u8::from(came_true)), WEIGHT);
    }

    /// Nothing was guessed, so that nothing can be known.
    pub fn drift(&mut self, class: Class) {
        let first = FIRST.get(index(class)).copied().unwrap_or(0.0);
        self.toward(class, first, DRIFT);
    }

    fn toward(&mut self, class: Class, value: f64, weight: f64) {
        if let Some(mean) = self.0.get_mut(index(class)) {
            *mean += (value - *mean) * weight;
        }
    }
}

/// A longer match speaks louder.
fn index(class: Class) -> usize {
    match class {
        Class::Matched(0..=2) => 0,
        Class::Matched(3) => 1,
        Class::Matched(4..=7) => 2,
        Class::Matched(8..) => 3,
        Class::Modelled => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_follow_what_happens() {
        let mut acceptance = Acceptance::default();
        let class = Class::Matched(3);
        let before = acceptance.clone();
        for turn in 0..400 {
            acceptance.observe(class, turn % 4 != 0);
        }
        assert!((acceptance.of(class) - 0.75).abs() < 0.1);
        for other in [Class::Matched(2), Class::Matched(4), Class::Modelled] {
            assert_eq!(acceptance.of(other), before.of(other));
        }
        (0..400).for_each(|_| acceptance.observe(class, false));
        assert!(acceptance.of(class) < 0.01);
        (0..600).for_each(|_| acceptance.drift(class));
        assert!((acceptance.of(class) - before.of(class)).abs() < 0.05);
    }
}
