//! What the state keeps of runs and attempts, and what goes.

use super::{
    Effect, Machine, Runs,
    restore::{attempt_key, run_key},
};
use crate::model::{Attempt, AttemptId, Put, Run, RunId};
use std::collections::{BTreeMap, BTreeSet};

/// Old attempts that one commit removes when a store of an older version is taken over: it stays at some tens of kilobytes.
const RESTS_AT_ONCE: usize = 1_000;

/// The attempt that is one too many in the store once this one is there.
pub(super) fn forget_attempt_before(id: AttemptId) -> Option<Put> {
    let number = id.number.checked_sub(Run::ATTEMPTS_STORED).filter(|number| *number > 0)?;
    Some(gone(AttemptId { run: id.run, number }))
}

fn gone(id: AttemptId) -> Put {
    Put { key: attempt_key(id), value: None }
}

impl Machine {
    /// Forgets the oldest ended runs beyond the limits.
    pub(super) fn prune(&mut self) {
        let oldest_kept = self.now.0.saturating_sub(self.limits.runs_max_age_ms);
        // What an operator stopped is known until somebody starts it.
        let stopped: BTreeSet<_> = self.programs.all_stopped_by_hand().collect();
        let oldest = |runs: &Runs| {
            let run = runs.all_ended().find(|run| !stopped.contains(&run.id))?;
            Some((run.id, run.attempt, run.ended_at))
        };
        while let Some((id, last, ended_at)) = oldest(&self.runs) {
            let old = ended_at.is_some_and(|at| at.0 < oldest_kept);
            if !old && self.runs.ended_count() <= self.limits.runs_max_count {
                break;
            }
            let first = last.saturating_sub(Run::ATTEMPTS_STORED) + 1;
            self.ledger.save([Put { key: run_key(id), value: None }]);
            for number in first..=last {
                self.ledger.save([gone(AttemptId { run: id, number })]);
            }
            self.runs.forget(id);
        }
    }

    /// What versions before this one kept of a run's attempts, oldest first, and this one would not.
    pub(super) fn trim_saved(&mut self, run: &Run, saved: &[Attempt]) {
        let old = |attempt: &&Attempt| attempt.number.saturating_add(Run::ATTEMPTS_STORED) <= run.attempt;
        let old = saved.iter().take_while(old);
        self.rests.extend(old.map(|attempt| gone(AttemptId { run: run.id, number: attempt.number })));
    }

    /// What they left of runs that are forgotten. A run that cannot be read is left as it is.
    pub(super) fn trim_forgotten(
        &mut self,
        state: &BTreeMap<String, Vec<u8>>,
        attempts: BTreeMap<RunId, Vec<Attempt>>,
    ) {
        for (run, saved) in attempts.into_iter().filter(|(run, _)| !state.contains_key(&run_key(*run))) {
            self.rests.extend(saved.iter().map(|attempt| gone(AttemptId { run, number: attempt.number })));
        }
    }

    /// Removes all that.
    pub(super) fn write_trimmed(&mut self) {
        while !self.rests.is_empty() {
            let puts = self.rests.split_off(self.rests.len().saturating_sub(RESTS_AT_ONCE));
            self.ledger.emit(Effect::Commit { records: Vec::new(), puts });
        }
    }
}
