//! Times as people write and read them. Everything is UTC, as the daemon's own times are.

use crate::failure::{Failure, code};
use actix_process::actors::model::parse_duration_ms;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::sync::atomic::{AtomicI64, Ordering};

/// How far the daemon's clock is ahead of ours, in milliseconds, as its latest answer told.
static DAEMON_AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Now, by the daemon's clock, once it has answered; its times are of it.
pub(crate) fn now() -> Timestamp {
    let ours = Timestamp::now();
    let ahead = SignedDuration::from_millis(DAEMON_AHEAD_MS.load(Ordering::Relaxed));
    ours.checked_add(ahead).unwrap_or(ours)
}

/// The daemon says that it is so many milliseconds since the Unix epoch.
pub(crate) fn learn(daemon_ms: i64) {
    DAEMON_AHEAD_MS.store(daemon_ms.saturating_sub(Timestamp::now().as_millisecond()), Ordering::Relaxed);
}

/// `5m` (ago), `10:30` (today), `yesterday`, `today`, `now`, or RFC 3339, as RFC 3339.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<String, Failure> {
    let midnight = |days_ago: i64| {
        let today = now.to_zoned(TimeZone::UTC).date().to_zoned(TimeZone::UTC).ok()?.timestamp();
        today.checked_sub(SignedDuration::from_hours(24 * days_ago)).ok()
    };
    let found = match text.trim() {
        "now" => Some(now),
        "today" => midnight(0),
        "yesterday" => midnight(1),
        text => ago(text, now).or_else(|| clock(text, midnight(0))).or_else(|| text.parse().ok()),
    };
    found.map(|at| format!("{at:.3}")).ok_or_else(|| {
        Failure::new(code::USAGE, format!("`{text}` is no time"))
            .help("write 5m (ago), 10:30 (today, UTC), yesterday, or 2026-11-23T12:00:00Z")
    })
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let ms = parse_duration_ms(text.strip_prefix('-').unwrap_or(text)).ok()?;
    now.checked_sub(SignedDuration::from_millis(i64::try_from(ms).ok()?)).ok()
}

fn clock(text: &str, midnight: Option<Timestamp>) -> Option<Timestamp> {
    let mut parts = text.split(':').map(str::parse::<i64>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let seconds = parts.next().transpose().ok()?.unwrap_or(0);
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    if !fits || parts.next().is_some() {
        return None;
    }
    midnight?.checked_add(SignedDuration::from_secs(hours * 3_600 + minutes * 60 + seconds)).ok()
}

/// A span in its two largest units: `3d 4h`, `4m 12s`, `8s`.
pub(crate) fn span(ms: i64) -> String {
    let total = ms.max(0) / 1_000;
    let (days, hours, minutes, seconds) = (total / 86_400, total / 3_600 % 24, total / 60 % 60, total % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {seconds}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// How long ago a time of the API was, in milliseconds; negative when it is still to come.
pub(crate) fn since(at: &str, now: Timestamp) -> Option<i64> {
    Some(now.as_millisecond() - at.parse::<Timestamp>().ok()?.as_millisecond())
}

/// `in 4m 12s (12:04:12Z)`, or `now`.
pub(crate) fn until(at: &str, now: Timestamp) -> String {
    match since(at, now) {
        Some(past) if past >= 0 => "now".into(),
        Some(past) => format!("in {} ({})", span(999 - past), time_of_day(at)),
        None => at.to_owned(),
    }
}

/// `12:04:12Z` of an RFC 3339 time.
pub(crate) fn time_of_day(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("5m", "2026-11-23T11:55:00.000Z"),
            ("-1h30m", "2026-11-23T10:30:00.000Z"),
            ("10:30", "2026-11-23T10:30:00.000Z"),
            ("10:30:07", "2026-11-23T10:30:07.000Z"),
            ("yesterday", "2026-11-22T00:00:00.000Z"),
            ("today", "2026-11-23T00:00:00.000Z"),
            ("2026-11-23T12:00:07.004+01:00", "2026-11-23T11:00:07.004Z"),
        ] {
            assert_eq!(parse(text, now).unwrap(), at, "{text}");
        }
        for text in ["", "soon", "25:00", "10:75", "5", "1:2:3:4"] {
            assert_eq!(parse(text, now).unwrap_err().code, 2, "{text}");
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (ms, text) in
            [(-5, "0s"), (8_999, "8s"), (252_000, "4m 12s"), (7_260_000, "2h 1m"), (273_600_000, "3d 4h")]
        {
            assert_eq!(span(ms), text);
        }
    }
}
