//! The one place that reads a clock.
//!
//! [`now`] is logical time: the wall clock as it stood when the process first asked, plus the monotonic time since.
//! A wall clock that steps while we run therefore moves no deadline; [`shown`] says what it reads, for people. Tokio's clock is the monotonic part, so a test
//! that pauses Tokio's time pauses ours.

use crate::model::{ClockReading, SavedClock, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
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

/// From when on, in logical time, the wall clock has been ahead by so much, in milliseconds; oldest first.
static STEPS: RwLock<Vec<(Timestamp, i64)>> = RwLock::new(Vec::new());

/// Whether there is any step: the rule is that there is none.
static STEPPED: AtomicBool = AtomicBool::new(false);

/// A smaller step is nothing that anybody would notice, and the clocks are not read at one instant.
const STEP_MS: u64 = 1_000;

/// Steps that are remembered. One that sets its clock more often than that has no history worth telling.
const STEPS_MAX: usize = 1_000;

/// Looks whether the wall clock was set since the last look, or the machine slept, which logical time does not count: by how
/// much, in milliseconds. To be asked now and then by one who tells it; deadlines do not move.
#[must_use]
pub fn stepped() -> Option<i64> {
    let now = now();
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let ahead = signed(wall_ms()) - signed(now.0);
    let mut steps = STEPS.write().unwrap_or_else(PoisonError::into_inner);
    let by = note_step(&mut steps, now, ahead)?;
    STEPPED.store(true, Ordering::Release);
    Some(by)
}

/// The wall clock is ahead of logical time by so much now: by how much more than before, where somebody would notice.
fn note_step(steps: &mut Vec<(Timestamp, i64)>, now: Timestamp, ahead: i64) -> Option<i64> {
    let before = steps.last().map_or(0, |(_, ahead)| *ahead);
    let by = ahead.saturating_sub(before);
    if by.unsigned_abs() < STEP_MS {
        return None;
    }
    if steps.len() == STEPS_MAX {
        steps.remove(0);
    }
    steps.push((now, ahead));
    Some(by)
}

/// What the wall clock says, or said, at this logical time: for people. A time to come is told by the clock as it stands.
#[must_use]
pub fn shown(at: Timestamp) -> Timestamp {
    if !STEPPED.load(Ordering::Acquire) || at == Timestamp::NEVER {
        return at;
    }
    shown_by(&STEPS.read().unwrap_or_else(PoisonError::into_inner), at)
}

fn shown_by(steps: &[(Timestamp, i64)], at: Timestamp) -> Timestamp {
    let step = steps.iter().rev().find(|(since, _)| *since <= at);
    step.map_or(at, |(_, ahead)| Timestamp(at.0.saturating_add_signed(*ahead)))
}

/// The logical time at which the wall clock said this; of several, the latest.
#[must_use]
pub fn of_shown(wall: Timestamp) -> Timestamp {
    if !STEPPED.load(Ordering::Acquire) {
        return wall;
    }
    of_shown_by(&STEPS.read().unwrap_or_else(PoisonError::into_inner), wall)
}

fn of_shown_by(steps: &[(Timestamp, i64)], wall: Timestamp) -> Timestamp {
    let before = |ahead: i64| Timestamp(wall.0.saturating_add_signed(ahead.saturating_neg()));
    let mut until = Timestamp::NEVER;
    for (since, ahead) in steps.iter().rev() {
        let at = before(*ahead);
        if at >= *since {
            // In a gap that the clock jumped over: the moment at which it did.
            return at.min(until);
        }
        until = *since;
    }
    wall.min(until)
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
    let time = clock_gettime(ClockId::Boottime);
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
    fn times_are_shown_as_the_wall_clock_told_them_and_read_back() {
        const DAY: u64 = 86_400_000;
        let (mut steps, signed) = (Vec::new(), |ms: u64| i64::try_from(ms).unwrap());
        assert_eq!(note_step(&mut steps, Timestamp(5_000), 999), None, "nothing that anybody would notice");
        assert_eq!(note_step(&mut steps, Timestamp(10_000), signed(DAY)), Some(signed(DAY)));
        assert_eq!(note_step(&mut steps, Timestamp(11_000), signed(DAY)), None, "told once");
        let back = signed(DAY) - 7_200_000;
        assert_eq!(note_step(&mut steps, Timestamp(20_000), back), Some(-7_200_000));
        for (at, shown) in [
            (0, 0),
            (9_999, 9_999),
            (10_000, 10_000 + DAY),
            (19_999, 19_999 + DAY),
            (20_000, 20_000 + DAY - 7_200_000),
            (90_000, 90_000 + DAY - 7_200_000),
        ] {
            assert_eq!(shown_by(&steps, Timestamp(at)), Timestamp(shown), "{at}");
            // What the clock said twice is the latest time at which it did.
            let read = of_shown_by(&steps, Timestamp(shown));
            assert_eq!(
                (shown_by(&steps, read), read >= Timestamp(at)),
                (Timestamp(shown), true),
                "{at} read back"
            );
        }
        assert_eq!(
            of_shown_by(&steps[..1], Timestamp(DAY / 2)),
            Timestamp(10_000),
            "a gap is where it is jumped over"
        );
    }

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
