//! How things are said: lines of output, times, lists.

use crate::model::{Params, Reason, is_obeyed, say_duration_ms};

/// The number of characters of an output line in a sentence; a longer line would hide the sentence. The whole line is
/// in the logs.
const LINE_SHOWN: usize = 160;

/// Sub-second digits say nothing in a sentence about seconds.
pub(super) const fn seconds(ms: u64) -> u64 {
    if ms < 1_000 { ms } else { ms / 1_000 * 1_000 }
}

/// A time to come, which is not needed to the millisecond: `12s`, `4m12s`, `2h5m`.
pub(super) fn about(ms: u64) -> String {
    say_duration_ms(if ms < 1_000 { ms } else { ms.saturating_add(500) / 1_000 * 1_000 })
}

/// `1st`, `2nd`, `3rd`, `11th`.
pub(super) fn nth(n: usize) -> String {
    let end = match (n % 10, n % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// A line of output, in quotes: what a terminal would obey is escaped, and a long one is cut.
pub(super) fn quoted(line: &str) -> String {
    format!("\"{}\"", written(line, &['"', '\\']))
}

/// The same for a sentence, without quotes.
pub(super) fn plain(sentence: &str) -> String {
    written(sentence, &[])
}

fn written(text: &str, escaped: &[char]) -> String {
    let mut out = String::new();
    for (at, c) in text.trim_end().chars().enumerate() {
        if at == LINE_SHOWN {
            out.push('…');
            break;
        }
        match c {
            c if escaped.contains(&c) => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c if is_obeyed(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Whether a rule of this name found a line of output; the other rules bring their own sentence.
pub(super) fn reads_output(rule: &str) -> bool {
    rule.starts_with("classify[") || rule.starts_with("builtin:")
}

/// A failure and what showed it: `rate_limited: its output said "HTTP 429"`, `exit_nonzero (exit 1)`.
pub(super) fn failure(reason: &Reason) -> String {
    let by_exit = reason.exit.is_some_and(|exit| exit.to_string() == reason.message);
    if reads_output(&reason.rule) && !by_exit {
        format!("{}: its output said {}", reason.class, quoted(&reason.message))
    } else {
        format!("{} ({})", reason.class, plain(&reason.message))
    }
}

/// ` with qpi=50 host=shop.example`; empty when there are no parameters.
pub(super) fn with(params: &Params) -> String {
    let texts: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if texts.is_empty() { String::new() } else { format!(" with {}", texts.join(" ")) }
}

/// The parameters that differ from the requested ones.
pub(super) fn changed(params: &Params, base: &Params) -> Params {
    let differs = |(name, value): &(&String, _)| base.get(*name) != Some(*value);
    params.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_output_cannot_leave_its_quotes() {
        assert_eq!(quoted("HTTP 429\r\n"), "\"HTTP 429\"");
        assert_eq!(quoted("a \"b\" \\ \u{1b}[31m"), "\"a \\\"b\\\" \\\\ \\u{1b}[31m\"");
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), LINE_SHOWN + 3);
    }

    #[test]
    fn places_in_line_read_as_people_say_them() {
        let said: Vec<_> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(nth).into();
        assert_eq!(said, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
