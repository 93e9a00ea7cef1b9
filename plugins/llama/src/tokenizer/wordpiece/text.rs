//! BERT's text preparation: what is dropped, what counts as white space or punctuation, and where words end.

use unicode_normalization::UnicodeNormalization;

use super::category::{is_accent, is_other, is_punctuation};

#[derive(Debug)]
pub(super) struct Cleaning {
    pub(super) lowers: bool,
    pub(super) strips_accents: bool,
}

/// Gives each word of `text` to `found`, in order.
pub(super) fn words(cleaning: &Cleaning, text: &str, found: &mut impl FnMut(&str)) {
    let mut word = String::new();
    let mut flush = |word: &mut String| {
        if !word.is_empty() {
            found(word);
            word.clear();
        }
    };
    let mut take = |c: char| {
        if c.is_whitespace() {
            flush(&mut word);
        } else if stands_alone(c) {
            flush(&mut word);
            word.push(c);
            flush(&mut word);
        } else {
            word.push(c);
        }
    };
    let mut lower = |c: char| {
        if cleaning.lowers {
            c.to_lowercase().for_each(&mut take);
        } else {
            take(c);
        }
    };
    let cleaned = text.chars().filter(|&c| !is_dropped(c)).flat_map(spaced);
    if cleaning.strips_accents {
        cleaned
            .nfd()
            .filter(|&c| !is_accent(c))
            .for_each(&mut lower);
    } else {
        cleaned.for_each(&mut lower);
    }
    lower(' ');
}

/// Ideographs become words of their own.
fn spaced(c: char) -> impl Iterator<Item = char> {
    let around = is_ideograph(c).then_some(' ');
    around.into_iter().chain([c]).chain(around)
}

fn is_dropped(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\0' | char::REPLACEMENT_CHARACTER => true,
        _ => is_other(c),
    }
}

fn stands_alone(c: char) -> bool {
    c.is_ascii_punctuation() || is_punctuation(c)
}

/// The blocks that BERT treats as Chinese. The reference really leaves out U+2B820 to U+2B91F.
fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4e00..=0x9fff
            | 0x3400..=0x4dbf
            | 0x2_0000..=0x2_a6df
            | 0x2_a700..=0x2_b73f
            | 0x2_b740..=0x2_b81f
            | 0x2_b920..=0x2_ceaf
            | 0xf900..=0xfaff
            | 0x2_f800..=0x2_fa1f
    )
}
