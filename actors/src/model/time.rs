//! Times and durations as whole milliseconds.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A point in time: milliseconds since the Unix epoch on the process's logical clock (see [`clock`](crate::clock)).
///
/// Saved and shown everywhere, which an `Instant` cannot be. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Later than every real time: "never".
    pub const NEVER: Self = Self(u64::MAX);

    /// This time plus `ms` milliseconds.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time, 0 when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What the clocks that outlive a process say at one instant. It tells the next process how long nobody watched.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClockReading {
    /// Milliseconds since the Unix epoch by the wall clock, which may step.
    pub wall_ms: u64,
    /// Which boot of the machine this is; 0 when it cannot be told, and then it is the same as no other.
    pub boot_id: u128,
    /// Milliseconds since that boot, time of suspend included; no step of the wall clock moves it.
    pub boottime_ms: u64,
}

impl ClockReading {
    /// Milliseconds from `earlier` to this reading: by the time since boot where the boot is the same, else by the wall
    /// clock. 0 when time seems to have run backwards.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> u64 {
        if self.boot_id != 0 && self.boot_id == earlier.boot_id {
            self.boottime_ms.saturating_sub(earlier.boottime_ms)
        } else {
            self.wall_ms.saturating_sub(earlier.wall_ms)
        }
    }

    /// The reading so many milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self {
            wall_ms: self.wall_ms.saturating_add(ms),
            boottime_ms: self.boottime_ms.saturating_add(ms),
            ..self
        }
    }
}

/// Units that a duration may use, largest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses `"500ms"`, `"1m30s"`: one or more whole numbers, each with a unit of `ms s m h d`.
///
/// # Errors
/// A sentence that says what is wrong: no unit, an unknown unit, a fraction, or a value over `u64` milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a duration is empty; write for example \"5s\"".into());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(format!(
                "`{text}` is not a duration; write whole numbers with units, as in \"1m30s\""
            ));
        }
        if unit.is_empty() {
            return Err(if tail.starts_with('.') {
                format!("`{text}` has a fraction; write \"500ms\" instead of \"0.5s\"")
            } else {
                format!("`{text}` needs a unit; write \"{number}s\" (seconds) or \"{number}ms\"")
            });
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is not a unit of time; use ms, s, m, h or d"));
        };
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*scale))
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(|| format!("`{text}` is too long a time"))?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration as [`parse_duration_ms`] reads it: `1m30s`, `250ms`, `0s`.
#[must_use]
pub fn format_duration_ms(ms: u64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    let mut rest = ms;
    let mut out = String::new();
    for (unit, scale) in UNITS {
        if rest >= scale {
            out.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    out
}

/// The same for a sentence: measured times without the digits that nobody reads. Milliseconds are told below ten
/// seconds, seconds below an hour.
#[must_use]
pub fn say_duration_ms(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const HOUR: u64 = 3_600 * SECOND;
    let told = match ms {
        0..10_000 => ms,
        10_000..HOUR => ms / SECOND * SECOND,
        _ => ms / (60 * SECOND) * (60 * SECOND),
    };
    format_duration_ms(told)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_tells_no_more_digits_than_people_read() {
        for (ms, told) in [
            (0, "0s"),
            (365, "365ms"),
            (9_999, "9s999ms"),
            (60_688, "1m"),
            (75_001, "1m15s"),
            (3_661_500, "1h1m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(say_duration_ms(ms), told);
        }
    }

    #[test]
    fn durations_read_back_as_written() {
        for (text, ms) in
            [("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("14d", 1_209_600_000), ("0s", 0)]
        {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
            assert_eq!(format_duration_ms(ms), text);
        }
    }

    #[test]
    fn a_duration_without_a_unit_says_what_to_write() {
        assert!(parse_duration_ms("5").unwrap_err().contains("\"5s\""));
        assert!(parse_duration_ms("0.5s").unwrap_err().contains("500ms"));
        assert!(parse_duration_ms("5 parsecs").is_err());
        assert!(parse_duration_ms("99999999999999999999d").is_err());
        assert!(parse_duration_ms("").is_err());
    }
}
