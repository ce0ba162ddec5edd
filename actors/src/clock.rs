//! The one place that reads a clock.
//!
//! [`now`] is logical time: the wall clock as it stood when the process first asked, plus the monotonic time since.
//! A wall clock that steps while we run therefore moves no deadline. Tokio's clock is the monotonic part, so a test
//! that pauses Tokio's time pauses ours.

use crate::model::Timestamp;
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

/// How long from now until `deadline`, zero when it has passed: what an alarm needs.
#[must_use]
pub fn until(deadline: Timestamp) -> std::time::Duration {
    std::time::Duration::from_millis(deadline.since(now()))
}
