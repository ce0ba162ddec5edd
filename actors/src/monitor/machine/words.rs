//! A quick look for lines that a built-in pattern may match.
//!
//! Each built-in pattern needs one of a few words. The search compares 16 or 32 bytes at a time, and the patterns
//! look only at lines that have one of the words; their automaton goes byte by byte.

use super::cut::Cut;
use aho_corasick::{
    Span,
    packed::{Config, Searcher},
};
use std::sync::Arc;

/// The words, in lower case.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// Words of three bytes, and longer ones: a search compares as many bytes at once as its shortest word has.
    searchers: Arc<[Searcher]>,
}

impl Words {
    /// `None` where the processor cannot compare that many words at once.
    pub(super) fn of(words: impl IntoIterator<Item = &'static str>) -> Option<Self> {
        let (mut short, mut long): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.len() == 3);
        let mut searchers = Vec::new();
        for group in [&mut short, &mut long] {
            group.sort_unstable();
            group.dedup();
            if !group.is_empty() {
                searchers.push(Config::new().builder().extend(group.iter()).build()?);
            }
        }
        Some(Self { searchers: searchers.into() })
    }

    /// The numbers of the lines that have one of the words, each once, ascending.
    pub(super) fn lines(&self, bytes: &[u8], lines: &Cut) -> Vec<usize> {
        let lower = bytes.get(..lines.length()).unwrap_or(bytes).to_ascii_lowercase();
        let mut found = Vec::new();
        for searcher in self.searchers.iter() {
            let (mut at, mut line) = (0, 0);
            while let Some(word) = searcher.find_in(&lower, Span::from(at..lower.len())) {
                if is_word(&lower, word.start(), word.end()) {
                    line += lines
                        .ends
                        .get(line..)
                        .unwrap_or_default()
                        .partition_point(|end| *end as usize <= word.start());
                    found.push(line);
                    // The rest of the line adds nothing.
                    at = lines.ends.get(line).map_or(lower.len(), |end| *end as usize);
                } else {
                    at = word.start() + 1;
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A number counts only as a whole: many longer numbers have the digits of a status.
fn is_word(lower: &[u8], start: usize, end: usize) -> bool {
    let digit = |at: Option<usize>| at.and_then(|at| lower.get(at)).is_some_and(u8::is_ascii_digit);
    !digit(Some(start)) || !digit(start.checked_sub(1)) && !digit(Some(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::machine::{classify::packs, cut};
    use proptest::{prelude::*, sample::select, strategy::BoxedStrategy, string::bytes_regex_parsed};
    use regex_syntax::hir::{Hir, HirKind};

    #[test]
    fn lines_with_a_word_are_found_once_and_in_order() {
        let text = "one\nGET 4290 of 1429\nERROR: Timeout, timeout\nlast 429 TIMEOUT\n\nx429, and a time out\nno end 429";
        let lines = cut(text.as_bytes(), 1_000, None, 1_000, true);
        let words = Words::of(["429", "timeout"]).unwrap();
        assert_eq!(words.lines(text.as_bytes(), &lines), [2, 3, 5, 6]);
    }

    /// The expression without its conditions on what stands around a match.
    fn without_looks(of: &Hir) -> Hir {
        match of.kind() {
            HirKind::Look(_) => Hir::empty(),
            HirKind::Capture(capture) => without_looks(&capture.sub),
            HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_looks).collect()),
            HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_looks).collect()),
            HirKind::Repetition(repeated) => Hir::repetition(regex_syntax::hir::Repetition {
                sub: Box::new(without_looks(&repeated.sub)),
                ..repeated.clone()
            }),
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => of.clone(),
        }
    }

    /// Lines of each built-in pattern.
    fn matches() -> BoxedStrategy<(&'static str, Vec<u8>)> {
        let each = packs().map(|pack| {
            let mut parser =
                regex_syntax::ParserBuilder::new().utf8(false).multi_line(true).crlf(true).build();
            let parsed = parser.parse(&format!("(?i-u:{})", pack.pattern)).unwrap();
            bytes_regex_parsed(&without_looks(&parsed)).unwrap().prop_map(|text| (pack.name, text)).boxed()
        });
        select(each.collect::<Vec<_>>()).prop_flat_map(|strategy| strategy).boxed()
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_words_are_few_enough_to_be_compared_at_once() {
        #[cfg(target_arch = "x86_64")]
        if !is_x86_feature_detected!("avx2") {
            return; // Then the automaton does it.
        }
        assert!(Words::of(packs().flat_map(|pack| pack.words.iter().copied())).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_a_built_in_pattern_matches_has_one_of_its_words((name, text) in matches()) {
            prop_assume!(!text.contains(&b'\n'));
            let pack = packs().find(|pack| pack.name == name).unwrap();
            let words = Words::of(pack.words.iter().copied()).unwrap();
            let lines = cut(&text, 10_000, None, 10_000, true);
            prop_assert_eq!(words.lines(&text, &lines), [0], "{}", String::from_utf8_lossy(&text));
        }
    }
}
