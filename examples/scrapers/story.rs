//! What has to be true at the end, counted from the journal and from the shop's own ledger.

use crate::shop::Refusal;
use actix_process::actors::model::{BreakerState, Event, JournalRecord, Phase, RunId, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// What the journal said.
#[derive(Debug, Default)]
pub(crate) struct Story {
    alive: HashSet<RunId>,
    ends: BTreeMap<Phase, usize>,
    attempts: usize,
    /// Values of the shared parameter, as in `20 → 10`.
    lowered: Vec<String>,
    held_back: HashSet<RunId>,
    /// When the breaker first opened, and how many attempts were alive then.
    opened: Option<(Timestamp, usize)>,
    openings: usize,
    probers: Vec<RunId>,
    closed: Option<Timestamp>,
}

impl Story {
    pub(crate) fn hear(&mut self, record: &JournalRecord) {
        match (&record.event, record.run) {
            (Event::AttemptStarted { probe, .. }, Some(run)) => {
                self.attempts += 1;
                self.alive.insert(run);
                if *probe {
                    self.probers.push(run);
                }
            }
            (Event::AttemptEnded { .. }, Some(run)) => {
                self.alive.remove(&run);
            }
            (Event::ParamChanged { from, to, .. }, _) => self.lowered.push(format!("{from} → {to}")),
            (Event::StartBlocked { .. }, Some(run)) => {
                self.held_back.insert(run);
            }
            (Event::BreakerChanged { to, .. }, _) if *to == BreakerState::Open => {
                self.openings += 1;
                self.opened.get_or_insert((record.at, self.alive.len()));
            }
            (Event::BreakerChanged { to, .. }, _) if *to == BreakerState::Closed => {
                self.closed = Some(record.at)
            }
            (Event::RunEnded { phase, .. }, _) => *self.ends.entry(*phase).or_default() += 1,
            _ => {}
        }
    }

    /// Runs that are over.
    pub(crate) fn ended(&self) -> usize {
        self.ends.values().sum()
    }

    /// The run that probed first.
    pub(crate) fn prober(&self) -> Option<RunId> {
        self.probers.first().copied()
    }

    /// Prints the figures; whether all that was promised was kept.
    pub(crate) fn sum_up(&self, refusals: &[Refusal], pages: u32) -> bool {
        let (opened, alive) = self.opened.unwrap_or((Timestamp::NEVER, 0));
        let of = |status: u16| refusals.iter().filter(|refusal| refusal.status == status).count();
        // What came in the same millisecond counts as after.
        let after = refusals.iter().filter(|refusal| refusal.at >= opened).count();
        let allowed = alive + self.probers.len();
        let succeeded = self.ends.get(&Phase::Succeeded).copied().unwrap_or_default();
        println!("\nthe shop: {pages} pages, {} times 429, {} times 503", of(429), of(503));
        println!(
            "the runs: {} in {} attempts; {} were held back",
            self.ended(),
            self.attempts,
            self.held_back.len()
        );
        println!(
            "after the breaker opened the shop refused {after}; alive then {alive}, probes {}",
            self.probers.len()
        );
        let lowered = self.lowered.join(", ");
        let verdicts = [
            (format!("qpi was halved once for all: {lowered}"), self.lowered.len() == 1),
            ("the breaker opened once".to_owned(), self.openings == 1),
            (
                "one probe, and the breaker closed".to_owned(),
                self.probers.len() == 1 && self.closed.is_some(),
            ),
            (
                format!("refused after it opened: {after} ≤ {alive} alive + {} probes", self.probers.len()),
                self.opened.is_some() && after <= allowed,
            ),
            (
                format!("{succeeded} of {} runs succeeded", self.ended()),
                self.ended() > 0 && succeeded == self.ended(),
            ),
        ];
        println!();
        for (what, kept) in &verdicts {
            println!("{}  {what}", if *kept { "PASS" } else { "FAIL" });
        }
        verdicts.iter().all(|(_, kept)| *kept)
    }
}
