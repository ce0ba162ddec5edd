//! What must not be stored: values of secrets, matches of the program's patterns, and terminal escapes if it says so.
//!
//! A value or a match is taken out as a whole, also where a line is longer than a piece may be ([`Seam`]), where it
//! is not finished, and where colours stand in it. A secret is known as it is and as a URL writes it. In other
//! encodings (base64, hex, with escapes of JSON) it is not known.

use super::{
    classify::looks_at_lines,
    cut::Cut,
    plain::{places, plain, unfinished_escape},
    seam::Seam,
};
use crate::model::Program;
use regex::bytes::{Regex, RegexBuilder};
use std::{
    borrow::Cow,
    fmt::Write,
    sync::{Arc, OnceLock},
};

/// The text that stands in place of what was taken out.
const STARS: &[u8] = b"***";

/// See [`SIZE_LIMIT`](super::classify): the same bound for the same reason.
const SIZE_LIMIT: usize = 8 << 20;

/// Takes values and matches out of lines.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    hide: Option<Regex>,
    /// Whether a block without a match has no line with one.
    by_block: bool,
    /// Made when it is needed: most programs write no line that is so long, and unfinished lines are seldom looked
    /// at.
    seam: OnceLock<Option<Arc<Seam>>>,
    strip: bool,
}

/// Lines from which a value or a match was taken out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cleaned {
    /// The bytes of the lines, without what was taken out.
    pub bytes: Vec<u8>,
    /// Where the lines end now.
    pub lines: Cut,
    /// Lines whose length changed, with the length they had.
    pub raw_lengths: Vec<(u32, u64)>,
}

impl Redactor {
    /// A redactor for a program and the secrets of one run. Also returns the patterns that cannot be used, each as a
    /// sentence.
    #[must_use]
    pub fn new(program: &Program, secrets: &[String]) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        // A secret of several lines shows as several lines.
        let mut secrets: Vec<Vec<u8>> = secrets
            .iter()
            .flat_map(|s| s.lines())
            .filter(|s| !s.is_empty())
            .map(|s| s.as_bytes().to_vec())
            .collect();
        // The longest first: one may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut patterns: Vec<String> = secrets.iter().map(|secret| written(secret)).collect();
        for (n, pattern) in program.output.redact.iter().enumerate() {
            match build(pattern) {
                Ok(_) => patterns.push(format!("(?:{pattern})")),
                Err(error) => problems.push(format!("redact[{n}]: {error}")),
            }
        }
        let mut all = |pattern: &str| build(pattern).map_err(|error| problems.push(error.to_string())).ok();
        let hide = if patterns.is_empty() { None } else { all(&patterns.join("|")) };
        let by_block = !patterns.iter().any(|pattern| looks_at_lines(pattern));
        (Self { hide, by_block, seam: OnceLock::new(), strip: program.output.strip_ansi }, problems)
    }

    /// What must not be torn where a line is cut; `None` when nothing is hidden.
    #[must_use]
    pub fn seam(&self) -> Option<&Seam> {
        // What was compiled for searching is smaller than the limit here, too.
        let make = || Seam::of(self.hide.as_ref()?, SIZE_LIMIT).ok().map(Arc::new);
        self.seam.get_or_init(make).as_deref()
    }

    /// The lines without what must not be stored; `None` when they may stay as they are.
    #[must_use]
    pub fn clean(&self, bytes: &[u8], lines: &Cut) -> Option<Cleaned> {
        let escapes = memchr::memchr(0x1b, bytes).is_some();
        let hidden = self.hide.as_ref().is_some_and(|hide| escapes || !self.by_block || hide.is_match(bytes));
        let stripped = escapes && self.strip;
        if !hidden && !stripped {
            return None;
        }
        let mut cleaned = Cleaned { bytes: Vec::with_capacity(bytes.len()), ..Cleaned::default() };
        let mut start = 0;
        for (line, end) in (0_u32..).zip(&lines.ends) {
            let whole = bytes.get(start..*end as usize).unwrap_or_default();
            let before = cleaned.bytes.len();
            // A pattern's end of a line is the same in files of Windows.
            let text =
                whole.strip_suffix(b"\n").map_or(whole, |text| text.strip_suffix(b"\r").unwrap_or(text));
            cleaned.bytes.extend_from_slice(&self.line(text));
            cleaned.bytes.extend_from_slice(whole.get(text.len()..).unwrap_or_default());
            if cleaned.bytes.len() == before {
                // A line without a newline must not vanish: its end is known by its bytes.
                cleaned.bytes.push(b' ');
            }
            if cleaned.bytes.len() - before != whole.len() {
                cleaned.raw_lengths.push((line, whole.len() as u64));
            }
            let now = u32::try_from(cleaned.bytes.len()).unwrap_or(u32::MAX);
            cleaned.lines.ends.push(now);
            if lines.splits.binary_search(end).is_ok() {
                cleaned.lines.splits.push(now);
            }
            start = *end as usize;
        }
        Some(cleaned)
    }

    /// One whole line without what must not be stored.
    #[must_use]
    pub fn line<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let text = if self.strip { plain(text) } else { Cow::Borrowed(text) };
        let Some(hide) = &self.hide else { return text };
        let hidden = match hide.replace_all(&text, STARS) {
            Cow::Owned(hidden) => Some(hidden),
            Cow::Borrowed(_) => None,
        };
        let text = hidden.map_or(text, Cow::Owned);
        match through_colours(hide, &text) {
            Some(hidden) => Cow::Owned(hidden),
            None => text,
        }
    }

    /// An unfinished line. Its end is held back where a match, an escape or a character may begin, because the rest
    /// may come. Returns what may be shown, and the number of bytes that it stands for.
    #[must_use]
    pub fn unfinished(&self, text: &[u8]) -> (Vec<u8>, usize) {
        let mut length = whole_characters(text);
        if self.hide.is_some() && self.seam().is_none() {
            length = 0;
        }
        if let Some(seam) = self.seam() {
            length = seam.open(text, 0).map_or(length, |open| open.min(length));
            if let Some((shown, places)) = places(text) {
                let open = seam.open(&shown, 0).and_then(|open| places.get(open));
                length = open.map_or(length, |open| (*open).min(length));
            }
        }
        if self.strip || self.hide.is_some() {
            length = unfinished_escape(text).map_or(length, |escape| escape.min(length));
        }
        let shown = text.get(..length).unwrap_or_default();
        (self.line(shown).into_owned(), length)
    }
}

/// The text without matches that are seen when the escapes are left out; `None` when there are none.
fn through_colours(hide: &Regex, text: &[u8]) -> Option<Vec<u8>> {
    let (shown, places) = places(text)?;
    let (mut out, mut from) = (Vec::new(), 0);
    for found in hide.find_iter(&shown).filter(|found| !found.is_empty() && found.as_bytes() != STARS) {
        let begin = *places.get(found.start())?;
        out.extend_from_slice(text.get(from..begin)?);
        out.extend_from_slice(STARS);
        from = places.get(found.end() - 1)? + 1;
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(text.get(from..)?);
    Some(out)
}

/// The length of the text without a last character whose end is missing.
fn whole_characters(text: &[u8]) -> usize {
    let from = text.len().saturating_sub(3);
    let tail = text.get(from..).unwrap_or_default();
    let begun = tail.iter().rposition(|byte| byte & 0xc0 == 0xc0);
    match begun.and_then(|at| Some((at, std::str::from_utf8(tail.get(at..)?).err()?))) {
        // No length: the bytes so far may be the beginning of a character.
        Some((at, error)) if error.error_len().is_none() => from + at,
        _ => text.len(),
    }
}

/// A secret as it stands in output: as it is, or with what a URL cannot hold written as `%2F`.
fn written(secret: &[u8]) -> String {
    let mut pattern = "(?-u:".to_owned();
    for byte in secret {
        let plain = format!(r"\x{byte:02x}");
        // Writing to a string cannot fail.
        let _ = match byte {
            byte if byte.is_ascii_alphanumeric() => write!(pattern, "{}", char::from(*byte)),
            b' ' => write!(pattern, "(?:{plain}|%20|[+])"),
            byte => write!(pattern, "(?:{plain}|%(?i:{byte:02x}))"),
        };
    }
    pattern.push(')');
    pattern
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).multi_line(true).size_limit(SIZE_LIMIT).build()
}

#[cfg(test)]
mod tests {
    use super::{super::cut, *};
    use crate::model::Command;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn redactor(patterns: &[&str], secrets: &[&str]) -> Redactor {
        let mut program = Program::new("p", Command::Argv(vec!["true".into()]));
        program.output.redact = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let (redactor, problems) = Redactor::new(&program, &secrets);
        assert!(problems.is_empty(), "{problems:?}");
        redactor
    }

    /// What is stored when the bytes come in these steps, and all that was shown of unfinished lines.
    fn stored(redactor: &Redactor, text: &[u8], steps: &[usize], max_line: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut taken, mut have, mut out, mut shown) = (0_usize, 0_usize, Vec::new(), Vec::new());
        let mut steps = steps.iter().cycle();
        loop {
            have = have.saturating_add(*steps.next().unwrap()).min(text.len());
            let last = have == text.len();
            let lines = cut(&text[taken..have], max_line, redactor.seam(), usize::MAX, last);
            let raw = &text[taken..taken + lines.length()];
            out.extend(redactor.clean(raw, &lines).map_or_else(|| raw.to_vec(), |cleaned| cleaned.bytes));
            taken += lines.length();
            if last {
                assert_eq!(taken, text.len());
                return (out, shown);
            }
            let (bytes, length) = redactor.unfinished(&text[taken..have]);
            assert!(taken + length <= have);
            shown.push(bytes);
        }
    }

    #[test]
    fn a_match_is_hidden_as_a_whole_wherever_a_line_is_cut() {
        let redactor = redactor(&[r"token=\S+"], &[]);
        for at in (1..1_100).chain([5_000, 70_000]) {
            let line = format!("{} token=ABCDEFGHIJKLMNOP {}\n", "x".repeat(at - 1), "y".repeat(40));
            let expected = format!("{} *** {}\n", "x".repeat(at - 1), "y".repeat(40));
            let (out, _) = stored(&redactor, line.as_bytes(), &[usize::MAX], 1_024);
            assert_eq!(String::from_utf8_lossy(&out), expected, "at {at}");
        }
    }

    #[test]
    fn a_match_longer_than_a_piece_becomes_one_piece() {
        let redactor = redactor(&[r"token=\S+"], &[]);
        let line = format!("a token={} b {}", "k".repeat(300_000), "y".repeat(900));
        let (out, shown) = stored(&redactor, line.as_bytes(), &[100_000], 1_024);
        assert_eq!(String::from_utf8_lossy(&out), format!("a *** b {}", "y".repeat(900)));
        assert!(shown.iter().all(|shown| !shown.contains(&b'k')), "nor is it shown before its end");
    }

    #[test]
    fn the_same_is_hidden_in_colours_and_in_files_of_windows() {
        let hiding = redactor(&[r"token=\S+", r"\Apin \d+\z", r"key \w+$"], &["s3cret/x y"]);
        for (line, shown) in [
            ("a \x1b[31mtoken\x1b[0m=abc b", "a \x1b[31m*** b"),
            ("a token=\x1b[1mabc\x1b[0m b", "a *** b"),
            ("pin 1234", "***"),
            ("my key abc\r", "my ***\r"),
            ("GET /?k=s3cret%2fx%20y&l=1", "GET /?k=***&l=1"),
            ("GET /?k=s3cret%2Fx+y&l=1", "GET /?k=***&l=1"),
            ("s3cret/x y", "***"),
        ] {
            let text = format!("first\n{line}\nlast\n");
            let (out, _) = stored(&hiding, text.as_bytes(), &[usize::MAX], 1_024);
            assert_eq!(String::from_utf8_lossy(&out), format!("first\n{shown}\nlast\n"));
        }
    }

    #[test]
    fn half_a_character_waits_for_the_other_half() {
        let plain = Redactor::default();
        for (text, length) in [
            (&b"price \xe2"[..], 6),
            (b"price \xe2\x82", 6),
            (b"price \xe2\x82\xac", 9),
            (b"\xf0\x9f\x98", 0),
            (b"caf\xc3\xa9", 5),
            (b"no text \xff", 9),
            (b"no text \xe2 x", 11),
            (b"\x82", 1),
        ] {
            assert_eq!(plain.unfinished(text).1, length, "{text:?}");
        }
    }

    proptest! {
        /// Whatever the cuts and the steps: nothing of a token is ever stored or shown, and all else is.
        #[test]
        fn nothing_of_a_match_is_stored_or_shown(
            words in prop::collection::vec(prop::sample::select(vec![
                "token=QQQQQQQQQ ", "QQQQQQQQ-QQ ", "a ", "bcd", " tok", "é", "\n", "\x1b[1m", "token", "x=y ", "\r\n", "0123456789",
            ]), 0..80),
            steps in prop::collection::vec(1_usize..60, 1..20),
            max_line in 64_usize..90,
        ) {
            static HIDING: LazyLock<Redactor> = LazyLock::new(|| redactor(&[r"token=\S+"], &["QQQQQQQQ-QQ"]));
            let redactor = &*HIDING;
            let text = words.concat();
            let (out, shown) = stored(redactor, text.as_bytes(), &steps, max_line);
            let whole = stored(redactor, text.as_bytes(), &[usize::MAX], max_line).0;
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
            prop_assert!(!out.contains(&b'Q'), "{}", String::from_utf8_lossy(&out));
            prop_assert!(shown.iter().all(|shown| !shown.contains(&b'Q')));
        }
    }
}
