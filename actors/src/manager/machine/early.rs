//! What an attempt says before its end, beside errors: that it is ready, that it writes. Only breakers go by it.

use super::{Live, Machine, Stage};
use crate::{
    breaker::{self, Outcome, Settle},
    model::{AttemptId, Event, ProbeSuccess, RunId, Timestamp},
    monitor,
};

impl Live {
    /// Whether the first output of the present attempt proves a scope that it probes.
    pub(super) fn wants_first_output(&self) -> bool {
        self.permits.iter().any(|permit| permit.is_proved_by(ProbeSuccess::FirstOutput))
    }
}

impl Machine {
    pub(super) fn monitor(&mut self, report: monitor::Report) {
        match report {
            monitor::Report::ErrorSeen { attempt, evidence, count } => {
                self.error_seen(attempt, &evidence, count);
            }
            monitor::Report::Ready { attempt, at } => self.became_ready(attempt, at),
            monitor::Report::FirstOutput { attempt } => {
                if self.is_heard(attempt) {
                    self.tell_early(attempt.run, Outcome::FirstOutput, ProbeSuccess::FirstOutput);
                }
            }
        }
    }

    /// Whether the attempt is the present one and its end is not judged yet: what it wrote until then is told before its
    /// end is.
    fn is_heard(&self, attempt: AttemptId) -> bool {
        let live = self.runs.attempt(attempt);
        live.is_some_and(|live| matches!(live.stage, Stage::Running | Stage::Draining))
    }

    fn became_ready(&mut self, attempt: AttemptId, at: Timestamp) {
        let heard = self.is_heard(attempt);
        let Some(live) = self.runs.live_mut(attempt.run).filter(|_| heard) else { return };
        let limits = live.permits.iter().filter_map(|permit| permit.slow_ready_ms);
        let limits: Vec<_> = limits.collect();
        let Some(current) = live.attempt().filter(|current| current.ready_at.is_none()) else { return };
        let at = at.max(current.started_at);
        current.ready_at = Some(at);
        let after_ms = at.since(current.started_at);
        let slow_ready_ms = limits.into_iter().filter(|limit_ms| after_ms > *limit_ms).min();
        self.ledger.save_attempt(attempt);
        self.record_run(attempt.run, true, None, Event::AttemptReady { after_ms, slow_ready_ms });
        self.tell_early(attempt.run, Outcome::Ready { after_ms }, ProbeSuccess::Ready);
        self.commit(false);
    }

    /// Tells the breakers that asked for it; the end of the attempt is told by itself.
    fn tell_early(&mut self, run: RunId, outcome: Outcome, proof: ProbeSuccess) {
        let Some(live) = self.runs.live_mut(run) else { return };
        let mut outcomes = Vec::new();
        for permit in &mut live.permits {
            let timed = proof == ProbeSuccess::Ready && permit.slow_ready_ms.is_some();
            if !timed && !permit.is_proved_by(proof) {
                continue;
            }
            outcomes.push((permit.clone(), outcome));
            if permit.is_proved_by(proof) {
                permit.success = ProbeSuccess::Auto; // It was said: from now on its life counts as any other's.
            }
        }
        if !outcomes.is_empty() {
            let settle = Settle { run, class: None, outcomes, keep: true };
            self.ask_breaker(breaker::Ask::Settle(settle));
        }
    }
}
