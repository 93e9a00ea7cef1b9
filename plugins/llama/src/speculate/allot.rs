//! How many guesses of which answer one step computes: as many as give the most tokens in the least time.
//!
//! A guess counts only if all before it come true, so what it is expected to give is the product of their chances
//! (Leviathan et al. 2023, section 3.1). With the cost of rows measured, taking the likeliest guesses first and
//! comparing each number of them finds the best step.

/// What may be guessed of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// How likely each guess comes true if those before it do.
    pub chances: Vec<f64>,
    /// Whether each guess costs a run of the draft model.
    pub modelled: bool,
}

impl Offer {
    /// How many of its guesses come true on average.
    pub fn expected(&self) -> f64 {
        let chances = self.chances.iter();
        let all = chances.scan(1.0, |chance, next| {
            *chance *= next;
            Some(*chance)
        });
        all.sum()
    }
}

/// What things cost, in nanoseconds.
pub trait Prices {
    /// A step of so many rows; none if that is not known.
    fn step(&self, rows: usize) -> Option<f64>;

    /// A run of the draft model for so many answers.
    fn draft(&self, answers: usize) -> f64;
}

/// A step with guesses has to be expected to give so much more in the same time: what is not measured costs too.
const WORTH: f64 = 1.03;

/// How many guesses of each offer to compute beside one row for each of `answers` answers, `most` in all.
pub fn allot(offers: &[Offer], answers: usize, most: usize, prices: &impl Prices) -> Vec<usize> {
    let mut taken = vec![0; offers.len()];
    let Some(plain) = prices.step(answers) else {
        return taken;
    };
    let guesses = ranked(offers);
    let modelled = offers.iter().filter(|offer| offer.modelled).count();
    let draft_ns = match modelled {
        0 => 0.0,
        answers => prices.draft(answers),
    };
    let mut best = (WORTH * answers as f64 / plain, 0);
    let (mut tokens, mut rounds) = (answers as f64, 0);
    for (count, guess) in (1..).zip(guesses.iter().take(most)) {
        tokens += guess.chance;
        if guess.modelled {
            rounds = rounds.max(guess.place + 1);
        }
        let Some(step_ns) = prices.step(answers + count) else {
            break;
        };
        let rate = tokens / (step_ns + f64::from(rounds as u32) * draft_ns);
        if rate > best.0 {
            best = (rate, count);
        }
    }
    for guess in guesses.iter().take(best.1) {
        if let Some(count) = taken.get_mut(guess.offer) {
            *count += 1;
        }
    }
    taken
}

struct Guess {
    offer: usize,
    place: usize,
    /// That it and all before it come true.
    chance: f64,
    modelled: bool,
}

/// All guesses, likeliest first, those of one answer in their order.
fn ranked(offers: &[Offer]) -> Vec<Guess> {
    let mut all = Vec::new();
    for (index, offer) in offers.iter().enumerate() {
        let mut chance = 1.0;
        for (place, next) in offer.chances.iter().enumerate() {
            chance *= next.clamp(0.0, 1.0);
            all.push(Guess {
                offer: index,
                place,
                chance,
                modelled: offer.modelled,
            });
        }
    }
    // Stable, and chances never rise within one answer.
    all.sort_by(|a, b| b.chance.total_cmp(&a.chance));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step costs `base + row * rows`, a run of the draft model `draft`.
    struct Line {
        base: f64,
        row: f64,
        draft: f64,
    }

    impl Prices for Line {
        fn step(&self, rows: usize) -> Option<f64> {
            Some(self.base + self.row * rows as f64)
        }

        fn draft(&self, _: usize) -> f64 {
            self.draft
        }
    }

    fn looked_up(chances: &[f64]) -> Offer {
        Offer {
            chances: chances.to_vec(),
            modelled: false,
        }
    }

    fn modelled(chance: f64, count: usize) -> Offer {
        Offer {
            chances: vec![chance; count],
            modelled: true,
        }
    }

    fn check(prices: &Line, offers: &[Offer], expected: &[usize]) {
        assert_eq!(allot(offers, offers.len(), 100, prices), expected);
    }

    #[test]
    fn rows_that_cost_nothing_are_all_taken() {
        let free = Line {
            base: 100.0,
            row: 0.0,
            draft: 0.0,
        };
        check(&free, &[looked_up(&[0.9; 8])], &[8]);
        check(&free, &[looked_up(&[0.1, 0.9])], &[2]);
        check(&free, &[looked_up(&[]), looked_up(&[0.5; 3])], &[0, 3]);
    }

    #[test]
    fn rows_that_cost_as_much_as_steps_are_not() {
        let dear = Line {
            base: 0.0,
            row: 100.0,
            draft: 0.0,
        };
        check(&dear, &[looked_up(&[0.99; 8])], &[0]);
        check(&dear, &vec![modelled(0.99, 8); 5], &[0; 5]);
    }

    #[test]
    fn takes_as_many_as_their_chances_are_worth() {
        // At one row 110; each more costs 10. Against all numbers, by hand.
        let line = Line {
            base: 100.0,
            row: 10.0,
            draft: 0.0,
        };
        for chance in [0.05, 0.3, 0.5, 0.7, 0.9, 0.99] {
            let rate = |count: i32| {
                let tokens: f64 = (0..=count).map(|place| chance_of(chance, place)).sum();
                tokens / (100.0 + 10.0 * f64::from(1 + count))
            };
            let best = (0..=8)
                .max_by(|&a, &b| rate(a).total_cmp(&rate(b)))
                .unwrap();
            let expected = if rate(best) > WORTH * rate(0) {
                best
            } else {
                0
            };
            check(&line, &[looked_up(&[chance; 8])], &[expected as usize]);
        }
        fn chance_of(chance: f64, place: i32) -> f64 {
            chance.powi(place)
        }
    }

    #[test]
    fn the_likeliest_answer_gets_the_rows() {
        let line = Line {
            base: 100.0,
            row: 10.0,
            draft: 0.0,
        };
        let offers = [looked_up(&[0.02; 4]), looked_up(&[0.95; 4])];
        assert_eq!(allot(&offers, 2, 100, &line), [0, 4]);
        assert_eq!(
            allot(&offers, 2, 3, &line),
            [0, 3],
            "no more than there may be"
        );
    }

    #[test]
    fn a_crowd_that_fills_the_machine_guesses_less() {
        // Rows are free up to eight, then each costs a step's worth.
        struct Bent;
        impl Prices for Bent {
            fn step(&self, rows: usize) -> Option<f64> {
                Some(100.0 * rows.max(8) as f64 / 8.0)
            }
            fn draft(&self, _: usize) -> f64 {
                0.0
            }
        }
        let total = |answers: usize| {
            let offers = vec![looked_up(&[0.6; 8]); answers];
            allot(&offers, answers, 100, &Bent).iter().sum::<usize>()
        };
        assert_eq!((total(1), total(4), total(8), total(12)), (7, 4, 0, 0));
    }

    #[test]
    fn drafts_pay_for_their_runs() {
        let line = |draft| Line {
            base: 100.0,
            row: 1.0,
            draft,
        };
        check(&line(0.0), &[modelled(0.8, 8)], &[8]);
        check(&line(200.0), &[modelled(0.8, 8)], &[0]);
        let some = allot(&[modelled(0.8, 8)], 1, 8, &line(20.0));
        assert!((1..8).contains(&some[0]), "{some:?}");
        // A run serves all answers at once.
        let shared = allot(&vec![modelled(0.8, 8); 4], 4, 32, &line(60.0));
        assert!(shared.iter().all(|&count| count > 0), "{shared:?}");
        check(&line(60.0), &[modelled(0.5, 8)], &[0]);
    }

    #[test]
    fn nothing_is_known_and_nothing_is_guessed() {
        struct Unknown;
        impl Prices for Unknown {
            fn step(&self, _: usize) -> Option<f64> {
                None
            }
            fn draft(&self, _: usize) -> f64 {
                0.0
            }
        }
        assert_eq!(allot(&[looked_up(&[1.0; 3])], 1, 9, &Unknown), [0]);
    }
}
