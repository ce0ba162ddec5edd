//! Lines that are too old leave memory and spool, as they leave the store. Without this, a quiet program that lives
//! for weeks would keep them there.

use super::actor::MonitorActor;
use crate::{clock, model::Timestamp};

impl MonitorActor {
    /// A chunk was stored: from now on it ages.
    pub(super) fn will_expire(&mut self) {
        if self.expires_at.is_none() {
            let age = self.output.retention().max_age_ms;
            self.expires_at = Some(clock::now().plus(age));
        }
    }

    /// Drops what is too old, if it is time to, and sets when to look again.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.expires_at.is_none_or(|at| at > now) {
            return;
        }
        let retention = self.output.retention();
        let before = Timestamp(now.0.saturating_sub(retention.max_age_ms));
        let mut oldest = None;
        for watched in self.watched.values_mut() {
            let (gone, left) = watched.expire(before, &self.output);
            self.floor = self.floor.max(gone);
            oldest = oldest.into_iter().chain(left).min();
        }
        // All that becomes due within a slice goes together, as in the store.
        let soonest = now.plus(retention.slice_ms());
        self.expires_at = oldest.map(|at: Timestamp| at.plus(retention.max_age_ms).max(soonest));
    }
}
