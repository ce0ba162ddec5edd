//! Where lines end.

/// Lines found at the beginning of some bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Where each line ends, its newline included.
    pub ends: Vec<u32>,
    /// The ends among them where an overlong line goes on.
    pub splits: Vec<u32>,
}

impl Cut {
    /// Bytes in whole lines.
    #[must_use]
    pub fn length(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }
}

/// Cuts `bytes`, which begin where a line or a part of one begins, until `room` bytes are used or no whole line is left.
///
/// A line longer than `max_line` is split there, or a little before where a character or a secret would be torn. The
/// result depends on the bytes alone, not on how many of them were there at once: a split is decided only when
/// enough bytes behind it are known. With `last`, what is left at the end is a line too.
#[must_use]
pub fn cut(bytes: &[u8], max_line: usize, secrets: &[Vec<u8>], room: usize, last: bool) -> Cut {
    let max_line = max_line.max(64);
    let look_ahead = secrets.iter().map(Vec::len).max().unwrap_or(0).max(4);
    let mut found = Cut::default();
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let window = rest.get(..=max_line).unwrap_or(rest);
        let (length, split) = match memchr::memchr(b'\n', window) {
            Some(newline) => (newline + 1, false),
            None if rest.len() > max_line && (rest.len() >= max_line + look_ahead || last) => {
                (split_at(rest, max_line, secrets), true)
            }
            None if last && rest.len() <= max_line => (rest.len(), false),
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

/// The place at or before `max_line` that tears neither a character nor a secret.
fn split_at(rest: &[u8], max_line: usize, secrets: &[Vec<u8>]) -> usize {
    let mut at = max_line;
    for secret in secrets.iter().filter(|secret| secret.len() > 1) {
        let from = at.saturating_sub(secret.len() - 1);
        let to = (at + secret.len() - 1).min(rest.len());
        let window = rest.get(from..to).unwrap_or_default();
        if let Some(found) = memchr::memmem::find(window, secret) {
            at = if from + found > 0 { from + found } else { secret.len() };
        }
    }
    // Continuation bytes of UTF-8; at most three, else it is no UTF-8 anyway.
    let torn = (0..4)
        .find(|back| at.checked_sub(*back).and_then(|n| rest.get(n)).is_none_or(|byte| byte & 0xc0 != 0x80));
    match torn {
        Some(back) if at > back => at - back,
        _ => at,
    }
}
