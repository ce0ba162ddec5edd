//! Output on its way: what waits, what was lost, and the keeper that carries it.

use super::{About, Effect, Machine, Stage};
use crate::{
    launcher::Report,
    model::{AttemptId, EndReason, Event, Phase, RunId, Timestamp},
    monitor::Lose,
};
use std::collections::BTreeMap;

/// An attempt that is younger than this when the keeper dies may be why.
const YOUNG_MS: u64 = 10_000;

/// So many deaths of the keeper while a run is the youngest, and it is left alone: an accident happens once, and a bystander
/// that starts last each time is unlikely.
const DEATHS: u32 = 3;

/// What people are told of the output that is on its way, and of the keeper.
#[derive(Debug, Default)]
pub(super) struct Carriage {
    /// Attempts whose output goes nowhere: since when, and what it waits for.
    waits: BTreeMap<AttemptId, (Timestamp, String)>,
    /// Since when the keeper does not answer.
    silent_since: Option<Timestamp>,
}

impl Machine {
    /// The Launcher's word about output and the keeper; the rest comes back.
    pub(super) fn carriage(&mut self, report: Report) -> Option<Report> {
        match report {
            Report::OutputLost { attempt, stream, at, length, loss } => {
                self.output_lost(Lose { attempt, stream, at, length, loss });
            }
            Report::OutputWaits { attempt, why } => self.output_waits(attempt, why),
            Report::Unspooled { attempt, bytes } => {
                if let Some(live) =
                    self.runs.live_mut(attempt.run).filter(|l| l.run.attempt == attempt.number)
                {
                    live.unspooled = bytes;
                }
            }
            Report::KeeperSilent { since } => {
                self.carriage.silent_since = Some(since);
                self.ledger.record(self.now, About::default(), Event::KeeperSilent { since });
                self.commit(false);
            }
            Report::KeeperAnswers => self.keeper_answers(),
            other => return Some(other),
        }
        None
    }

    fn keeper_answers(&mut self) {
        if let Some(since) = self.carriage.silent_since.take() {
            let silent_ms = self.now.since(since);
            self.ledger.record(self.now, About::default(), Event::KeeperAnswers { silent_ms });
            self.commit(false);
        }
    }

    fn output_lost(&mut self, lose: Lose) {
        let Lose { attempt, stream, loss, .. } = lose;
        let (lines, bytes) = (loss.lines.max(1), loss.bytes);
        if let Some(run) = self.runs.get_mut(attempt.run) {
            run.counts.gaps += lines;
            if let Some(one) = run.attempts.iter_mut().find(|one| one.number == attempt.number) {
                one.lost += lines;
            }
        }
        self.ledger.save_run(attempt.run);
        self.ledger.save_attempt(attempt);
        self.record_attempt(attempt, Event::OutputLost { stream, lines, bytes });
        self.commit(false);
        self.ledger.emit(Effect::Lose(lose));
    }

    fn output_waits(&mut self, attempt: AttemptId, why: Option<String>) {
        let now = self.now;
        let Some(why) = why else {
            self.carriage.waits.remove(&attempt);
            return;
        };
        match self.carriage.waits.get_mut(&attempt) {
            Some((_, known)) => *known = why,
            None => {
                self.carriage.waits.insert(attempt, (now, why.clone()));
                self.record_attempt(attempt, Event::OutputWaits { why });
                self.commit(false);
            }
        }
    }

    /// Nobody of the attempt's tree is left, and nothing of its output is on its way.
    pub(super) fn carried(&mut self, attempt: AttemptId) {
        self.carriage.waits.remove(&attempt);
    }

    /// The keeper died. Whoever was started last, and not long ago, may be why.
    pub(super) fn keeper_died(&mut self) {
        self.carriage = Carriage::default();
        let now = self.now;
        // Who is quick about it does it before the keeper has said that it was started.
        let with_keeper = |live: &&mut super::Live| matches!(live.stage, Stage::Starting | Stage::Running);
        let running = self.runs.all_live_mut().filter(with_keeper);
        let youngest = running.max_by_key(|live| live.run.current().map(|current| current.started_at));
        let Some(live) = youngest else { return };
        let started = live.run.current().map_or(Timestamp(0), |current| current.started_at);
        if now.since(started) < YOUNG_MS {
            live.run.keeper_deaths += 1;
            let id = live.run.id;
            self.ledger.save_run(id);
        }
    }

    /// Whether the keeper died too often while this run was the youngest: then it is tried no more.
    pub(super) fn ends_keepers(&self, run: RunId) -> Option<(Phase, EndReason, String)> {
        let deaths = self.runs.live(run)?.run.keeper_deaths;
        (deaths >= DEATHS).then(|| {
            let why = format!("the keeper died {deaths} times while it ran, each time soon after its start");
            (Phase::Quarantined, EndReason::KeeperLost, why)
        })
    }

    /// Since when an attempt's output goes nowhere, and what it waits for.
    pub(super) fn waits_for(&self, attempt: AttemptId) -> Option<(Timestamp, String)> {
        self.carriage.waits.get(&attempt).cloned()
    }

    /// How many attempts' output goes nowhere, and what the first of them waits for.
    pub fn output_trouble(&self) -> Option<(usize, &str)> {
        let (_, why) = self.carriage.waits.values().next()?;
        Some((self.carriage.waits.len(), why))
    }

    /// Since when the keeper does not answer.
    pub const fn keeper_silent_since(&self) -> Option<Timestamp> {
        self.carriage.silent_since
    }

    fn record_attempt(&mut self, attempt: AttemptId, event: Event) {
        let program = self.run(attempt.run).map(|run| run.program.clone());
        let about = About { run: Some(attempt.run), program, attempt: Some(attempt.number), scope: None };
        self.ledger.record(self.now, about, event);
    }
}
