//! Everything that is counted, in one moment: for monitoring.

use super::{ManagerActor, machine::Machine};
use crate::{
    clock,
    figures::{Counters, Figures, ScopeFigures},
    model::{Event, HeldReason, JournalRecord, Phase, Timestamp},
    monitor,
    store::Condition,
};
use actix::{Context, Handler, Message, MessageResult};
use std::collections::BTreeMap;

/// Everything that was counted since the manager started. Looks at every living run, and at no file.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Metrics")]
pub struct GetMetrics;

/// See [`GetMetrics`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Since when this manager runs.
    pub started_at: Timestamp,
    /// Every configured program, also those that never ran.
    pub programs: BTreeMap<String, ProgramMetrics>,
    /// What breakers did, by scope; at most [`Figures::SCOPES_MAX`], and [`Figures::OTHER`] for all beyond.
    pub scopes: BTreeMap<String, ScopeFigures>,
    /// Keepers that died.
    pub keepers_lost: u64,
    /// How the store does.
    pub store: Condition,
}

/// A program in [`Metrics`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProgramMetrics {
    /// What was counted.
    pub figures: Figures,
    /// Its runs that are not over, by phase.
    pub living: BTreeMap<&'static str, u64>,
}

impl Handler<GetMetrics> for ManagerActor {
    type Result = MessageResult<GetMetrics>;

    fn handle(&mut self, _: GetMetrics, _: &mut Context<Self>) -> Self::Result {
        let now = clock::now();
        let figures = |name: String| {
            let figures = self.counters.of_program(&name, self.started_at, now);
            (name, ProgramMetrics { figures, living: BTreeMap::new() })
        };
        let mut programs: BTreeMap<_, _> = self.machine.program_names().into_iter().map(figures).collect();
        for run in self.machine.living() {
            // The runs of a program that was removed go on, and are counted no more.
            if let Some(program) = programs.get_mut(&run.program) {
                *program.living.entry(Phase::name(run.phase)).or_default() += 1;
            }
        }
        MessageResult(Metrics {
            started_at: self.started_at,
            programs,
            scopes: self.counters.of_scopes(),
            keepers_lost: self.counters.keepers_lost(),
            store: self.store.condition(),
        })
    }
}

/// Counts records that are about to be written, some by the class of the latest failure of their run.
pub(super) fn count(counters: &mut Counters, machine: &Machine, records: &[JournalRecord]) {
    for record in records {
        let by_class = matches!(
            record.event,
            Event::RunEnded { .. }
                | Event::RetryScheduled { .. }
                | Event::StartBlocked { reason: HeldReason::Budget, .. }
        );
        let run = record.run.filter(|_| by_class).and_then(|id| machine.run(id));
        let class = run.and_then(|run| run.reason.as_ref()).map(|reason| reason.class.as_str());
        counters.hear(record, class);
    }
}

/// Counts lines of a living attempt in which the Monitor found an error.
pub(super) fn count_lines(
    counters: &mut Counters,
    machine: &Machine,
    report: &monitor::Report,
    now: Timestamp,
) {
    let monitor::Report::ErrorSeen { attempt, evidence, count } = report else { return };
    let run = machine.run(attempt.run).filter(|run| !run.phase.is_ended() && run.attempt == attempt.number);
    // Of an attempt that is over the report comes too late: its run may be another attempt's by now.
    if let Some(run) = run {
        counters.lines(&run.program, &evidence.class, *count, now);
    }
}
