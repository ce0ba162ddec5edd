//! Where lines end.

use super::{
    plain::{ESC, plain, unfinished_escape},
    seam::{Place, Seam},
};

/// The longest escape that is not torn, in bytes: colours have twenty at most. A longer one is no text that a rule
/// looks for.
const LONGEST_ESCAPE: usize = 64;

/// Lines found at the beginning of some bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Where each line ends, its newline included.
    pub ends: Vec<u32>,
    /// The ends among them at which an overlong line goes on.
    pub splits: Vec<u32>,
}

impl Cut {
    /// The number of bytes in whole lines.
    #[must_use]
    pub fn length(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }
}

/// The lines of a block without escapes, and where they end then; `None` when the block has no escapes.
#[must_use]
pub fn plain_lines(bytes: &[u8], lines: &Cut) -> Option<(Vec<u8>, Cut)> {
    memchr::memchr(ESC, bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut found = Cut::default();
    let mut start = 0;
    for end in &lines.ends {
        out.extend_from_slice(&plain(bytes.get(start..*end as usize).unwrap_or_default()));
        let now = u32::try_from(out.len()).unwrap_or(u32::MAX);
        found.ends.push(now);
        if lines.splits.binary_search(end).is_ok() {
            found.splits.push(now);
        }
        start = *end as usize;
    }
    Some((out, found))
}

/// Cuts `bytes`, which begin where a line or a part of one begins, until `room` bytes are used or no whole line is
/// left.
///
/// A line longer than `max_line` is split there, or a little before where a character would be torn, or before a
/// match of what must not be seen that may reach over the split. A match that is longer than `max_line` itself is a
/// part of its own. The result depends on the bytes alone, not on how many of them were there at once: a split is
/// decided only when enough bytes behind it are known. With `last`, what is left at the end is a line too.
/// enough bytes behind it are known. With `last`, what is left at the end is a line too.
#[must_use]
pub fn cut(bytes: &[u8], max_line: usize, seam: Option<&Seam>, room: usize, last: bool) -> Cut {
    let max_line = max_line.max(64);
    let mut found = Cut::default();
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let window = rest.get(..=max_line).unwrap_or(rest);
        let (length, split) = match memchr::memchr(b'\n', window) {
            Some(newline) => (newline + 1, false),
            None if rest.len() > max_line => match split_at(rest, max_line, seam, last) {
                Some(place) => (place, true),
                None => break,
            },
            None if last => (rest.len(), false),
            None => break,
        };
        if at > 0 && at + length > room {
            break;
        }
        at += length;
        let end = u32::try_from(at).unwrap_or(u32::MAX);
        found.ends.push(end);
        if split {
            found.splits.push(end);
        }
        if at >= room {
            break;
        }
    }
    found
}

/// The place at or before `max_line`, which is less than there is, that tears neither a character nor a match; `None`
/// when more must be known.
fn split_at(rest: &[u8], max_line: usize, seam: Option<&Seam>, last: bool) -> Option<usize> {
    let mut at = max_line;
    if let Some(seam) = seam {
        let newline = memchr::memchr(b'\n', rest);
        let line = rest.get(..newline.unwrap_or(rest.len())).unwrap_or(rest);
        match seam.place(line, max_line, last || newline.is_some()) {
            // Behind a match that is longer than a part may be: it is stored as a few stars.
            Place::At(place) if place > max_line => return Some(place),
            Place::At(place) => at = place,
            Place::Unknown => return None,
        }
    }
    // Where the bytes between two colours are cut, a colour may be cut too.
    let head = rest.get(..at).unwrap_or(rest);
    at = unfinished_escape(head).filter(|escape| *escape > 0 && at - escape <= LONGEST_ESCAPE).unwrap_or(at);
    // Continuation bytes of UTF-8; at most three, else it is no UTF-8 anyway.
    let torn = (0..4)
        .find(|back| at.checked_sub(*back).and_then(|n| rest.get(n)).is_none_or(|byte| byte & 0xc0 != 0x80));
    Some(match torn {
        Some(back) if at > back => at - back,
        _ => at,
    })
}
