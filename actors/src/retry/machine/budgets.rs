//! The buckets that one start is paid from: those of its scopes in their order, then the one of all programs.
//!
//! The buckets are asked one after the other, always in the same order. What one bucket has promised stays promised
//! while the start stands in the line of the next, so no two starts can wait for each other. The bucket of a scope is
//! created when a retry first asks it, full as a new one is, and is forgotten when it is full again.

use super::{
    budget::{Budget, Level, Promise},
    decision::Leave,
    saved,
};
use crate::model::{ClockShift, Put, RetryBudget, RunId, Scope, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// The number of buckets that are kept without a search for full ones among them.
const KEPT: usize = 64;

/// Every bucket.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    all: Option<Budget>,
    scoped: HashMap<Scope, Budget>,
    /// Saved levels of buckets that no start has asked since: the first start that asks brings the bucket's rules.
    levels: HashMap<Scope, Level>,
    /// The scopes whose buckets each start has asked.
    asked: HashMap<RunId, Vec<Scope>>,
    /// Scopes in whose lines a start may wait.
    lines: BTreeSet<Scope>,
    sweep_at: usize,
}

impl Budgets {
    /// Sets or removes the bucket of all programs. Returns the runs that waited for one that was removed.
    pub(super) fn set_rules(&mut self, now: Timestamp, rules: Option<RetryBudget>) -> Vec<RunId> {
        match (&mut self.all, rules) {
            (Some(budget), Some(rules)) => budget.set_rules(now, rules),
            (None, Some(rules)) => self.all = Some(Budget::new(rules, None, now)),
            (_, None) => return self.all.take().into_iter().flat_map(Budget::into_line).collect(),
        }
        Vec::new()
    }

    /// The rules of the bucket of all programs; `None` without one.
    #[cfg(test)]
    pub(super) fn rules(&self) -> Option<RetryBudget> {
        self.all.as_ref().map(Budget::rules)
    }

    /// The level of the bucket of all programs; `None` without one.
    #[cfg(test)]
    pub(super) fn level(&self) -> Option<Level> {
        self.all.as_ref().map(Budget::level)
    }

    /// Decides whether a start with this priority and cost may go on to the breakers.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        run: RunId,
        (priority, cost_permille): (i32, u32),
        scopes: &[(Scope, RetryBudget)],
    ) -> Leave {
        let mut leave = Leave::Free;
        if !scopes.is_empty() {
            self.asked.insert(run, scopes.iter().map(|(scope, _)| scope.clone()).collect());
        }
        for (scope, rules) in scopes {
            match self.bucket(now, scope, *rules).ask(now, run, priority, cost_permille) {
                Promise::Kept => leave = Leave::Promised,
                Promise::Later { at, why } => {
                    self.lines.insert(scope.clone());
                    return Leave::Deferred { retry_at: at, why };
                }
                Promise::Never { why } => return self.deny(run, why),
            }
        }
        match self.all.as_mut().map(|budget| budget.ask(now, run, priority, cost_permille)) {
            Some(Promise::Kept) => Leave::Promised,
            Some(Promise::Later { at, why }) => Leave::Deferred { retry_at: at, why },
            Some(Promise::Never { why }) => self.deny(run, why),
            None => leave,
        }
    }

    fn deny(&mut self, run: RunId, why: String) -> Leave {
        self.release(run);
        Leave::Denied { why }
    }

    fn bucket(&mut self, now: Timestamp, scope: &Scope, rules: RetryBudget) -> &mut Budget {
        let level = self.levels.remove(scope);
        let bucket = self.scoped.entry(scope.clone()).or_insert_with(|| {
            let mut bucket = Budget::new(rules, Some(scope.clone()), now);
            if let Some(level) = level {
                bucket.restore(now, level);
            }
            bucket
        });
        bucket.set_rules(now, rules);
        bucket
    }

    /// When the buckets of these scopes and that of all programs have had the given tokens for this run, in addition
    /// to what starts before it in line take. `None` without such a bucket, and where time alone does not bring the
    /// tokens. The first of them are needed at `from`.
    pub(super) fn foreseen(
        &self,
        from: Timestamp,
        run: RunId,
        (priority, permille): (i32, u64),
        scopes: &[(Scope, RetryBudget)],
    ) -> Option<Timestamp> {
        let scoped = scopes.iter().map(|(scope, rules)| match self.scoped.get(scope) {
            Some(bucket) => bucket.foreseen(run, priority, permille),
            // No start has asked the bucket since it was saved, or ever.
            None => {
                let mut bucket = Budget::new(*rules, None, from);
                if let Some(level) = self.levels.get(scope) {
                    bucket.restore(from, *level);
                }
                bucket.foreseen(run, priority, permille)
            }
        });
        scoped.chain(self.all.as_ref().map(|bucket| bucket.foreseen(run, priority, permille))).flatten().max()
    }

    /// The start is made: what was set aside for it is gone. Returns the state to save, which is empty when the start
    /// cost no tokens.
    pub(super) fn pay(&mut self, now: Timestamp, run: RunId) -> Vec<Put> {
        let mut saved = Vec::new();
        for scope in self.asked.remove(&run).unwrap_or_default() {
            if let Some(bucket) = self.scoped.get_mut(&scope)
                && bucket.pay(now, run)
            {
                saved.push(saved::put_budget(Some(&scope), Some(bucket.level())));
            }
        }
        if let Some(budget) = &mut self.all
            && budget.pay(now, run)
        {
            saved.push(saved::put_budget(None, Some(budget.level())));
        }
        self.sweep(now, &mut saved);
        saved
    }

    /// Forgets full buckets that no start needs, when there are twice as many buckets as after the last sweep.
    fn sweep(&mut self, now: Timestamp, saved: &mut Vec<Put>) {
        if self.scoped.len() < self.sweep_at.max(KEPT) {
            return;
        }
        self.scoped.retain(|scope, bucket| {
            let rests = bucket.rests(now);
            if rests {
                saved.push(saved::put_budget(Some(scope), None));
            }
            !rests
        });
        self.sweep_at = self.scoped.len() * 2;
    }

    /// A first start brings its tokens, at once. Returns the state to save.
    pub(super) fn deposit(&mut self, now: Timestamp, scopes: &[(Scope, RetryBudget)]) -> Vec<Put> {
        let mut saved = Vec::new();
        for (scope, rules) in scopes {
            // A bucket that no retry has asked is full, and loses them.
            if self.scoped.contains_key(scope) || self.levels.contains_key(scope) {
                let bucket = self.bucket(now, scope, *rules);
                bucket.deposit(now);
                saved.push(saved::put_budget(Some(scope), Some(bucket.level())));
            }
        }
        if let Some(budget) = &mut self.all {
            budget.deposit(now);
            saved.push(saved::put_budget(None, Some(budget.level())));
        }
        saved
    }

    /// The start is not made, or not now: gives back what was set aside for it, and its place in a line.
    pub(super) fn release(&mut self, run: RunId) {
        for scope in self.asked.remove(&run).unwrap_or_default() {
            if let Some(bucket) = self.scoped.get_mut(&scope) {
                bucket.release(run);
            }
        }
        if let Some(budget) = &mut self.all {
            budget.release(run);
        }
    }

    /// When the first start in some line gets its tokens.
    pub(super) fn next_ready(&self) -> Option<Timestamp> {
        let scoped = self.lines.iter().filter_map(|scope| self.scoped.get(scope)?.next_ready());
        scoped.chain(self.all.as_ref().and_then(Budget::next_ready)).min()
    }

    /// Takes the first start in some line that has its tokens now. That start asks again, and then asks the next
    /// bucket.
    pub(super) fn take_ready(&mut self, now: Timestamp) -> Option<RunId> {
        let scoped = &mut self.scoped;
        self.lines.retain(|scope| scoped.get(scope).is_some_and(Budget::has_line));
        let lines = self.lines.iter();
        let ready = lines.filter_map(|scope| self.scoped.get_mut(scope)?.take_ready(now)).next();
        ready.or_else(|| self.all.as_mut()?.take_ready(now))
    }

    /// Brings back the saved level of a bucket, moved to the present clock. Returns what is to be saved again because
    /// it was moved.
    pub(super) fn restore(
        &mut self,
        now: Timestamp,
        shift: ClockShift,
        scope: Option<Scope>,
        saved: Level,
    ) -> Option<Put> {
        let level = Level { at: shift.apply(saved.at).min(now), ..saved };
        match scope {
            Some(scope) => {
                let put = saved::put_budget(Some(&scope), Some(level));
                self.levels.insert(scope, level);
                Some(put)
            }
            None => {
                let budget = self.all.as_mut()?;
                budget.restore(now, level);
                Some(saved::put_budget(None, Some(budget.level())))
            }
        }
    }
}
