//! A program at a glance: its living runs, the breakers that gate them, its last run, and what to do.

use super::{Explanation, Facts, RunInShort, advice, ahead, next, seconds, state};
use crate::{
    breaker::{BreakerStatus, Gate},
    model::{Phase, Program, Run, RunId, Scope, Timestamp, say_duration_ms},
};
use std::{collections::BTreeMap, sync::Arc};

/// What is known about a program.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The program's definition.
    pub program: Arc<Program>,
    /// Whether the program is no longer configured, and only its living runs are left.
    pub removed: bool,
    /// The program's newest living runs, at most [`Explanation::RUNS_MAX`].
    pub living: Vec<Facts>,
    /// The number of living runs, by phase.
    pub counts: BTreeMap<Phase, usize>,
    /// The newest run that is over; `None` when there is none.
    pub last: Option<Run>,
    /// The scopes that gate the program, as far as its runs have named them.
    pub gates: Vec<Gate>,
}

impl Overview {
    /// The run whose story is told: the newest living one, else the last one; `None` when there is none.
    #[must_use]
    pub fn main_run(&self) -> Option<RunId> {
        self.living.first().map(|facts| facts.run.id).or_else(|| self.last.as_ref().map(|run| run.id))
    }

    /// Explains the program in sentences; `story` is the explanation of [`Self::main_run`].
    #[must_use]
    pub fn explain(
        &self,
        story: Option<Explanation>,
        breakers: &[BreakerStatus],
        now: Timestamp,
    ) -> Explanation {
        let Explanation { chain, holds, next: then, forecast, mut advice, .. } = story.unwrap_or_default();
        let gate = |scope: &Scope| self.gates.iter().find(|gate| gate.scope == *scope);
        advice.extend(advice::about_program(&self.program, &self.living));
        let known = breakers.iter().filter(|status| gate(&status.scope).is_some());
        Explanation {
            summary: self.summary(now),
            runs: self.runs(breakers, now),
            breakers: known.map(|status| ahead::breaker(status, gate(&status.scope), now)).collect(),
            chain,
            holds,
            next: if then.is_empty() { "nothing, until somebody starts it".into() } else { then },
            forecast,
            advice,
        }
    }

    fn summary(&self, now: Timestamp) -> String {
        let name = &self.program.name;
        let kind = if self.program.is_daemon() { "a daemon" } else { "a job" };
        let kind =
            if self.removed { format!("{kind} that is no longer configured") } else { kind.to_owned() };
        let total: usize = self.counts.values().sum();
        if total > 0 {
            let parts: Vec<_> =
                self.counts.iter().map(|(phase, count)| format!("{count} {}", does(*phase))).collect();
            let runs = if total == 1 { "run" } else { "runs" };
            return format!("{name}, {kind}, has {total} living {runs}: {}", parts.join(", "));
        }
        match &self.last {
            None => format!("{name}, {kind}, has never run"),
            Some(run) => {
                let ago = run.ended_at.map_or(0, |at| seconds(now.since(at)));
                let how = run.phase.name();
                format!(
                    "{name}, {kind}, has no living run; its last one ended {} ago ({how})",
                    say_duration_ms(ago)
                )
            }
        }
    }

    fn runs(&self, breakers: &[BreakerStatus], now: Timestamp) -> Vec<RunInShort> {
        let short = |run: &Run, text: String| RunInShort {
            run: run.id,
            text: format!("run {} {text}", run.id.short()),
        };
        let living = self.living.iter().map(|facts| {
            let then = next(facts, breakers, now);
            short(&facts.run, format!("{}; {then}", state(&facts.run)))
        });
        let last = self.last.iter().map(|run| {
            let ago = run.ended_at.map_or(0, |at| seconds(now.since(at)));
            short(run, format!("{}; it ended {} ago", state(run), say_duration_ms(ago)))
        });
        living.chain(last).collect()
    }
}

/// What runs in this phase do, to be put after their number.
const fn does(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "waiting in line",
        Phase::Blocked => "held back",
        Phase::Backoff => "waiting for the next attempt",
        Phase::Starting
        | Phase::Running
        | Phase::Stopping
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Stopped
        | Phase::Quarantined => phase.name(),
    }
}
