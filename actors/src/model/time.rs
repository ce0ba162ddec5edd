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

/// What the clocks that outlive a process read at one instant. It tells the next process how long no supervisor
/// watched.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClockReading {
    /// Milliseconds since the Unix epoch by the wall clock, which may step.
    pub wall_ms: u64,
    /// The boot of the machine; 0 when it cannot be told, and then it equals no other.
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

/// What logical time and the other clocks read at one instant. Saved, so that the next process can tell how its own
/// logical time relates to the times that were saved in this one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedClock {
    /// The logical time.
    pub at: Timestamp,
    /// The other clocks.
    pub reading: ClockReading,
}

/// By how much the times that an earlier process saved must be moved so that as much time lies between them and now as
/// really passed. Logical time begins with each process at the wall clock, which may have been set meanwhile.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClockShift {
    ms: i64,
    same_boot: bool,
}

impl ClockShift {
    /// The smallest step that counts, in milliseconds: two looks at four clocks are some milliseconds apart, and a
    /// step that matters is longer.
    const NOISE_MS: u64 = 10;

    /// The shift for times saved under `saved` in a process whose clocks read `now`.
    #[must_use]
    pub fn between(saved: &SavedClock, now: &SavedClock) -> Self {
        let elapsed_ms = now.reading.since(&saved.reading);
        let expected = saved.at.plus(elapsed_ms);
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let ms = signed(now.at.since(expected)) - signed(expected.since(now.at));
        let same_boot = now.reading.boot_id != 0 && now.reading.boot_id == saved.reading.boot_id;
        Self { ms: if ms.unsigned_abs() <= Self::NOISE_MS { 0 } else { ms }, same_boot }
    }

    /// Whether nothing has to be moved.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.ms == 0
    }

    /// The same time by the present clock. [`Timestamp::NEVER`] stays as it is, and a time that would lie before 0
    /// becomes 0.
    #[must_use]
    pub const fn apply(&self, at: Timestamp) -> Timestamp {
        if at.0 == Timestamp::NEVER.0 { at } else { Timestamp(at.0.saturating_add_signed(self.ms)) }
    }

    /// The same for the beginning of something that ended with the boot, if there was another one: how long it lived
    /// can be told by the wall clock alone then, and the end that is supposed for it is now.
    #[must_use]
    pub const fn apply_within_boot(&self, at: Timestamp) -> Timestamp {
        if self.same_boot { self.apply(at) } else { at }
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

/// The duration for a sentence, without digits that are of no use. Below ten seconds it shows milliseconds, below an
/// hour seconds.
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
    fn saved_times_keep_their_distance_over_any_step_of_the_wall_clock() {
        const HOUR: i64 = 3_600_000;
        let saved_at = Timestamp(1_800_000_000_000);
        let reading = ClockReading { wall_ms: saved_at.0, boot_id: 7, boottime_ms: 50_000 };
        let saved = SavedClock { at: saved_at, reading };
        // Down for a minute; the clock was set by so much; the boot is the same; what has elapsed of a wait.
        for (step, boot_id, elapsed) in [
            (0, 7, 60_000),
            (5, 7, 60_000),
            (HOUR, 7, 60_000),
            (-HOUR, 7, 60_000),
            (0, 8, 60_000),
            (HOUR, 8, 3_660_000),
            (-HOUR, 8, 0),
        ] {
            let wall_ms = reading.wall_ms.saturating_add(60_000).saturating_add_signed(step);
            let boottime_ms = if boot_id == 7 { 110_000 } else { 9_000 };
            let now = SavedClock {
                at: Timestamp(wall_ms),
                reading: ClockReading { wall_ms, boot_id, boottime_ms },
            };
            let shift = ClockShift::between(&saved, &now);
            let due = shift.apply(saved_at.plus(7_200_000));
            let left = 7_200_000 - elapsed;
            assert!(
                due.since(now.at).abs_diff(left) <= ClockShift::NOISE_MS,
                "step {step}, boot {boot_id}: {due}"
            );
            assert_eq!(shift.apply(Timestamp::NEVER), Timestamp::NEVER);
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
