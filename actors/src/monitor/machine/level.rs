//! How severe a line says that it is.

use crate::model::Level;

/// Loggers name the level near the beginning; farther on the same words are prose.
const LOOK_AT: usize = 100;

/// The level a line names: a word in capitals, or any spelling where it stands like a level (`level=warn`, `[error]`,
/// `error:`).
#[must_use]
pub fn level(line: &[u8]) -> Option<Level> {
    let head = line.get(..LOOK_AT).unwrap_or(line);
    let mut at = 0;
    let mut after_key = false;
    while at < head.len() {
        if !head.get(at).is_some_and(u8::is_ascii_alphabetic) {
            at += 1;
            continue;
        }
        let rest = head.get(at..).unwrap_or_default();
        let length = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|n| head.get(n)).copied();
        let after = head.get(at + length).copied();
        // The last letter of a terminal escape sticks to the word behind it.
        let colour = before.is_some_and(|b| b.is_ascii_digit() || b == b'[') && word.first() == Some(&b'm');
        let (word, start) = if colour { (word.get(1..).unwrap_or_default(), true) } else { (word, at == 0) };
        let marked = after_key
            || after == Some(b':')
            || (before == Some(b'[') && after == Some(b']'))
            || (before == Some(b'<') && after == Some(b'>'));
        if let Some(found) = word_level(word, marked, start, after) {
            return Some(found);
        }
        after_key =
            [&b"level"[..], b"severity", b"lvl", b"levelname"].iter().any(|k| word.eq_ignore_ascii_case(k));
        at += length;
    }
    None
}

fn word_level(word: &[u8], marked: bool, start: bool, after: Option<u8>) -> Option<Level> {
    if start && (word == b"Traceback" || word == b"panic") || word == b"panicked" {
        return Some(Level::Error);
    }
    let capitals = word.len() > 2 && word.iter().all(u8::is_ascii_uppercase);
    // `errors_total`, `ERROR_CODE=`: a name, not a level.
    let name = matches!(after, Some(b'_' | b'-' | b'0'..=b'9'));
    if name || !(capitals || marked) {
        return None;
    }
    let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    if is(&["error", "fatal", "critical", "crit", "alert", "emerg", "panic"]) || (capitals && is(&["err"])) {
        Some(Level::Error)
    } else if is(&["warn", "warning"]) {
        Some(Level::Warn)
    } else if is(&["info", "notice"]) {
        Some(Level::Info)
    } else if is(&["debug"]) {
        Some(Level::Debug)
    } else if is(&["trace"]) {
        Some(Level::Trace)
    } else {
        None
    }
}
