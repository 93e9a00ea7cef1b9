//! Runs word rules over text. A rule has stages; each cuts the pieces of the one before, and what no alternative
//! matches stays together as a piece of its own. Every step looks at each character a bounded number of times.

use super::class::*;
use super::step::*;

/// Gives the pieces that `stages` cut `text` into to `found`, in order.
pub(super) fn split<'t>(
    stages: &[&[Step]],
    classes: &Classes,
    text: &'t str,
    found: &mut impl FnMut(&'t str),
) {
    let Some((steps, later)) = stages.split_first() else {
        if !text.is_empty() {
            found(text);
        }
        return;
    };
    let scanner = Scanner { classes, text };
    let (mut unmatched, mut at) = (0, 0);
    while let Some((c, _)) = scanner.at(at) {
        match steps.iter().find_map(|step| scanner.end_of(step, at)) {
            Some(end) => {
                split(later, classes, scanner.slice(unmatched, at), found);
                split(later, classes, scanner.slice(at, end), found);
                at = end;
                unmatched = end;
            }
            None => at += c.len_utf8(),
        }
    }
    split(later, classes, scanner.slice(unmatched, at), found);
}

struct Scanner<'a, 't> {
    classes: &'a Classes,
    text: &'t str,
}

impl<'t> Scanner<'_, 't> {
    fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The character at `at` and its kinds.
    fn at(&self, at: usize) -> Option<(char, Kinds)> {
        let c = self.text.get(at..)?.chars().next()?;
        Some((c, self.classes.of(c)))
    }

    /// Where a character of `set` at `at` ends.
    fn one(&self, set: Set, at: usize) -> Option<usize> {
        let (c, kinds) = self.at(at)?;
        set.contains(c, kinds).then(|| at + c.len_utf8())
    }

    /// Where up to `most` characters of `set` from `at` end: `at` itself if there is none.
    fn run(&self, set: Set, at: usize, most: usize) -> usize {
        (0..most)
            .try_fold(at, |end, _| self.one(set, end).ok_or(end))
            .unwrap_or_else(|end| end)
    }

    fn some(&self, set: Set, at: usize) -> Option<usize> {
        Some(self.run(set, at, usize::MAX)).filter(|&end| end > at)
    }

    /// Where `step` ends if it matches at `at`. Never `at` itself.
    fn end_of(&self, step: &Step, at: usize) -> Option<usize> {
        match *step {
            Step::Run {
                lead,
                body,
                most,
                tail,
            } => {
                let from = |start| {
                    let end = self.run(body, start, most);
                    (end > start).then(|| self.run(tail, end, usize::MAX))
                };
                match lead {
                    Lead::None => from(at),
                    Lead::Must(set) => self.one(set, at).and_then(from),
                    Lead::Maybe(set) => self.one(set, at).and_then(from).or_else(|| from(at)),
                }
            }
            Step::Contraction(case) => self.contraction(case, at),
            Step::CasedWord { contraction } => {
                let end = self.cased_word(at)?;
                let after = contraction
                    .then(|| self.contraction(Case::AnyCase, end))
                    .flatten();
                Some(after.unwrap_or(end))
            }
            Step::Newlines => self.newlines(at),
            Step::SpaceBeforeSpace => self.space_before_space(at),
            Step::SpaceByPowers => self.space_by_powers(at),
            Step::ThreeDigits => {
                let digits = self.text.as_bytes().get(at..at + 3)?;
                digits.iter().all(u8::is_ascii_digit).then_some(at + 3)
            }
            Step::SpaceAtEnd => self
                .some(Set::Of(SPACE), at)
                .filter(|&end| end == self.text.len()),
        }
    }

    fn contraction(&self, case: Case, at: usize) -> Option<usize> {
        let mut rest = self.text.get(at..)?.strip_prefix('\'')?.chars();
        let mut letter = || {
            let c = rest.next()?;
            match case {
                Case::AsWritten => Some(c),
                // The only other character that folds to one of these letters is the long s.
                Case::AnyCase if c == 'ſ' => Some('s'),
                Case::AnyCase => Some(c.to_ascii_lowercase()),
            }
        };
        let length = match (letter()?, letter()) {
            ('s', _) if self.text.get(at + 1..)?.starts_with('ſ') => 'ſ'.len_utf8(),
            ('s' | 't' | 'm' | 'd', _) => 1,
            ('r' | 'v', Some('e')) | ('l', Some('l')) => 2,
            _ => return None,
        };
        Some(at + 1 + length)
    }

    fn cased_word(&self, at: usize) -> Option<usize> {
        let after_lead = self.one(Set::NotOf(NEWLINE | LETTER | NUMBER), at);
        let starts = || after_lead.into_iter().chain([at]);
        starts()
            .find_map(|start| self.word_to_lower(start))
            .or_else(|| starts().find_map(|start| self.some(NOT_LOWER, start)))
    }

    /// `U*L+`. The first part takes all it can and gives back only what the second needs.
    fn word_to_lower(&self, start: usize) -> Option<usize> {
        let mut end = start;
        let mut last_in_both = None;
        while let Some(next) = self.one(NOT_LOWER, end) {
            if self.one(NOT_UPPER, end).is_some() {
                last_in_both = Some(next);
            }
            end = next;
        }
        self.some(NOT_UPPER, end).or(last_in_both)
    }

    fn newlines(&self, at: usize) -> Option<usize> {
        let end = self.some(Set::Of(SPACE), at)?;
        let last = self.slice(at, end).rfind(['\r', '\n'])?;
        Some(at + last + 1)
    }

    fn space_before_space(&self, at: usize) -> Option<usize> {
        let end = self.some(Set::Of(SPACE), at)?;
        if end == self.text.len() {
            return Some(end);
        }
        let (last, _) = self.slice(at, end).char_indices().next_back()?;
        (last > 0).then_some(at + last)
    }

    fn space_by_powers(&self, at: usize) -> Option<usize> {
        let one = self.one(Set::Of(SPACE), at)?;
        let reach = self.space_before_space(at).unwrap_or(at);
        let count = self.slice(at, reach).chars().take(POWERS_MAX).count();
        let length = if count == 0 {
            return Some(one);
        } else {
            1 << count.ilog2()
        };
        Some(self.run(Set::Of(SPACE), at, length))
    }
}

const NOT_LOWER: Set = Set::Of(UPPER | TITLE | MODIFIER | OTHER_LETTER | MARK);
const NOT_UPPER: Set = Set::Of(LOWER | MODIFIER | OTHER_LETTER | MARK);
/// The largest run that `SpaceByPowers` takes at once.
const POWERS_MAX: usize = 512;
