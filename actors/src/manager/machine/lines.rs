//! The lines: places of a program and those that wait for one, those that a scope refused, and what a change of a scope
//! leads to at the end of the step.

use super::InLine;
use crate::model::{RunId, Scope};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where runs wait, and for what.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Living runs that hold a place, by program.
    places: HashMap<String, u32>,
    /// Runs that wait for a place, by program.
    queues: HashMap<String, BTreeSet<InLine>>,
    /// Runs that a scope refused.
    refused: BTreeMap<Scope, BTreeSet<InLine>>,
    /// Runs with a permit of a scope whose rules stop them when it opens.
    stopped_on_open: HashMap<Scope, BTreeSet<RunId>>,
    /// Scopes that opened in this step.
    opened: Vec<Scope>,
    /// Scopes in which a refused start may be let through now.
    to_recheck: BTreeSet<Scope>,
}

impl Lines {
    // ── places ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Places of a program that are taken.
    pub(super) fn places_taken(&self, program: &str) -> u32 {
        self.places.get(program).copied().unwrap_or(0)
    }

    pub(super) fn take_place(&mut self, program: &str) {
        *self.places.entry(program.to_owned()).or_default() += 1;
    }

    pub(super) fn give_place_back(&mut self, program: &str) {
        if let Some(taken) = self.places.get_mut(program) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// How many runs wait for a place.
    pub(super) fn queue_length(&self, program: &str) -> usize {
        self.queues.get(program).map_or(0, BTreeSet::len)
    }

    /// Programs with a queue, also with an empty one.
    pub(super) fn queued_programs(&self) -> Vec<String> {
        self.queues.keys().cloned().collect()
    }

    pub(super) fn queue(&mut self, program: &str, run: InLine) {
        self.queues.entry(program.to_owned()).or_default().insert(run);
    }

    pub(super) fn first_in_queue(&self, program: &str) -> Option<InLine> {
        self.queues.get(program)?.first().copied()
    }

    pub(super) fn leave_queue(&mut self, program: &str, run: &InLine) {
        if let Some(queue) = self.queues.get_mut(program) {
            queue.remove(run);
        }
    }

    /// The place of a run among those that wait for a place, from 1, and how many these are.
    pub(super) fn place_in_queue(&self, program: &str, run: RunId) -> Option<(usize, usize)> {
        place_in(self.queues.get(program)?, run)
    }

    // ── refused ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Puts a run into the line of a scope. Whether it is the first there.
    pub(super) fn refuse(&mut self, scope: Scope, run: InLine) -> bool {
        let line = self.refused.entry(scope).or_default();
        line.insert(run);
        line.first() == Some(&run)
    }

    pub(super) fn first_refused(&self, scope: &Scope) -> Option<InLine> {
        self.refused.get(scope)?.first().copied()
    }

    /// Those behind the first one, in order.
    pub(super) fn behind_first(&self, scope: &Scope) -> Vec<InLine> {
        self.refused.get(scope).map(|line| line.iter().skip(1).copied().collect()).unwrap_or_default()
    }

    pub(super) fn leave(&mut self, scope: &Scope, run: &InLine) {
        if let Some(line) = self.refused.get_mut(scope) {
            line.remove(run);
            if line.is_empty() {
                self.refused.remove(scope);
            }
        }
    }

    /// Moves a run within the line of a scope; one that does not stand there stays out.
    pub(super) fn move_within(&mut self, scope: &Scope, before: &InLine, after: InLine) {
        if let Some(line) = self.refused.get_mut(scope)
            && line.remove(before)
        {
            line.insert(after);
        }
    }

    /// The place of a run in the line of a scope, from 1, and how long that line is.
    pub(super) fn place_in_line(&self, scope: &Scope, run: RunId) -> Option<(usize, usize)> {
        place_in(self.refused.get(scope)?, run)
    }

    // ── changes of scopes ──────────────────────────────────────────────────────────────────────────────────────────

    /// The first in the lines of these scopes may be let through now.
    pub(super) fn recheck(&mut self, scopes: impl IntoIterator<Item = Scope>) {
        self.to_recheck.extend(scopes);
    }

    /// So may the first in every line.
    pub(super) fn recheck_all(&mut self) {
        self.to_recheck.extend(self.refused.keys().cloned());
    }

    /// Takes the next scope to be looked at.
    pub(super) fn next_to_recheck(&mut self) -> Option<Scope> {
        self.to_recheck.pop_first()
    }

    /// A scope opened in this step.
    pub(super) fn opened(&mut self, scope: Scope) {
        self.opened.push(scope);
    }

    /// Takes the scopes that opened in this step.
    pub(super) fn take_opened(&mut self) -> Vec<Scope> {
        std::mem::take(&mut self.opened)
    }

    /// The run is stopped when the scope opens.
    pub(super) fn stop_on_open(&mut self, scope: Scope, run: RunId) {
        self.stopped_on_open.entry(scope).or_default().insert(run);
    }

    /// It no longer is.
    pub(super) fn keep_on_open(&mut self, scope: &Scope, run: RunId) {
        if let Some(runs) = self.stopped_on_open.get_mut(scope) {
            runs.remove(&run);
            if runs.is_empty() {
                self.stopped_on_open.remove(scope);
            }
        }
    }

    /// Runs that are stopped when the scope opens.
    pub(super) fn stopped_on_open(&self, scope: &Scope) -> BTreeSet<RunId> {
        self.stopped_on_open.get(scope).cloned().unwrap_or_default()
    }
}

fn place_in(line: &BTreeSet<InLine>, run: RunId) -> Option<(usize, usize)> {
    let place = line.iter().position(|(_, _, other)| *other == run)?;
    Some((place + 1, line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use std::cmp::Reverse;

    fn run(priority: i32, since: u64, n: u128) -> InLine {
        (Reverse(priority), Timestamp(since), RunId::from_parts(0, n))
    }

    #[test]
    fn the_highest_priority_is_first_then_the_longest_wait() {
        let (mut lines, scope) = (Lines::default(), Scope("site:a".into()));
        assert!(lines.refuse(scope.clone(), run(0, 20, 1)));
        assert!(!lines.refuse(scope.clone(), run(0, 30, 2)));
        assert!(lines.refuse(scope.clone(), run(0, 10, 3)));
        assert!(lines.refuse(scope.clone(), run(5, 40, 4)));
        assert_eq!(lines.place_in_line(&scope, RunId::from_parts(0, 1)), Some((3, 4)));
        lines.move_within(&scope, &run(0, 30, 2), run(9, 30, 2));
        assert_eq!(lines.first_refused(&scope), Some(run(9, 30, 2)));
        assert_eq!(lines.behind_first(&scope), [run(5, 40, 4), run(0, 10, 3), run(0, 20, 1)]);
    }

    #[test]
    fn a_line_that_nobody_stands_in_is_none() {
        let (mut lines, scope) = (Lines::default(), Scope("site:a".into()));
        lines.refuse(scope.clone(), run(0, 1, 1));
        lines.leave(&scope, &run(0, 1, 1));
        lines.recheck_all();
        assert_eq!(lines.next_to_recheck(), None);
        lines.move_within(&scope, &run(0, 1, 1), run(1, 1, 1));
        assert_eq!(lines.first_refused(&scope), None);
    }

    #[test]
    fn places_are_counted_and_never_below_none() {
        let mut lines = Lines::default();
        lines.give_place_back("job");
        lines.take_place("job");
        lines.take_place("job");
        lines.give_place_back("job");
        assert_eq!((lines.places_taken("job"), lines.places_taken("other")), (1, 0));
    }
}
