//! The times of a supervisor's life: what saved times are moved by, and when the clocks were saved.

use super::restore::{CLOCK_KEY, encode};
use crate::model::{ClockShift, Put, SavedClock, Timestamp};

/// How long the clocks stay as they were saved, in milliseconds. They say how logical time lies to the others, which changes
/// with each process and each suspension of the host; a second of the latter delays a start by so much.
const CLOCK_EVERY_MS: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Times {
    /// What saved times are moved by, until that is written.
    shift: ClockShift,
    /// What the clocks said at the beginning.
    began: SavedClock,
    /// When they were saved last.
    saved_at: Timestamp,
}

impl Times {
    /// Begins at this clock; `saved` is the one that the saved times go by. What they are moved by.
    pub(super) fn begin(&mut self, saved: Option<&SavedClock>, now: &SavedClock) -> ClockShift {
        self.shift = saved.map(|saved| ClockShift::between(saved, now)).unwrap_or_default();
        self.began = *now;
        self.shift
    }

    /// What saved times are moved by.
    pub(super) const fn shift(&self) -> ClockShift {
        self.shift
    }

    /// Whether times were moved and are not written yet. Asked once.
    pub(super) fn take_moved(&mut self) -> bool {
        !std::mem::take(&mut self.shift).is_none()
    }

    /// Whether the clocks are to be saved with the commit that is going out. Not while saved times wait to be moved: they
    /// and the clocks that they go by are written together.
    pub(super) fn is_clock_due(&self, now: Timestamp) -> bool {
        self.shift.is_none() && now.since(self.saved_at) >= CLOCK_EVERY_MS
    }

    /// The clocks, to be saved.
    pub(super) fn save(&mut self, now: &SavedClock) -> Put {
        self.saved_at = now.at;
        Put { key: CLOCK_KEY.to_owned(), value: Some(encode(now)) }
    }

    /// The clocks of the beginning, to be saved.
    pub(super) fn save_beginning(&mut self) -> Put {
        let began = self.began;
        self.save(&began)
    }
}
