//! Guessing tokens ahead (Leviathan et al. 2023, Chen et al. 2023): where guesses come from, how many of them are worth
//! their rows, and what became of them.
//!
//! A guess is computed in the step that computes the token before it, and kept only if the ordinary choice of the
//! next token falls on it. So it decides when an answer comes and nothing of what it says. Refuses to know sequences,
//! pages and plans.

mod acceptance;
mod allot;
mod costs;
mod lookup;

pub use acceptance::{Acceptance, Class};
pub use allot::{Offer, Prices, allot};
pub use costs::Costs;
pub use lookup::{Found, Lookup};

/// What one instance has learnt about guessing.
#[derive(Debug, Default)]
pub struct Speculation {
    /// Of all answers; a new one starts from it.
    pub acceptance: Acceptance,
    /// What a step costs by its rows.
    pub steps: Costs,
    /// Guesses that were computed.
    pub guessed: u64,
    /// Of these, how many became part of an answer.
    pub kept: u64,
}
