//! Cuts text into words before BPE, by the rule that `tokenizer.ggml.pre` names.
//!
//! The published rules are regular expressions over Unicode categories, with look-ahead. They are all built from a
//! dozen kinds of step, so they are written here as tables of steps and run by a small scanner: exact, linear, and a
//! fraction of the size of a general engine. How words become tokens is not decided here.

mod class;
mod rules;
mod scan;
mod step;

use class::Classes;
use rules::Rule;

/// One named rule.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    rule: &'static Rule,
    classes: Classes,
}

impl PreTokenizer {
    /// The rule of that name in `tokenizer.ggml.pre`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(Self {
            rule: rules::named(name)?,
            classes: Classes::new(),
        })
    }

    /// Whether models of this rule want their beginning token unless the file says otherwise.
    pub(super) fn adds_bos(&self) -> bool {
        self.rule.adds_bos
    }

    /// Whether a word that is a token is taken whole, before any merge.
    pub(super) fn takes_whole_words(&self) -> bool {
        self.rule.takes_whole_words
    }

    /// Whether this is the rule that Qwen's models name.
    pub(super) fn is_qwen(&self) -> bool {
        self.rule.names.iter().any(|name| name.starts_with("qwen"))
    }

    /// Gives every word of `text` to `found`, in order; together they are the whole text.
    pub(super) fn split<'t>(&self, text: &'t str, found: &mut impl FnMut(&'t str)) {
        scan::split(self.rule.stages, &self.classes, text, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: &[&str]) {
        let mut words = Vec::new();
        PreTokenizer::named(name)
            .unwrap()
            .split(text, &mut |word| words.push(word));
        assert_eq!(words, expected, "{name}: {text:?}");
    }

    // Expected words: the published regular expressions, worked through by hand and checked against the Hugging Face
    // `tokenizers` package by `tests/reference/tokenizers_golden.py`.
    #[test]
    fn cuts_words() {
        check(
            "gpt-2",
            "I've  IT'S 2024\n\n x",
            &["I", "'ve", " ", " IT", "'", "S", " 2024", "\n\n", " x"],
        );
        check(
            "llama-bpe",
            "IT'S 12345 a\r\n b",
            &["IT", "'S", " ", "123", "45", " a", "\r\n", " b"],
        );
        check("qwen2", "x=42;\n\n", &["x", "=", "4", "2", ";\n\n"]);
        check(
            "tekken",
            "HTTPServer camelCase",
            &["HTTPServer", " camel", "Case"],
        );
        check("gpt-4o", "ABC's don'T", &["ABC's", " don'T"]);
        check("starcoder", "a12 3", &["a", "1", "2", " ", "3"]);
        check("deepseek-llm", "a b\n c  ", &["a", " b", "\n", " c", "  "]);
        check(
            "deepseek-v3",
            "1234漢字abc!x",
            &["123", "4", "漢字", "abc", "!x"],
        );
        check("falcon", "a--b 1234", &["a", "--", "b", " ", "123", "4"]);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(PreTokenizer::named("no-such-rule").is_none());
    }
}
