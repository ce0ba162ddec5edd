//! The one place that reads a clock.
//!
//! [`now`] is logical time: the wall clock as it stood when the process first asked, plus the monotonic time since.
//! A wall clock that steps while we run therefore moves no deadline. Tokio's clock is the monotonic part, so a test
//! that pauses Tokio's time pauses ours.

use crate::model::{ClockReading, SavedClock, Timestamp};
use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// The anchor that ties the monotonic clock to the calendar.
static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();

/// Logical time now.
#[must_use]
pub fn now() -> Timestamp {
    let instant = Instant::now();
    let (start, wall_ms) = ANCHOR.get_or_init(|| (instant, wall_ms()));
    let since = instant.saturating_duration_since(*start);
    Timestamp(wall_ms.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// Milliseconds since the Unix epoch by the wall clock, which may step.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the room of the clock")]
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// When a file was written last, in logical time. A wall clock that stepped since then moves it.
#[must_use]
pub fn of_last_write(file: &std::fs::Metadata) -> Option<Timestamp> {
    let written = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let age_ms = wall_ms().saturating_sub(u64::try_from(written.as_millis()).ok()?);
    Some(Timestamp(now().0.saturating_sub(age_ms)))
}

/// Logical time and the clocks that outlive us, as they stand now.
#[must_use]
pub fn all() -> SavedClock {
    SavedClock { at: now(), reading: reading() }
}

/// What the clocks that outlive us say now.
#[must_use]
pub fn reading() -> ClockReading {
    static BOOT: OnceLock<u128> = OnceLock::new();
    let boot_id = *BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0)
    });
    ClockReading { wall_ms: wall_ms(), boot_id, boottime_ms: boottime_ms() }
}

/// Milliseconds since boot, time of suspend included.
fn boottime_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours. The call cannot fail on this clock, and 0 would be safe.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000).saturating_add(nanoseconds.unwrap_or(0) / 1_000_000)
}

/// How long from now until `deadline`, zero when it has passed: what an alarm needs.
#[must_use]
pub fn until(deadline: Timestamp) -> std::time::Duration {
    std::time::Duration::from_millis(deadline.since(now()))
}

/// What a piece of work answers, and how long it took.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, std::time::Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Blocks this thread. For a place that blocks anyway and has no event to wait for; none of an actor's.
#[expect(clippy::disallowed_methods, reason = "this is the room of the clock")]
pub(crate) fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_is_known_and_time_since_it_goes_on() {
        let first = reading();
        assert_ne!(first.boot_id, 0);
        assert!(first.boottime_ms > 0 && first.wall_ms > first.boottime_ms);
        let second = reading();
        assert_eq!(second.boot_id, first.boot_id);
        assert!(second.boottime_ms >= first.boottime_ms);
    }
}
