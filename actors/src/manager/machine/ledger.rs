//! The ledger: what one decision writes, does and asks, until it is handed over.
//!
//! It makes every [`JournalRecord`], and decides what is one commit: an end and what follows it are never in two, and no
//! act leaves before the commit that allows it.

use super::Effect;
use crate::model::{AttemptId, Event, JournalRecord, Put, Run, RunId, Scope, Timestamp};
use std::collections::BTreeSet;

/// How long a record that no act depends on waits for a decision to be written with, in milliseconds: short enough that a
/// reader of the journal does not notice, long enough that the life of a short child brings one. A death of the supervisor
/// in between loses the record, which then says nothing that the next one could not find out.
const BATCH_DELAY_MS: u64 = 20;

/// What a record is about; of nothing in particular, it is about the supervisor.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) run: Option<RunId>,
    pub(super) program: Option<String>,
    pub(super) attempt: Option<u32>,
    pub(super) scope: Option<Scope>,
}

impl About {
    /// A run as a whole.
    pub(super) fn run(run: &Run) -> Self {
        Self { run: Some(run.id), program: Some(run.program.clone()), ..Self::default() }
    }

    /// Its present attempt.
    pub(super) fn attempt(run: &Run) -> Self {
        Self { attempt: Some(run.attempt), ..Self::run(run) }
    }

    /// A program.
    pub(super) fn program(name: String) -> Self {
        Self { program: Some(name), ..Self::default() }
    }

    /// The same, at this scope.
    pub(super) fn at_scope(self, scope: Option<Scope>) -> Self {
        Self { scope, ..self }
    }
}

/// What the ledger asks about runs when it writes.
pub(super) trait Runs {
    /// Whether questions about the end of a run, or about the start that follows it, are under way.
    fn is_being_decided(&self, run: RunId) -> bool;
    /// The run as it is saved; `None` when it was pruned in the same step, and removed by that.
    fn saved_run(&self, run: RunId) -> Option<Put>;
    /// The attempt as it is saved; `None` likewise.
    fn saved_attempt(&self, attempt: AttemptId) -> Option<Put>;
}

/// What one decision changes, until it is written.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<JournalRecord>,
    puts: Vec<Put>,
    runs: BTreeSet<RunId>,
    attempts: BTreeSet<AttemptId>,
    acts: Vec<Effect>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.puts.is_empty() && self.runs.is_empty() && self.attempts.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    next_seq: u64,
    batch: Batch,
    /// Runs whose end is in the batch and what follows it is not yet.
    half_made: BTreeSet<RunId>,
    /// Whether the batch is to be written as soon as no decision in it is half made.
    write_wanted: bool,
    /// When the batch is written at the latest.
    write_at: Option<Timestamp>,
    effects: Vec<Effect>,
}

impl Ledger {
    /// An empty one; `next_seq` is the first free place in the journal.
    pub(super) fn new(next_seq: u64) -> Self {
        Self { next_seq, ..Self::default() }
    }

    /// The place in the journal that the next record gets.
    pub(super) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// When the batch is written at the latest; `None` when nothing waits.
    pub(super) const fn write_at(&self) -> Option<Timestamp> {
        self.write_at
    }

    /// Adds a record to the batch.
    pub(super) fn record(&mut self, at: Timestamp, about: About, event: Event) {
        let About { run, program, attempt, scope } = about;
        let record = JournalRecord { seq: self.next_seq, at, run, program, attempt, scope, event };
        self.next_seq += 1;
        self.batch.records.push(record);
    }

    /// Has a run saved with the batch, as it is then.
    pub(super) fn save_run(&mut self, run: RunId) {
        self.batch.runs.insert(run);
    }

    /// Has an attempt saved with the batch, as it is then.
    pub(super) fn save_attempt(&mut self, attempt: AttemptId) {
        self.batch.attempts.insert(attempt);
    }

    /// Has other state saved with the batch.
    pub(super) fn save(&mut self, puts: impl IntoIterator<Item = Put>) {
        self.batch.puts.extend(puts);
    }

    /// Adds an act, which follows the commit of the batch.
    pub(super) fn act(&mut self, act: Effect) {
        self.batch.acts.push(act);
    }

    /// Whether an act waits for the batch.
    pub(super) const fn has_acts(&self) -> bool {
        !self.batch.acts.is_empty()
    }

    /// Emits an effect that waits for no commit.
    pub(super) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Emits effects that wait for no commit.
    pub(super) fn emit_all(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.effects.extend(effects);
    }

    /// The end of a run is in the batch: nothing is written before what follows it is, too.
    pub(super) fn begin_end(&mut self, run: RunId) {
        self.half_made.insert(run);
    }

    /// Hands the batch over as one commit, with its acts behind it. What no act depends on may wait for company
    /// (`at_once` false): it goes out with the next decision, or after [`BATCH_DELAY_MS`].
    ///
    /// While an end is decided without what follows it, everything waits: for as long as Retry and the Breaker take to
    /// answer, within one `now`.
    pub(super) fn commit(&mut self, now: Timestamp, at_once: bool, runs: &impl Runs) {
        self.half_made.retain(|run| runs.is_being_decided(*run));
        if !self.half_made.is_empty() {
            self.write_wanted |= at_once;
            return;
        }
        let depends = self.has_acts() && !self.batch.is_empty();
        if !(at_once || self.write_wanted || depends) {
            self.effects.append(&mut self.batch.acts);
            if !self.batch.is_empty() {
                self.write_at.get_or_insert(now.plus(BATCH_DELAY_MS));
            }
            return;
        }
        (self.write_wanted, self.write_at) = (false, None);
        let Batch { records, mut puts, runs: changed, attempts, acts } = std::mem::take(&mut self.batch);
        puts.extend(changed.into_iter().filter_map(|run| runs.saved_run(run)));
        puts.extend(attempts.into_iter().filter_map(|attempt| runs.saved_attempt(attempt)));
        if !records.is_empty() || !puts.is_empty() {
            self.effects.push(Effect::Commit { records, puts });
        }
        self.effects.extend(acts);
    }

    /// Whether the batch was to be written while a decision in it was half made.
    pub(super) const fn is_write_wanted(&self) -> bool {
        self.write_wanted
    }

    /// Everything to be carried out. Commits and acts come before questions, so that this step is handed to the store
    /// before an answer starts the next one.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        effects.sort_by_key(Effect::turn);
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that are being decided.
    struct Deciding(Vec<RunId>);

    impl Runs for Deciding {
        fn is_being_decided(&self, run: RunId) -> bool {
            self.0.contains(&run)
        }

        fn saved_run(&self, run: RunId) -> Option<Put> {
            Some(Put { key: format!("run/{run}"), value: Some(Vec::new()) })
        }

        fn saved_attempt(&self, _: AttemptId) -> Option<Put> {
            None
        }
    }

    const NOW: Timestamp = Timestamp(1_000);

    fn event() -> Event {
        Event::KeeperSilent { since: NOW }
    }

    fn told(ledger: &mut Ledger) -> Vec<String> {
        let effects = ledger.take_effects().into_iter();
        let told = effects.map(|effect| match effect {
            Effect::Commit { records, puts } => format!("commit {} {}", records.len(), puts.len()),
            other => format!("{other:?}").chars().take_while(|c| c.is_alphanumeric()).collect(),
        });
        told.collect()
    }

    #[test]
    fn a_record_waits_for_company_and_an_act_does_not() {
        let (mut ledger, runs, run) = (Ledger::new(7), Deciding(Vec::new()), RunId::from_parts(0, 1));
        ledger.record(NOW, About::default(), event());
        ledger.commit(NOW, false, &runs);
        assert_eq!((told(&mut ledger), ledger.write_at()), (Vec::new(), Some(NOW.plus(BATCH_DELAY_MS))));
        ledger.save_run(run);
        ledger.act(Effect::Ended(run));
        ledger.commit(NOW, false, &runs);
        assert_eq!((told(&mut ledger), ledger.write_at()), (vec!["commit 1 1".into(), "Ended".into()], None));
        assert_eq!(ledger.next_seq(), 8);
    }

    #[test]
    fn an_act_that_changes_no_state_waits_for_nothing() {
        let (mut ledger, runs) = (Ledger::new(1), Deciding(Vec::new()));
        ledger.act(Effect::Ended(RunId::from_parts(0, 1)));
        ledger.commit(NOW, false, &runs);
        assert_eq!(told(&mut ledger), ["Ended"]);
    }

    #[test]
    fn an_end_is_not_written_before_what_follows_it() {
        let (mut ledger, run) = (Ledger::new(1), RunId::from_parts(0, 1));
        ledger.record(NOW, About::default(), event());
        ledger.begin_end(run);
        ledger.commit(NOW, true, &Deciding(vec![run]));
        assert_eq!(told(&mut ledger), [""; 0]);
        assert!(ledger.is_write_wanted());
        ledger.record(NOW, About::default(), event());
        ledger.commit(NOW, false, &Deciding(Vec::new()));
        assert_eq!(told(&mut ledger), ["commit 2 0"]);
        assert!(!ledger.is_write_wanted());
    }
}
