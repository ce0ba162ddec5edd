//! What the Manager itself knows about a run that is asked about, taken in one moment.

use crate::{
    breaker::{Gate, longest_quarantine},
    model::{Class, Event, JournalRecord, Phase, ProbeParams, Program, Run, Scope, Timestamp, Wanted},
    retry,
};
use std::sync::Arc;

/// A run and what surrounds it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The run that is explained.
    pub run: Run,
    /// The run's definition, as its next attempt would have it; `None` when the program is no longer configured.
    pub program: Option<Arc<Program>>,
    /// Whether an operator stopped the run and it was not started since, so that `autostart` waits for an operator.
    pub holds_autostart: bool,
    /// The scopes that gate the run's starts, with their rules.
    pub gates: Vec<Gate>,
    /// The parameters that siblings change too: the key that they share, and the name.
    pub shared: Vec<(Scope, String)>,
    /// The run's position among those that wait for the same thing, from 1, and how many these are; `None` when it
    /// waits in no line.
    pub line: Option<(usize, usize)>,
    /// The time since which the run's output cannot be written, and what it waits for; `None` when it is written.
    pub output_waits: Option<(Timestamp, String)>,
    /// The time since which the keeper has not answered; `None` when it answers.
    pub keeper_silent_since: Option<Timestamp>,
    /// The question to Retry what follows if the run fails as it did the last time; `None` when nothing can follow.
    pub forecast: Option<retry::Forecast>,
}

/// The question to Retry about a run that fails as it did the last time; `None` when nothing can follow.
pub(crate) fn forecast(
    run: &Run,
    program: &Arc<Program>,
    gates: &[Gate],
    now: Timestamp,
) -> Option<retry::Forecast> {
    if run.wanted == Wanted::Down {
        return None;
    }
    let lived = |attempt: &crate::model::Attempt| Some(attempt.ended_at?.since(attempt.started_at));
    let uptime_ms = run.attempts.iter().rev().find_map(lived).unwrap_or(0);
    let (attempt, ends_at) = match run.phase {
        Phase::Running | Phase::Starting => {
            let started = run.current().map_or(now, |current| current.started_at);
            (run.attempt, started.plus(uptime_ms).max(now))
        }
        Phase::Queued | Phase::Blocked | Phase::Backoff => {
            (run.attempt + 1, run.next_attempt_at.unwrap_or(now).max(now).plus(uptime_ms))
        }
        Phase::Stopping | Phase::Succeeded | Phase::Failed | Phase::Stopped | Phase::Quarantined => {
            return None;
        }
    };
    // A run that only waits has not failed, and it is not known how it would.
    if run.reason.is_none() && !run.phase.has_process() {
        return None;
    }
    let held = run.held.as_ref().and_then(|held| held.scope.as_ref());
    let gate = gates.iter().find(|gate| Some(&gate.scope) == held).or(gates.first());
    let probe = gate.map_or(ProbeParams::Floor, |gate| gate.policy.half_open.params);
    let class = run.reason.as_ref().map_or(Class::EXIT_NONZERO, |reason| &reason.class).to_owned();
    let (program, base, priority) =
        (retry::judged_by(run, program, &class), run.params.clone(), run.priority);
    let budget = |gate: &Gate| Some((gate.scope.clone(), gate.policy.retry_budget?));
    let budgets = gates.iter().filter_map(budget).collect();
    Some(retry::Forecast {
        run: run.id,
        program,
        base,
        class,
        attempt,
        ends_at,
        uptime_ms,
        probe,
        priority,
        budgets,
        quarantine: longest_quarantine(gates),
    })
}

impl Facts {
    /// The journal record after which the run's story is read, when at most `most` records are looked through and
    /// `newest` is the newest. For a living run the latest records count; for a run that is over, those of the time
    /// when it lived.
    #[must_use]
    pub fn read_after(&self, newest: u64, most: u64) -> u64 {
        let first = self.run.journal_from.saturating_sub(1);
        if self.run.phase.is_ended() { first } else { first.max(newest.saturating_sub(most)) }
    }

    /// Whether a record belongs to the story of this run, which begins when the run was asked for. Its own records
    /// do; so do those about a scope that gates it, or about everything, while it was not over; and those of siblings
    /// that changed what they share with it.
    #[must_use]
    pub fn is_told_by(&self, record: &JournalRecord) -> bool {
        let over = self.run.ended_at.is_some_and(|end| record.at > end);
        match record.run {
            Some(run) if run == self.run.id => true,
            _ if over || record.seq < self.run.journal_from => false,
            Some(_) => match &record.event {
                Event::ParamChanged { name: changed, .. } => self
                    .shared
                    .iter()
                    .any(|(scope, name)| name == changed && record.scope.as_ref() == Some(scope)),
                _ => false,
            },
            None => {
                let gates = |scope: &Scope| self.gates.iter().any(|gate| gate.scope == *scope);
                record.scope.as_ref().is_none_or(gates)
            }
        }
    }
}
