//! How much of what: starts, ends and errors of each program, in total and of late.
//!
//! A fold over what the Manager writes down: each figure is a sum of journal records, so that it can be checked against
//! them, and lines come from the Monitor's reports. The Manager's actor keeps the counters: its machine decides, and a
//! figure that decides nothing is no part of a decision, nor of deciding it again.
//!
//! Figures begin at 0 with each manager. They are not stored: a count that goes on over restarts would cost a write
//! with every line that a rule classifies, and a history can be summed up from the journal.
//!
//! Retry was the other candidate for keeping them. It hears of ends that it has to judge, and of no stop, no lost
//! process, no line that a living process wrote.

mod delays;
mod scopes;

pub use self::{delays::Delays, scopes::ScopeFigures};

use crate::model::{Class, EndReason, Event, HeldReason, JournalRecord, Phase, Timestamp};
use std::collections::BTreeMap;

/// What a program did since the manager started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Attempts whose start was decided.
    pub attempts_started: u64,
    /// Those of `attempts_started` that were not the first of their run.
    pub restarts: u64,
    /// Runs that ended, by the phase in which they ended.
    pub runs_ended: BTreeMap<&'static str, u64>,
    /// Runs that ended as `failed` or `quarantined`, by the class of their latest failure.
    pub runs_failed: BTreeMap<String, u64>,
    /// Attempts that ended with an error, by class. Ends that the supervisor brought about (a stop, a shutdown) do
    /// not count.
    pub failures: BTreeMap<String, Tally>,
    /// Lines of output in which a rule found an error, by class.
    pub error_lines: BTreeMap<String, Tally>,
    /// Attempts that were put off after a failure, by the class of that failure.
    pub retries: BTreeMap<String, u64>,
    /// Retries that a budget without tokens held back, by class.
    pub deferred: BTreeMap<String, u64>,
    /// Starts that were held back, by reason: `breaker`, `budget` or `concurrency`. A start counts once for as long
    /// as the same reason holds it back.
    pub held_back: BTreeMap<&'static str, u64>,
    /// Runs that a rule ended although they had not succeeded, by the rule: `max_retries`, `deadline`, `not_retryable`,
    /// `intensity` or `budget`.
    pub gave_up: BTreeMap<&'static str, u64>,
    /// The delays by which attempts were put off.
    pub delays: Delays,
    /// Changes of parameters by a rule, by the parameter's name.
    pub param_changes: BTreeMap<String, u64>,
    /// Failures with a parameter at its floor, by the parameter's name.
    pub params_exhausted: BTreeMap<String, u64>,
}

/// A count, and how fast it grew recently.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tally {
    /// The count since the manager started.
    pub total: u64,
    /// The count within the last [`Figures::WINDOW_MS`].
    pub recent: u64,
    /// `recent` as a rate, in thousandths a minute.
    pub per_minute_permille: u64,
}

impl Figures {
    /// The span of time over which rates are computed, in milliseconds: long enough that a job which fails every
    /// minute has a steady rate, short enough that an outage that is over is soon forgotten.
    pub const WINDOW_MS: u64 = 300_000;
    /// The shortest time that a rate is divided by, in milliseconds: one error in the first second is not sixty a
    /// minute.
    pub const SHORTEST_MS: u64 = 60_000;
    /// The number of classes counted separately for each program, so that memory is bounded whatever a configuration
    /// names over time. Further classes are counted as [`Figures::OTHER`].
    pub const CLASSES_MAX: usize = 64;
    /// The number of scopes of breakers counted separately: a scope may be made for every site and every user, and
    /// monitoring pays for each label. Further scopes are counted as [`Figures::OTHER`].
    pub const SCOPES_MAX: usize = 128;
    /// The name of all classes beyond [`Figures::CLASSES_MAX`], and of all scopes beyond [`Figures::SCOPES_MAX`].
    pub const OTHER: &'static str = "other";
    /// The reasons that hold starts back.
    pub const HELD_REASONS: [&'static str; 3] = ["breaker", "budget", "concurrency"];
    /// The rules that end a run which has not succeeded.
    pub const GIVE_UP_REASONS: [&'static str; 5] =
        ["max_retries", "deadline", "not_retryable", "intensity", "budget"];
    /// The states of a breaker.
    pub const BREAKER_STATES: [&'static str; 6] =
        ["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"];
}

/// The number of slots of the window. Counts that are older than the window less one slot are forgotten, slot by
/// slot.
const SLOTS: usize = 30;
const SLOT_MS: u64 = Figures::WINDOW_MS / SLOTS as u64;

/// One count with its window: a quarter of a kilobyte, whatever is counted.
#[derive(Clone, Debug, Default)]
struct Counter {
    total: u64,
    slots: [u32; SLOTS],
    /// The number, since the epoch, of the slot that was counted into last.
    newest: u64,
}

impl Counter {
    fn add(&mut self, count: u64, at: Timestamp) {
        self.total = self.total.saturating_add(count);
        self.forget(at);
        // A late report is counted in the present slot, so that no earlier slot is looked for.
        if let Some(slot) = self.slots.get_mut((self.newest % SLOTS as u64) as usize) {
            *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Empties the slots whose time has passed.
    fn forget(&mut self, now: Timestamp) {
        let here = (now.0 / SLOT_MS).max(self.newest);
        if here - self.newest >= SLOTS as u64 {
            self.slots = [0; SLOTS];
        } else {
            for passed in self.newest + 1..=here {
                if let Some(slot) = self.slots.get_mut((passed % SLOTS as u64) as usize) {
                    *slot = 0;
                }
            }
        }
        self.newest = here;
    }

    fn tally(&self, since: Timestamp, now: Timestamp) -> Tally {
        let mut copy = self.clone();
        copy.forget(now);
        let recent: u64 = copy.slots.iter().map(|count| u64::from(*count)).sum();
        let lasted = now.since(since).clamp(Figures::SHORTEST_MS, Figures::WINDOW_MS);
        // 60 seconds, in thousandths of a count for each millisecond.
        let per_minute_permille = recent.saturating_mul(60_000_000) / lasted;
        Tally { total: self.total, recent, per_minute_permille }
    }
}

#[derive(Clone, Debug, Default)]
struct OfProgram {
    attempts_started: u64,
    restarts: u64,
    runs_ended: BTreeMap<&'static str, u64>,
    runs_failed: BTreeMap<String, u64>,
    failures: BTreeMap<String, Counter>,
    error_lines: BTreeMap<String, Counter>,
    retries: BTreeMap<String, u64>,
    deferred: BTreeMap<String, u64>,
    held_back: BTreeMap<&'static str, u64>,
    gave_up: BTreeMap<&'static str, u64>,
    delays: Delays,
    param_changes: BTreeMap<String, u64>,
    params_exhausted: BTreeMap<String, u64>,
}

/// The counters of every program, and of every scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    programs: BTreeMap<String, OfProgram>,
    scopes: scopes::Scopes,
    keepers_lost: u64,
}

const fn held_by(reason: HeldReason) -> &'static str {
    match reason {
        HeldReason::Breaker => "breaker",
        HeldReason::Budget => "budget",
        HeldReason::Concurrency => "concurrency",
    }
}

/// The rule that ended a run; `None` when the run ended by itself or was stopped on request.
const fn gave_up_by(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::MaxRetries => Some("max_retries"),
        EndReason::Deadline => Some("deadline"),
        EndReason::NotRetryable => Some("not_retryable"),
        EndReason::Intensity => Some("intensity"),
        EndReason::Budget => Some("budget"),
        EndReason::ProgramRemoved => Some("program_removed"),
        EndReason::KeeperLost => Some("keeper_lost"),
        EndReason::Exit | EndReason::Operator => None,
    }
}

/// The entry of a class, or that of all others once there are too many.
fn of_class<'a, T: Default>(classes: &'a mut BTreeMap<String, T>, class: &str) -> &'a mut T {
    let known = classes.contains_key(class) || classes.len() < Figures::CLASSES_MAX;
    classes.entry(if known { class } else { Figures::OTHER }.to_owned()).or_default()
}

impl Counters {
    /// Counts one record. `class` is that of the latest failure of its run.
    pub(crate) fn hear(&mut self, record: &JournalRecord, class: Option<&str>) {
        self.scopes.hear(record);
        if matches!(record.event, Event::KeeperLost { .. }) {
            self.keepers_lost += 1;
        }
        let Some(program) = &record.program else { return };
        let class = class.unwrap_or(Figures::OTHER);
        match &record.event {
            Event::AttemptStarted { .. } => {
                let counted = self.of(program);
                counted.attempts_started += 1;
                counted.restarts += u64::from(record.attempt.is_some_and(|number| number > 1));
            }
            Event::AttemptEnded { class: Some(class), .. } if !Class::is_ours(class) => {
                of_class(&mut self.of(program).failures, class).add(1, record.at);
            }
            Event::RetryScheduled { delay_ms, .. } => {
                let counted = self.of(program);
                *of_class(&mut counted.retries, class) += 1;
                counted.delays.add(*delay_ms);
            }
            Event::StartBlocked { reason, .. } => {
                let counted = self.of(program);
                *counted.held_back.entry(held_by(*reason)).or_default() += 1;
                if *reason == HeldReason::Budget {
                    *of_class(&mut counted.deferred, class) += 1;
                }
            }
            Event::ParamChanged { name, .. } => *of_class(&mut self.of(program).param_changes, name) += 1,
            Event::ParamExhausted { name, .. } => {
                *of_class(&mut self.of(program).params_exhausted, name) += 1
            }
            Event::RunEnded { phase, end_reason, .. } => {
                let counted = self.of(program);
                *counted.runs_ended.entry(phase.name()).or_default() += 1;
                if matches!(phase, Phase::Failed | Phase::Quarantined) {
                    *of_class(&mut counted.runs_failed, class) += 1;
                }
                if let Some(rule) = gave_up_by(*end_reason) {
                    *counted.gave_up.entry(rule).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn of(&mut self, program: &str) -> &mut OfProgram {
        self.programs.entry(program.to_owned()).or_default()
    }

    /// Counts lines that a rule classified.
    pub(crate) fn lines(&mut self, program: &str, class: &str, count: u64, at: Timestamp) {
        of_class(&mut self.of(program).error_lines, class).add(count, at);
    }

    /// Drops the figures of programs that are gone.
    pub(crate) fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.programs.retain(|program, _| is_known(program));
    }
}

impl Counters {
    /// The figures of a program; `since` is when counting began.
    pub(crate) fn of_program(&self, program: &str, since: Timestamp, now: Timestamp) -> Figures {
        let Some(counted) = self.programs.get(program) else { return Figures::default() };
        let tallies = |counters: &BTreeMap<String, Counter>| {
            counters.iter().map(|(class, counter)| (class.clone(), counter.tally(since, now))).collect()
        };
        Figures {
            attempts_started: counted.attempts_started,
            restarts: counted.restarts,
            runs_ended: counted.runs_ended.clone(),
            runs_failed: counted.runs_failed.clone(),
            failures: tallies(&counted.failures),
            error_lines: tallies(&counted.error_lines),
            retries: counted.retries.clone(),
            deferred: counted.deferred.clone(),
            held_back: counted.held_back.clone(),
            gave_up: counted.gave_up.clone(),
            delays: counted.delays,
            param_changes: counted.param_changes.clone(),
            params_exhausted: counted.params_exhausted.clone(),
        }
    }

    /// What breakers did, by scope.
    pub(crate) fn of_scopes(&self) -> BTreeMap<String, ScopeFigures> {
        self.scopes.0.clone()
    }

    /// The number of keepers that died.
    pub(crate) const fn keepers_lost(&self) -> u64 {
        self.keepers_lost
    }

    /// The number of attempts started, and how many of them were not the first of their run.
    pub(crate) fn starts(&self) -> (u64, u64) {
        let all = self.programs.values();
        all.fold((0, 0), |(starts, restarts), one| (starts + one.attempts_started, restarts + one.restarts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn a_rate_is_that_of_the_last_five_minutes_and_forgets_what_is_older() {
        let mut counter = Counter::default();
        for (after_ms, total, recent, permille) in [
            (0, 1, 1, 1_000),       // one error in the first minute is one a minute, not sixty
            (59_000, 2, 2, 2_000),  // the minute is not over yet
            (120_000, 3, 3, 1_500), // three in two minutes
            (300_000, 4, 3, 600),   // the first one is five minutes old
            (360_000, 5, 3, 600),   // so is the second one
            (3_600_000, 6, 1, 200), // an hour of silence
        ] {
            counter.add(1, START.plus(after_ms));
            let tally = counter.tally(START, START.plus(after_ms));
            assert_eq!((tally.total, tally.recent, tally.per_minute_permille), (total, recent, permille));
        }
        assert_eq!(counter.tally(START, START.plus(7_200_000)).recent, 0);
    }

    #[test]
    fn a_report_that_comes_late_is_counted_and_moves_no_time_back() {
        let mut counter = Counter::default();
        counter.add(1, START.plus(100_000));
        counter.add(7, START);
        assert_eq!(counter.tally(START, START.plus(100_000)).recent, 8);
    }

    #[test]
    fn a_program_that_is_removed_takes_its_figures_with_it() {
        let mut counters = Counters::default();
        counters.lines("job", "network", 1, START);
        counters.lines("other", "network", 1, START);
        counters.keep(|name| name == "other");
        assert_eq!(counters.of_program("job", START, START), Figures::default());
        assert_eq!(counters.of_program("other", START, START).error_lines["network"].total, 1);
    }

    #[test]
    fn more_classes_than_the_limit_are_counted_together() {
        let mut counters = Counters::default();
        for number in 0..Figures::CLASSES_MAX + 10 {
            counters.lines("p", &format!("class_{number}"), 1, START);
        }
        counters.lines("p", "class_0", 1, START);
        let lines = &counters.programs["p"].error_lines;
        assert_eq!(lines.len(), Figures::CLASSES_MAX + 1);
        assert_eq!((lines[Figures::OTHER].total, lines["class_0"].total), (10, 2));
    }
}
