//! Unfinished lines that are looked at, because nothing comes.

use super::actor::MonitorActor;
use crate::model::{AttemptId, Timestamp};

/// An unfinished line of which nothing came for so long is looked at as if it ended there: a question, a bar, or a server
/// that says where it listens may never end its line, and a write that is torn in two comes within some milliseconds.
const SILENCE_MS: u64 = 100;

impl MonitorActor {
    /// Its unfinished lines are to be looked at should nothing come.
    pub(super) fn await_silence(&mut self, attempt: AttemptId, now: Timestamp) {
        let Some(watched) = self.watched.get_mut(&attempt) else { return };
        if watched.has_unlooked() && !std::mem::replace(&mut watched.silence_awaited, true) {
            self.silent.push_back((now.plus(SILENCE_MS), attempt));
        }
    }

    /// Looks at unfinished lines of which nothing came for a while.
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
