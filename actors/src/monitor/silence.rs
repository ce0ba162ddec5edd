//! Looks at unfinished lines that do not grow.

use super::actor::MonitorActor;
use crate::model::{AttemptId, Timestamp};

/// How long an unfinished line must not grow before it is looked at as if it ended there, in milliseconds. A
/// question, a bar, or a server that says where it listens may never end its line, and a write that is torn in two
/// comes within some milliseconds.
/// that says where it listens may never end its line, and a write that is torn in two comes within some milliseconds.
const SILENCE_MS: u64 = 100;

impl MonitorActor {
    /// Plans a look at the attempt's unfinished lines, in case they do not grow.
    pub(super) fn await_silence(&mut self, attempt: AttemptId, now: Timestamp) {
        let Some(watched) = self.watched.get_mut(&attempt) else { return };
        if watched.has_unlooked() && !std::mem::replace(&mut watched.silence_awaited, true) {
            self.silent.push_back((now.plus(SILENCE_MS), attempt));
        }
    }

    /// Looks at unfinished lines that have not grown for a while.
    pub(super) fn look_at_silent(&mut self, now: Timestamp) {
        while let Some((_, attempt)) = self.silent.pop_front_if(|(at, _)| *at <= now) {
            let Some(watched) = self.watched.get_mut(&attempt) else { continue };
            watched.silence_awaited = false;
            for report in watched.look_at_silent(now, SILENCE_MS) {
                self.manager.do_send(report);
            }
            self.await_silence(attempt, now);
        }
    }
}
