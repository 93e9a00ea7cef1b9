//! Prompt lookup (Saxena 2023): what followed the last tokens where they stood before.
//!
//! Places are chained by a hash of two tokens, as compressors find matches, so that a token costs one entry and a
//! search a bounded walk. Decides which place counts: the one with the longest match, of equal ones the latest.

use crate::limits::{LOOKUP_PLACES_MAX, LOOKUP_WALK_MAX};

/// Where pairs of tokens stand in one text.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The first place that is remembered.
    base: usize,
    /// For each hash, one more than the latest place, counted from `base`, at which a pair of it ends; 0: none.
    latest: Vec<u32>,
    /// For each place from `base`, the one before it in its chain, in the same way.
    before: Vec<u32>,
}

/// What may come next.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    pub tokens: Vec<u32>,
    /// How many tokens before it are the same, at most `MATCH_MAX`.
    pub matched: usize,
}

/// Tokens that have to be the same.
const MATCH_MIN: usize = 2;
/// Longer matches say no more.
const MATCH_MAX: usize = 16;
const HASH_BITS: u32 = 12;

impl Lookup {
    /// Looks for `most` tokens that may follow the `len` that there are; `token` names the token at a place. Between two
    /// calls the text only grows.
    pub fn find(&mut self, len: usize, most: usize, token: impl Fn(usize) -> Option<u32>) -> Found {
        let Some(last) = len.checked_sub(1) else {
            return Found::default();
        };
        self.remember(last, &token);
        let pair = |place: usize| Some(hash(token(place.checked_sub(1)?)?, token(place)?));
        let mut next = pair(last).and_then(|hash| self.latest.get(hash)).copied();
        let mut best = (0, 0);
        for _ in 0..LOOKUP_WALK_MAX {
            let Some(at) = next.and_then(|next| next.checked_sub(1)) else {
                break;
            };
            let place = self.base + at as usize;
            let same = |back: &usize| place >= *back && token(place - back) == token(last - back);
            let matched = (0..MATCH_MAX.min(len)).take_while(same).count();
            if matched > best.0 {
                best = (matched, place);
            }
            if matched == MATCH_MAX {
                break;
            }
            next = self.before.get(at as usize).copied();
        }
        let (matched, place) = best;
        if matched < MATCH_MIN {
            return Found::default();
        }
        let mut tokens: Vec<u32> = Vec::with_capacity(most);
        for next in place + 1..=place + most {
            // A text that repeats itself goes on into what is guessed.
            let found = match next.checked_sub(len) {
                None => token(next),
                Some(ahead) => tokens.get(ahead).copied(),
            };
            tokens.extend(found);
        }
        Found { tokens, matched }
    }

    /// Forgets everything; the next search reads the text again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes in what came since the last time, up to before `end`.
    fn remember(&mut self, end: usize, token: &impl Fn(usize) -> Option<u32>) {
        if self.latest.is_empty() {
            self.latest = vec![0; 1 << HASH_BITS];
        }
        if end.saturating_sub(self.base) > LOOKUP_PLACES_MAX {
            // Half at once, so that a token costs no more on average.
            self.base = end - LOOKUP_PLACES_MAX / 2;
            self.latest.fill(0);
            self.before.clear();
        }
        for place in self.base + self.before.len()..end {
            let pair = place.checked_sub(1).and_then(token).zip(token(place));
            let chain = pair.and_then(|(first, second)| self.latest.get_mut(hash(first, second)));
            let at = self.before.len() as u32 + 1;
            let before = chain.map_or(0, |latest| std::mem::replace(latest, at));
            self.before.push(before);
        }
    }
}

/// Multiplicative hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
fn hash(first: u32, second: u32) -> usize {
    let mixed = first.wrapping_mul(0x9e37_79b1).rotate_left(15) ^ second;
    (mixed.wrapping_mul(0x85eb_ca6b) >> (u32::BITS - HASH_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &[u32], most: usize) -> Found {
        Lookup::default().find(text.len(), most, |place| text.get(place).copied())
    }

    fn check(text: &[u32], expected: &[u32], matched: usize) {
        let found = find(text, 4);
        assert_eq!(
            (found.tokens.as_slice(), found.matched),
            (expected, matched)
        );
    }

    #[test]
    fn finds_what_followed() {
        check(&[], &[], 0);
        check(&[1], &[], 0);
        check(&[1, 2, 3, 4], &[], 0);
        check(&[1, 2, 3, 4, 5, 6, 1, 2], &[3, 4, 5, 6], 2);
        check(&[9, 1, 2, 7, 1, 2, 8, 9, 1, 2], &[7, 1, 2, 8], 3);
        check(&[1, 2, 7, 4, 4, 1, 2, 8, 5, 5, 1, 2], &[8, 5, 5, 1], 2);
        // One token is no match.
        check(&[1, 2, 3, 2], &[], 0);
    }

    #[test]
    fn repeats_go_on() {
        check(&[5, 5, 5], &[5, 5, 5, 5], 2);
        check(&[1, 2, 3, 1, 2, 3, 1, 2], &[3, 1, 2, 3], 5);
        let long: Vec<u32> = (0..100).map(|place| place % 3).collect();
        assert_eq!(find(&long, 2).matched, MATCH_MAX);
    }

    /// The same as a search of the whole text, wherever that fits the bounds.
    #[test]
    fn same_as_naive() {
        let mut state = 7_u64;
        let mut text = Vec::new();
        let mut lookup = Lookup::default();
        let mut hits = 0;
        for _ in 0..600 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push((state >> 33) as u32 % 12);
            let found = lookup.find(text.len(), 3, |place| text.get(place).copied());
            let expected = naive(&text);
            assert_eq!(found.matched, expected.0);
            if let Some(place) = expected.1 {
                hits += 1;
                assert_eq!(found.tokens.first(), text.get(place + 1));
            }
        }
        assert!(hits > 400, "{hits}");
    }

    fn naive(text: &[u32]) -> (usize, Option<usize>) {
        let last = text.len() - 1;
        let mut best = (0, None);
        for place in (1..last).rev() {
            let same = |back: &usize| place >= *back && text[place - back] == text[last - back];
            let matched = (0..MATCH_MAX).take_while(same).count();
            if matched >= MATCH_MIN && matched > best.0 {
                best = (matched, Some(place));
            }
        }
        best
    }

    #[test]
    fn memory_is_bounded() {
        let mut lookup = Lookup::default();
        let token = |place: usize| Some(place as u32 % 1000);
        for len in (0..5 * LOOKUP_PLACES_MAX).step_by(777) {
            let found = lookup.find(len, 2, token);
            assert!(lookup.before.len() <= LOOKUP_PLACES_MAX);
            if len > 2000 {
                assert_eq!(found.tokens, [len as u32 % 1000, (len + 1) as u32 % 1000]);
            }
        }
        lookup.clear();
        assert_eq!(
            lookup
                .find(3, 2, |place| [4, 4, 4].get(place).copied())
                .tokens,
            [4, 4]
        );
    }
}
