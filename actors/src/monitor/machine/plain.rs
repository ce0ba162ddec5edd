//! Text without terminal escapes: what a person reads, and so what rules look at.

use std::borrow::Cow;

pub(super) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// The text without escapes. A text that has none is not copied.
#[must_use]
pub fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(ESC, text) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    let mut at = first;
    out.extend_from_slice(text.get(..first).unwrap_or_default());
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let escape = length_of_escape(rest).max(usize::from(rest.first() == Some(&ESC)));
        let skipped = length_of_escape(rest);
        // Bytes that begin like an escape and are none stay.
        out.extend_from_slice(rest.get(skipped..escape).unwrap_or_default());
        at += escape;
        let rest = rest.get(escape..).unwrap_or_default();
        let length = memchr::memchr(ESC, rest).unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..length).unwrap_or_default());
        at += length;
    }
    Cow::Owned(out)
}

/// The plain text, and for each of its bytes and for its end the place in the original text. `None` when there are no
/// escapes.
pub(super) fn places(text: &[u8]) -> Option<(Vec<u8>, Vec<usize>)> {
    memchr::memchr(ESC, text)?;
    let (mut out, mut at, mut places) =
        (Vec::with_capacity(text.len()), 0, Vec::with_capacity(text.len() + 1));
    while let Some(rest) = text.get(at..)
        && let Some(byte) = rest.first()
    {
        match length_of_escape(rest) {
            0 => {
                out.push(*byte);
                places.push(at);
                at += 1;
            }
            length => at += length,
        }
    }
    places.push(at);
    Some((out, places))
}

/// Where an escape that may not be complete yet begins at the end of the text; `None` when there is none.
pub(super) fn unfinished_escape(text: &[u8]) -> Option<usize> {
    let at = memchr::memrchr(ESC, text)?;
    let rest = text.get(at..).unwrap_or_default();
    // The end of a string (`ESC \`) belongs to what began before it.
    let open = match rest {
        [_] => true,
        [_, b'[', more @ ..] => more.iter().all(|b| matches!(b, 0x20..=0x3f)),
        [_, b']' | b'P' | b'X' | b'^' | b'_', more @ ..] => !more.contains(&BEL),
        [_, more @ ..] => more.iter().all(|b| matches!(b, 0x20..=0x2f)),
        [] => false,
    };
    open.then_some(at)
}

/// The length of the escape with which these bytes begin; 0 when they begin with none, or with one that has no end.
fn length_of_escape(rest: &[u8]) -> usize {
    let [ESC, kind, more @ ..] = rest else { return 0 };
    let among = |from: usize, low: u8, high: u8| {
        let bytes = more.get(from..).unwrap_or_default();
        from + bytes.iter().take_while(|b| (low..=high).contains(*b)).count()
    };
    let ends_with = |at: usize, low: u8, high: u8| {
        if more.get(at).is_some_and(|b| (low..=high).contains(b)) { at + 3 } else { 0 }
    };
    match kind {
        b'[' => ends_with(among(among(0, 0x30, 0x3f), 0x20, 0x2f), 0x40, 0x7e),
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let length = more.iter().position(|b| matches!(*b, BEL | ESC | b'\n')).unwrap_or(more.len());
            match (more.get(length), more.get(length + 1)) {
                (Some(&BEL), _) => length + 3,
                (Some(&ESC), Some(b'\\')) => length + 4,
                // A title without an end takes the rest of its line, as in a terminal; the rarer ones do not.
                _ if *kind == b']' => length + 2,
                _ => 2,
            }
        }
        0x20..=0x2f => ends_with(among(0, 0x20, 0x2f), 0x30, 0x7e),
        0x30..=0x7e => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{cut, plain_lines},
        *,
    };
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_is_no_text() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\x1b[31mHTTP\x1b[0m \x1b[1m429\x1b[0m too fast", "HTTP 429 too fast"),
            ("\x1b(B\x1b[mreset by tput", "reset by tput"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
            ("\x1b]0;open title", ""),
            ("\x1bPq#0\x1b\\sixel \x1bPopen", "sixel open"),
            ("\x1b7saved\x1b8", "saved"),
            ("\x1b[38;2;255;0;0mred\x1b[K", "red"),
            ("broken \x1b[31", "broken \x1b[31"),
            ("broken \x1b[31\u{e9}", "broken \x1b[31\u{e9}"),
            ("\x1b", "\x1b"),
            ("\x1b\x1b[0mx", "\x1bx"),
        ] {
            assert_eq!(String::from_utf8_lossy(&plain(text.as_bytes())), shown, "{text:?}");
        }
    }

    #[test]
    fn an_escape_that_may_go_on_is_known() {
        for (text, at) in [
            ("a", None),
            ("a\x1b", Some(1)),
            ("a\x1b[3", Some(1)),
            ("a\x1b[3m", None),
            ("a\x1b]0;ti", Some(1)),
            ("a\x1b]0;ti\x07", None),
            ("a\x1b(", Some(1)),
            ("a\x1b(B", None),
        ] {
            assert_eq!(unfinished_escape(text.as_bytes()), at, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_of_a_block_are_what_they_are_alone(text in "[\\x1b\\x07\\[\\]0-9mPa\n\\\\(]{0,200}") {
            let text = text.as_bytes();
            let lines = cut(text, 64, None, usize::MAX, true);
            let mut start = 0;
            let alone: Vec<Vec<u8>> = lines.ends.iter().map(|end| {
                let line = plain(&text[start..*end as usize]).into_owned();
                start = *end as usize;
                line
            }).collect();
            if let Some((bytes, found)) = plain_lines(text, &lines) {
                prop_assert_eq!(&bytes, &alone.concat());
                prop_assert_eq!(found.ends.len(), lines.ends.len());
            }
            if let Some((bytes, places)) = places(text) {
                prop_assert_eq!(bytes.as_slice(), &*plain(text));
                prop_assert_eq!(places.len(), bytes.len() + 1);
                prop_assert!(bytes.iter().zip(&places).all(|(byte, at)| text[*at] == *byte));
            }
        }
    }
}
