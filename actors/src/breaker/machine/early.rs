//! What a start reports before its end: that it is ready, or has written something.

use super::{
    circuit::Circuit,
    state::{State, Word},
    terms::Change,
    words,
};
use crate::model::{ProbeSuccess, Timestamp};

/// The weight of a slow start among the starts, in thousandths; a start in time has the same weight in the total.
const SLOW_PERMILLE: u32 = 1_000;

impl Circuit {
    /// A start became ready. Returns whether the change is worth saving. It is no success, which would end a row of
    /// failures: an attempt that crashes a second after it was ready crashes all the same.
    pub(super) fn became_ready(
        &mut self,
        now: Timestamp,
        word: &Word<'_>,
        after_ms: u64,
        out: &mut Vec<Change>,
    ) -> bool {
        let slow = self.policy.slow_ready_ms.filter(|limit_ms| after_ms > *limit_ms);
        if matches!(self.state, State::HalfOpen { .. }) {
            return match slow {
                Some(limit_ms) => self.slow_probe(now, word, &words::slow_probe(after_ms, limit_ms), out),
                None => self.proved_by(ProbeSuccess::Ready, now, word, out),
            };
        }
        if self.policy.slow_ready_ms.is_none() {
            return false;
        }
        self.heard_at = now;
        self.starts.push(now, slow.map_or(0, |_| SLOW_PERMILLE), self.policy.window);
        if slow.is_some()
            && let Some(why) = words::too_slow(&self.policy, self.starts.share())
        {
            self.trip(now, why, out);
        }
        true
    }

    /// This has happened to a probe: it is proved where the rules say so; otherwise nothing follows.
    pub(super) fn proved_by(
        &mut self,
        by: ProbeSuccess,
        now: Timestamp,
        word: &Word<'_>,
        out: &mut Vec<Change>,
    ) -> bool {
        let probes = matches!(self.state, State::HalfOpen { .. }) && self.policy.half_open.success == by;
        probes && self.succeeded(now, word, out)
    }

    /// A probe failed by being slow, whatever its end will be: its outcome is settled.
    fn slow_probe(&mut self, now: Timestamp, word: &Word<'_>, why: &str, out: &mut Vec<Change>) -> bool {
        let enough = self.reopening_permille();
        let State::HalfOpen { leases, failed_permille, .. } = &mut self.state else { return false };
        leases.remove(&word.run);
        *failed_permille = failed_permille.saturating_add(u64::from(SLOW_PERMILLE));
        if *failed_permille >= enough {
            self.open(now, self.level.saturating_add(1), why, out);
        }
        true
    }
}
