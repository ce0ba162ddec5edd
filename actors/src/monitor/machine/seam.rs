//! Where a line may be cut, or shown before it is finished, without tearing apart what must not be seen.
//!
//! A pattern looks at a piece of a line as it looks at a line, so a match must lie in one piece as a whole. An
//! automaton tells whether a match that begins at a place may go on behind the end of what is known: then the cut
//! comes before that place.

use regex::bytes::Regex;
use regex_automata::{
    Anchored, Input,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson,
    util::syntax,
};
use std::sync::{Mutex, PoisonError};

/// The longest match that is kept in one piece, in bytes. No secret is expected to be that long, and the line is in
/// memory until the match ends. Of a longer match the first mebibyte is masked, and what follows is looked at as a
/// line of its own.
pub(super) const LONGEST_MATCH: usize = 1 << 20;

/// The number of steps of the automaton for one look. A pattern that begins everywhere and goes far would take
/// seconds; at the limit the place that was reached counts as one where a match may begin.
const MOST_STEPS: usize = 4 << 20;

/// An automaton that finds where matches begin.
#[derive(Debug)]
pub struct Seam {
    search: Regex,
    dfa: DFA,
    cache: Mutex<Cache>,
    /// The bytes with which a match may begin.
    first: Box<[bool; 256]>,
}

/// The result of following a match that was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    /// Whether the match may go on behind the text.
    alive: bool,
    /// Where the longest match so far ends; `None` without one.
    matched: Option<usize>,
    steps: usize,
}

/// Where to cut a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// The line is cut at this place.
    At(usize),
    /// The place is not known until more of the line is.
    Unknown,
}

impl Seam {
    /// For all patterns that are hidden, as one, compiled for searching.
    ///
    /// # Errors
    /// The reason why there can be none.
    pub(super) fn of(search: &Regex, size_limit: usize) -> Result<Self, String> {
        let dfa = DFA::builder()
            .configure(DFA::config().unicode_word_boundary(true).skip_cache_capacity_check(true))
            .syntax(syntax::Config::new().multi_line(true).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(size_limit)))
            .build(search.as_str())
            .map_err(|error| error.to_string())?;
        let cache = Mutex::new(dfa.create_cache());
        let mut seam = Self { search: search.clone(), dfa, cache, first: Box::new([true; 256]) };
        // Behind the empty text, a word, a blank, the end of a line, and half a character.
        let before = [&b""[..], b"a", b" ", b"\n", b"\r", b"\xc3"];
        let begins = |byte: u8| {
            before.iter().any(|context| {
                let text = [context, &[byte][..]].concat();
                seam.run(&text, context.len()).alive
            })
        };
        let first: Vec<bool> = (0..=u8::MAX).map(begins).collect();
        if let Ok(first) = <[bool; 256]>::try_from(first) {
            *seam.first = first;
        }
        Ok(seam)
    }

    /// Follows a match that begins at `from`.
    fn run(&self, text: &[u8], from: usize) -> Run {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut run = Run { alive: true, matched: None, steps: 0 };
        let input = Input::new(text).range(from..).anchored(Anchored::Yes);
        // What the automaton cannot tell may be a match.
        let Ok(mut state) = self.dfa.start_state_forward(&mut cache, &input) else { return run };
        for (at, byte) in text.iter().enumerate().skip(from) {
            let Ok(next) = self.dfa.next_state(&mut cache, state, *byte) else { return run };
            state = next;
            run.steps += 1;
            if state.is_match() {
                run.matched = Some(at);
            } else if state.is_dead() {
                run.alive = false;
                return run;
            } else if state.is_quit() {
                return run;
            }
        }
        if state.is_match() {
            let goes_on =
                |byte| !self.dfa.next_state(&mut cache, state, byte).is_ok_and(|next| next.is_dead());
            run.alive = (0..=u8::MAX).any(goes_on);
        }
        run
    }

    /// The first place, not before `from`, where a match begins that may go on behind the end of the text; `None`
    /// when there is none.
    pub(super) fn open(&self, text: &[u8], from: usize) -> Option<usize> {
        let (mut at, mut steps) = (from, 0);
        while let Some(byte) = text.get(at) {
            if !self.first.get(usize::from(*byte)).is_some_and(|first| *first) {
                at += 1;
                continue;
            }
            let run = self.run(text, at);
            steps += run.steps;
            if run.alive || steps > MOST_STEPS {
                return Some(at);
            }
            at = run.matched.map_or(at + 1, |end| end.max(at + 1));
        }
        None
    }

    /// Where to cut a line that is longer than `at`: there, or before, or behind a match that is longer than `at`.
    /// `line` is what is known of the line; with `whole`, that is all of it.
    pub(super) fn place(&self, line: &[u8], at: usize, whole: bool) -> Place {
        let head = line.get(..at).unwrap_or(line);
        match self.open(head, 0) {
            None => return Place::At(at),
            Some(open) if open > 0 => return Place::At(open),
            Some(_) => {}
        }
        let known = line.get(..LONGEST_MATCH.max(at)).unwrap_or(line);
        let run = self.run(known, 0);
        if !run.alive {
            // The match ended before the line did, so what comes behind it changes nothing.
            let end = run.matched.unwrap_or(0);
            return Place::At(if end > at { end } else { self.open(head, end.max(1)).unwrap_or(at) });
        }
        if !whole && known.len() == line.len() {
            return Place::Unknown;
        }
        let over = self.search.find_iter(known).take_while(|found| found.start() < at);
        let over = over.filter(|found| found.end() > at).last();
        Place::At(over.map_or(at, |found| if found.start() > 0 { found.start() } else { found.end() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seam(pattern: &str) -> Seam {
        let search = regex::bytes::RegexBuilder::new(pattern).multi_line(true).build().unwrap();
        Seam::of(&search, 8 << 20).unwrap()
    }

    #[test]
    fn a_match_that_may_go_on_is_found_where_it_begins() {
        for (pattern, text, at) in [
            (r"token=\S+", "a tok", Some(2)),
            (r"token=\S+", "a token=abc", Some(2)),
            (r"token=\S+", "a token=abc b", None),
            (r"token=\S+", "token=abc tak", None),
            (r"token=\S+", "x to to", Some(5)),
            (r"[A-Z]{8}", "abc ABCDE", Some(4)),
            (r"[A-Z]{8}", "abc ABCDEFGH ", None),
            (r"(?i)password: .*", "ok Password: x y z", Some(3)),
            (r"BEGIN.*END", "x BEGIN a END b", Some(2)),
            (r"BEGIN.*?END", "x BEGIN a END b", None),
            (r"\btoken", "xtok", None),
            (r"\btoken", "é tok", Some(0)),
            ("é+", "aé", Some(1)),
            ("é+", "a\u{e9}b", None),
            ("x*", "ab", None),
        ] {
            assert_eq!(seam(pattern).open(text.as_bytes(), 0), at, "{pattern} in {text}");
        }
    }

    #[test]
    fn a_line_is_cut_before_a_match_or_behind_a_long_one() {
        let dashes = "-".repeat(90);
        for (pattern, line, whole, place) in [
            (r"token=\S+", format!("{dashes} token=abcdefgh rest"), false, Place::At(91)),
            (r"token=\S+", format!("{dashes}{dashes}"), false, Place::At(100)),
            (r"token=\S+", format!("token={dashes}{dashes} rest"), false, Place::At(186)),
            (r"token=\S+", format!("token={dashes}{dashes}"), false, Place::Unknown),
            (r"token=\S+", format!("token={dashes}{dashes}"), true, Place::At(186)),
            (r"token=\S+;", format!("token={dashes}{dashes} "), false, Place::At(100)),
            (".*secret", format!("{dashes}{dashes}"), false, Place::Unknown),
            (".*secret", format!("{dashes}{dashes}"), true, Place::At(100)),
            (".*secret", format!("{dashes}{dashes}secret"), true, Place::At(186)),
            (r"token=\S+", format!("token={}", "-".repeat(LONGEST_MATCH)), false, Place::At(LONGEST_MATCH)),
        ] {
            assert_eq!(seam(pattern).place(line.as_bytes(), 100, whole), place, "{pattern} {}", line.len());
        }
    }
}
