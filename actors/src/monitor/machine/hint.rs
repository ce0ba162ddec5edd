//! How long the other side asks to wait: what stands behind `Retry-After`, in the forms in which it is written.
//!
//! A text that is not understood is no hint. Half of a number, or of a range, would be a hint that the other side
//! never gave: too early gets a scraper banned, and half an hour too late is noticed by its owner.

use crate::model::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;

/// The forms of a date that RFC 9110 knows, the preferred one first, and two that occur although it does not know
/// them.
const DATES: [&str; 5] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S UTC",
    "%a, %d %b %Y %H:%M:%S %z",
];

/// RFC 3339, also with a blank in the middle. Without an offset the time is not known.
const INSTANTS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"];

/// Words that may stand behind a number of seconds without being its unit.
const NO_UNITS: [&str; 13] =
    ["at", "because", "before", "by", "for", "from", "in", "on", "please", "via", "when", "while", "with"];

/// What this text asks for, in milliseconds; `now` is the wall clock's time when it was seen. `None` when the text is
/// not understood as a whole, and for a time that has passed.
///
/// Understood are seconds (`7`, `2.5`, `2,5`), numbers with a unit (`1500ms`, `30s`, `5 minutes`, `1h30m`, `1 hour
/// and 5 minutes`), the dates of RFC 9110 and those of RFC 3339. Fractions are rounded up. A value that is too large
/// to be counted becomes the largest number.
#[must_use]
pub fn wait_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || "\"'`([{\\".contains(c));
    // Python writes bytes as `b'9'`.
    let text = text.strip_prefix("b'").or_else(|| text.strip_prefix("b\"")).unwrap_or(text);
    match date_ms(text) {
        Some(at) => at.checked_sub(now.0).filter(|wait| *wait > 0),
        None => span_ms(text),
    }
}

/// Milliseconds since the epoch, rounded up.
fn date_ms(text: &str) -> Option<u64> {
    let zulu;
    // An offset is all that the parser knows.
    let text = match text.find(['Z', 'z']).filter(|at| (19..=29).contains(at)) {
        Some(at) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            zulu = format!("{}+00:00{}", text.get(..at)?, text.get(at + 1..)?);
            zulu.as_str()
        }
        _ => text,
    };
    let parsed = |form: &str| {
        let (found, length) = BrokenDownTime::parse_prefix(form, text).ok()?;
        if !ends(text.get(length..)?) {
            return None;
        }
        let at = match found.to_timestamp() {
            Ok(at) => at,
            // Those without an offset are in GMT.
            Err(_) => found.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
        };
        u64::try_from(u128::try_from(at.as_nanosecond()).ok()?.div_ceil(1_000_000)).ok()
    };
    let forms: &[&str] = if text.starts_with(|c: char| c.is_ascii_digit()) { &INSTANTS } else { &DATES };
    forms.iter().find_map(|form| parsed(form))
}

/// Seconds, or numbers with units, the larger before the smaller.
fn span_ms(text: &str) -> Option<u64> {
    let (first, mut rest) = Amount::read(text)?;
    let Some(mut unit) = first.unit_ms else {
        return stands_alone(rest).then(|| first.ms(1_000));
    };
    let mut sum = first.ms(unit);
    loop {
        let (joined, next) = continuation(rest);
        match Amount::read(next).map(|(more, behind)| (more, more.unit_ms, behind)) {
            Some((more, Some(smaller), behind)) if smaller < unit => {
                sum = sum.saturating_add(more.ms(smaller));
                (unit, rest) = (smaller, behind);
            }
            // `5s, 3 retries` says 5 s and goes on; what `5s 30` says is not known.
            Some(_) if !joined.contains(',') => return None,
            Some(_) | None => break,
        }
    }
    ends(rest).then_some(sum)
}

/// A number and its unit.
#[derive(Clone, Copy)]
struct Amount<'a> {
    whole: &'a str,
    fraction: &'a str,
    unit_ms: Option<u64>,
}

impl<'a> Amount<'a> {
    /// `None` where there is no amount, or one that may have two meanings.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (whole, rest) = digits(text);
        if whole.is_empty() {
            return None;
        }
        let fraction = rest.strip_prefix(['.', ',']).map(digits).filter(|(digits, _)| !digits.is_empty());
        let (fraction, behind) = fraction.unwrap_or(("", rest));
        // `1,500`: a thousand and a half, or one and a half?
        if rest.starts_with(',') && fraction.len() == 3 && whole != "0" {
            return None;
        }
        let word = behind.trim_start_matches([' ', '\t']);
        let letters = word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len());
        let (name, after) = word.split_at(letters);
        let unit_ms = unit_ms(name);
        let rest = if unit_ms.is_some() { after } else { behind };
        Some((Self { whole, fraction, unit_ms }, rest))
    }

    /// The amount in milliseconds, rounded up.
    fn ms(&self, unit_ms: u64) -> u64 {
        let unit = u128::from(unit_ms);
        let whole = self.whole.parse().unwrap_or(u128::MAX).saturating_mul(unit);
        // Digits farther behind the point than this are less than any millisecond; they count as one unless all are
        // zero.
        let (counted, tiny) = self.fraction.split_at(self.fraction.len().min(18));
        let scale = 10_u128.pow(u32::try_from(counted.len()).unwrap_or(18));
        let part = counted.parse::<u128>().unwrap_or(0) * unit + u128::from(tiny.contains(|c| c != '0'));
        u64::try_from(whole.saturating_add(part.div_ceil(scale))).unwrap_or(u64::MAX)
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_ms(name: &str) -> Option<u64> {
    // `5M` and `5S` are no spans that are used.
    match name {
        "ms" => return Some(1),
        "s" => return Some(1_000),
        "m" => return Some(60_000),
        "h" => return Some(3_600_000),
        _ => {}
    }
    match name.to_ascii_lowercase().as_str() {
        "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => Some(1),
        "sec" | "secs" | "second" | "seconds" => Some(1_000),
        "min" | "mins" | "minute" | "minutes" => Some(60_000),
        "hr" | "hrs" | "hour" | "hours" => Some(3_600_000),
        _ => None,
    }
}

/// What joins two numbers with units, and what stands behind it.
fn continuation(text: &str) -> (&str, &str) {
    let mut next = text.trim_start_matches([' ', '\t', ',']);
    if let Some(rest) = next.strip_prefix("and ") {
        next = rest.trim_start();
    }
    (text.get(..text.len() - next.len()).unwrap_or_default(), next)
}

/// Whether a number or a date ends here: the text ends, or a blank, a quote or punctuation follows that could not go
/// on in a number, a range or a fraction.
fn ends(rest: &str) -> bool {
    let mut next = rest.chars();
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
    match next.next() {
        None => true,
        Some('.' | ':' | ',') => !goes_on(next.next().filter(|c| !c.is_alphabetic())),
        Some(c) => c.is_whitespace() || "\"'`)]}>;|!?\\…".contains(c),
    }
}

/// Whether a number without a unit is one of seconds: what follows must not be a unit that we do not know, or the
/// rest of a range.
fn stands_alone(rest: &str) -> bool {
    if !ends(rest) {
        return false;
    }
    let next = rest.trim_start();
    if next.len() == rest.len() {
        return true;
    }
    let Some(first) = next.chars().next() else { return true };
    if first.is_ascii_digit() {
        return false;
    }
    if first.is_alphabetic() {
        let end = next.find(|c: char| !c.is_alphabetic()).unwrap_or(next.len());
        let (word, behind) = next.split_at(end);
        // `url=`, `path:`, `request_id=`: the next field.
        let field = behind.starts_with(['=', ':', '_', '/']);
        return field || NO_UNITS.iter().any(|known| known.eq_ignore_ascii_case(word));
    }
    // `30 - 60`, `30 / 60`
    !next
        .trim_start_matches(['-', '–', '/', '~', ' ', '.', '%', '*'])
        .starts_with(|c: char| c.is_ascii_digit())
        && !next.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T16:20:16Z
    const NOW: Timestamp = Timestamp(1_795_882_816_000);

    const READ: &[(&str, Option<u64>)] = &[
        // The table of the trial.
        ("3", Some(3_000)),
        ("6.0, \"x\": 1}", Some(6_000)),
        ("'9'}", Some(9_000)),
        ("8", Some(8_000)),
        ("2026-11-28T16:21:46Z", Some(90_000)),
        ("1500ms", Some(1_500)),
        ("5m", Some(300_000)),
        ("5 minutes", Some(300_000)),
        ("2 minutes", Some(120_000)),
        ("2.5", Some(2_500)),
        ("2,5", Some(2_500)),
        ("Sat, 28 Nov 2026 16:21:46 GMT", Some(90_000)),
        // Seconds.
        ("0", Some(0)),
        ("7.", Some(7_000)),
        ("30)", Some(30_000)),
        ("[b'30'], b'Server': [b'x']}", Some(30_000)),
        ("8,\"code\":4", Some(8_000)),
        ("8, code 4", Some(8_000)),
        ("30 url=https://a.example/", Some(30_000)),
        ("30 for https://a.example/", Some(30_000)),
        ("30 (attempt 2)", Some(30_000)),
        ("30: slow down", Some(30_000)),
        ("\\\"30\\\"", Some(30_000)),
        ("0,250", Some(250)),
        ("0.0001", Some(1)),
        ("1.00000000000000000000000001", Some(1_001)),
        // Units.
        ("30s", Some(30_000)),
        ("30 sec", Some(30_000)),
        ("1.5h", Some(5_400_000)),
        ("1h30m", Some(5_400_000)),
        ("1m 30.5s", Some(90_500)),
        ("1 hour and 5 minutes", Some(3_900_000)),
        ("1 minute, 30 seconds", Some(90_000)),
        ("2 Minutes or more", Some(120_000)),
        ("5s, 3 retries left", Some(5_000)),
        ("0.5 ms", Some(1)),
        // Other dates.
        ("Saturday, 28-Nov-26 16:21:46 GMT", Some(90_000)),
        ("Sat Nov 28 16:21:46 2026", Some(90_000)),
        ("Sat, 28 Nov 2026 17:21:46 +0100", Some(90_000)),
        ("sat, 28 nov 2026 16:21:46 GMT\"", Some(90_000)),
        ("2026-11-28T16:21:46.0001Z", Some(90_001)),
        ("2026-11-28 17:21:46+01:00", Some(90_000)),
        ("2026-11-28T17:21:46+0100, then again", Some(90_000)),
        // Passed.
        ("Sat, 28 Nov 2026 16:20:16 GMT", None),
        ("2020-01-01T00:00:00Z", None),
        // Absurd, which `retry_after_max` bounds.
        ("999999999999", Some(999_999_999_999_000)),
        ("99999999999999999999999999999999999999999999999 h", Some(u64::MAX)),
        ("2999-01-01T00:00:00Z", Some(30_676_261_184_000)),
    ];

    const LEFT_ALONE: &[&str] = &[
        "2026-11-28T16:21:46",
        "2026-11-28",
        "28 Nov 2026 16:21:46 GMT",
        "Mon, 28 Nov 2026 16:21:46 GMT",
        "Sat, 28 Nov 2026 16:21:46 PST",
        "Sat, 28 Nov 2026",
        "1,500",
        "5 fortnights",
        "3 attempts",
        "5 to 10 seconds",
        "5-10",
        "5 - 10 s",
        "5 / 10",
        "16:21",
        "30%",
        "30 %",
        "1e3",
        "0x10",
        "5M",
        "5 m/s",
        "1.2.3",
        "1_000",
        "5s 30",
        "30s 5m",
        "30 60",
        "-5",
        "PT30S",
        "soon",
        "",
    ];

    #[test]
    fn a_hint_is_read_right_or_left_alone() {
        for (text, wait) in READ {
            assert_eq!(wait_ms(text, NOW), *wait, "{text:?}");
        }
        for text in LEFT_ALONE {
            assert_eq!(wait_ms(text, NOW), None, "{text:?}");
        }
    }
}
