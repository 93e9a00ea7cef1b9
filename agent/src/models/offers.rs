//! Models that somebody may want and does not know by name yet.
//!
//! Decides nothing: it reads the list that is in the binary. Which of them fit where is `need`'s and the placing's.

use serde::Deserialize;

use super::pull::Source;

/// A model that can be pulled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// As `skep pull` takes it.
    pub source: String,
    pub title: String,
    /// How many, as its publisher counts.
    pub parameters: f64,
    /// Of a weight in the file, on average.
    pub bits: f64,
    pub licence: String,
    /// `chat`, `code` or `embeddings`.
    pub purpose: String,
    /// In a sentence.
    pub about: String,
}

impl Offer {
    /// How large its file is, about.
    #[must_use]
    pub fn about_bytes(&self) -> u64 {
        let bytes = self.parameters * self.bits / 8.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate of a positive number below 2^53"
        )]
        let bytes = bytes.clamp(0.0, 1e15) as u64;
        bytes
    }

    /// What it is called when it is pulled as it stands here.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let source: Source = self.source.parse().ok()?;
        source.default_name().ok().map(|name| name.to_string())
    }
}

/// All of them, from small to large within a purpose.
#[must_use]
pub fn offers() -> Vec<Offer> {
    #[derive(Deserialize)]
    struct Offers {
        models: Vec<Offer>,
    }
    let read = toml::from_str::<Offers>(include_str!("../../assets/catalogue.toml"));
    read.map(|offers| offers.models).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_can_be_pulled_under_a_name_of_its_own() {
        let offers = offers();
        assert!(offers.len() > 8);
        let mut names: Vec<_> = offers.iter().map(|o| o.name().unwrap()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), offers.len());
        for offer in &offers {
            assert!(offer.about_bytes() > 10_000_000, "{}", offer.title);
            assert!(["chat", "code", "embeddings"].contains(&offer.purpose.as_str()));
        }
    }
}
