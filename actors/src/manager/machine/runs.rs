//! The runs: those that are not over, and those that are and still kept.

use super::{Live, restore};
use crate::{
    manager::machine::ledger,
    model::{AttemptId, Put, Run, RunId},
};
use std::collections::BTreeMap;

/// Every run that is known. A run that is not over is a [`Live`].
#[derive(Debug, Default)]
pub(super) struct Runs {
    live: BTreeMap<RunId, Box<Live>>,
    ended: BTreeMap<RunId, Box<Run>>,
}

impl Runs {
    /// A run that is not over.
    ///
    /// `None` is no fault: an answer, a report or a timer may come after the end of its run (a stop, a removed program, a
    /// give-up that was decided in the same step). Whatever asks here then does nothing, because a run that is over is
    /// changed only by an operator.
    pub(super) fn live(&self, id: RunId) -> Option<&Live> {
        self.live.get(&id).map(Box::as_ref)
    }

    /// The same, to be changed.
    pub(super) fn live_mut(&mut self, id: RunId) -> Option<&mut Live> {
        self.live.get_mut(&id).map(Box::as_mut)
    }

    /// The run of this attempt, while the attempt is its present one; `None` like [`Runs::live`].
    pub(super) fn attempt(&self, attempt: AttemptId) -> Option<&Live> {
        self.live(attempt.run).filter(|live| live.run.attempt == attempt.number)
    }

    /// The same, to be changed.
    pub(super) fn attempt_mut(&mut self, attempt: AttemptId) -> Option<&mut Live> {
        self.live_mut(attempt.run).filter(|live| live.run.attempt == attempt.number)
    }

    /// Whether a run is not over.
    pub(super) fn is_live(&self, id: RunId) -> bool {
        self.live.contains_key(&id)
    }

    /// Runs that are not over, oldest first.
    pub(super) fn all_live(&self) -> impl DoubleEndedIterator<Item = &Live> {
        self.live.values().map(Box::as_ref)
    }

    /// The same, to be changed.
    pub(super) fn all_live_mut(&mut self) -> impl Iterator<Item = &mut Live> {
        self.live.values_mut().map(Box::as_mut)
    }

    /// Every run that is known, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        let live = self.live.values_mut().map(|live| &mut live.run);
        live.chain(self.ended.values_mut().map(Box::as_mut))
    }

    /// The newest run of a program that is not over.
    pub(super) fn newest_live_of(&self, program: &str) -> Option<&Live> {
        self.all_live().rev().find(|live| live.run.program == program)
    }

    /// Ids of runs that are not over, oldest first.
    pub(super) fn live_ids(&self) -> Vec<RunId> {
        self.live.keys().copied().collect()
    }

    /// Adds a run that is not over.
    pub(super) fn begin(&mut self, live: Box<Live>) {
        self.live.insert(live.run.id, live);
    }

    /// Takes a run out, to be put back by [`Runs::end`] as it ended.
    pub(super) fn take_live(&mut self, id: RunId) -> Option<Box<Live>> {
        self.live.remove(&id)
    }

    /// Adds a run that is over.
    pub(super) fn end(&mut self, run: Run) {
        self.ended.insert(run.id, Box::new(run));
    }

    /// A run that is over.
    pub(super) fn ended(&self, id: RunId) -> Option<&Run> {
        self.ended.get(&id).map(Box::as_ref)
    }

    /// Runs that are over, oldest first.
    pub(super) fn all_ended(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.ended.values().map(Box::as_ref)
    }

    /// How many are over.
    pub(super) fn ended_count(&self) -> usize {
        self.ended.len()
    }

    /// Forgets a run that is over.
    pub(super) fn forget(&mut self, id: RunId) -> Option<Run> {
        self.ended.remove(&id).map(|run| *run)
    }

    /// A run, living or over.
    pub(super) fn get(&self, id: RunId) -> Option<&Run> {
        self.live(id).map(|live| &live.run).or_else(|| self.ended(id))
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, id: RunId) -> Option<&mut Run> {
        match self.live.get_mut(&id) {
            Some(live) => Some(&mut live.run),
            None => self.ended.get_mut(&id).map(Box::as_mut),
        }
    }

    /// All of them, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Run> {
        let mut live = self.all_live().rev().map(|live| &live.run).peekable();
        let mut ended = self.all_ended().rev().peekable();
        std::iter::from_fn(move || match (live.peek(), ended.peek()) {
            (Some(one), Some(other)) if one.id < other.id => ended.next(),
            (Some(_), _) => live.next(),
            (None, _) => ended.next(),
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.live.len() + self.ended.len()
    }
}

impl ledger::Runs for Runs {
    fn is_being_decided(&self, run: RunId) -> bool {
        self.live(run).is_some_and(|live| live.stage.is_being_decided())
    }

    fn saved_run(&self, run: RunId) -> Option<Put> {
        let living = self.live(run).map(restore::put_living);
        living.or_else(|| self.ended(run).map(restore::put_ended))
    }

    fn saved_attempt(&self, id: AttemptId) -> Option<Put> {
        let attempt = self.get(id.run)?.attempts.iter().find(|attempt| attempt.number == id.number)?;
        Some(restore::put_attempt(id, attempt))
    }
}
