//! The buckets that one start is paid from: those of its scopes in their order, then the one of all programs.
//!
//! They are asked one after the other, always in the same order, and what one has promised stays promised while the start
//! stands in the line of the next: nobody can wait for somebody who waits for him. A bucket of a scope comes to be when a
//! retry asks it, full as a new one is, and is forgotten when it is full again.

use super::{
    budget::{Budget, Level, Promise},
    decision::Leave,
    saved,
};
use crate::model::{ClockShift, Put, RetryBudget, RunId, Scope, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// Buckets that are kept without looking for full ones among them.
const KEPT: usize = 64;

/// Every bucket.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    all: Option<Budget>,
    scoped: HashMap<Scope, Budget>,
    /// What was saved of buckets that nobody has asked since: their rules come with the first who does.
    levels: HashMap<Scope, Level>,
    /// The scopes whose buckets a start was asked of.
    asked: HashMap<RunId, Vec<Scope>>,
    /// Scopes in whose lines somebody may stand.
    lines: BTreeSet<Scope>,
    sweep_at: usize,
}

impl Budgets {
    /// This is the bucket of all programs; those who waited for one that is no more.
    pub(super) fn set_rules(&mut self, now: Timestamp, rules: Option<RetryBudget>) -> Vec<RunId> {
        match (&mut self.all, rules) {
            (Some(budget), Some(rules)) => budget.set_rules(now, rules),
            (None, Some(rules)) => self.all = Some(Budget::new(rules, None, now)),
            (_, None) => return self.all.take().into_iter().flat_map(Budget::into_line).collect(),
        }
        Vec::new()
    }

    /// The rules of the bucket of all programs.
    #[cfg(test)]
    pub(super) fn rules(&self) -> Option<RetryBudget> {
        self.all.as_ref().map(Budget::rules)
    }

    /// What the bucket of all programs holds.
    #[cfg(test)]
    pub(super) fn level(&self) -> Option<Level> {
        self.all.as_ref().map(Budget::level)
    }

    /// May a start of this priority that costs so much go on to the breakers?
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

    /// When the buckets of these scopes and that of all programs have had so much for this run, beside what those in line
    /// before one of its priority take. Nothing without such a bucket, and where time alone does not bring it. The first of it
    /// is needed at `from`.
    pub(super) fn foreseen(
        &self,
        from: Timestamp,
        run: RunId,
        (priority, permille): (i32, u64),
        scopes: &[(Scope, RetryBudget)],
    ) -> Option<Timestamp> {
        let scoped = scopes.iter().map(|(scope, rules)| match self.scoped.get(scope) {
            Some(bucket) => bucket.foreseen(run, priority, permille),
            // Nobody has asked it since it was saved, or ever.
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

    /// The start is made: what was set aside for it is gone. The state to save; nothing when it cost nothing.
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

    /// Forgets full buckets that nobody needs, when there are twice as many as after the last time.
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

    /// A first start brings its tokens, at once. The state to save.
    pub(super) fn deposit(&mut self, now: Timestamp, scopes: &[(Scope, RetryBudget)]) -> Vec<Put> {
        let mut saved = Vec::new();
        for (scope, rules) in scopes {
            // One that nobody has asked is full, and loses them.
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

    /// The start is not made, or not now: what was set aside for it, and its place in a line, are given back.
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

    /// When the first in some line gets its tokens.
    pub(super) fn next_ready(&self) -> Option<Timestamp> {
        let scoped = self.lines.iter().filter_map(|scope| self.scoped.get(scope)?.next_ready());
        scoped.chain(self.all.as_ref().and_then(Budget::next_ready)).min()
    }

    /// Takes the first in some line that has its tokens now. It asks again, and then the next bucket.
    pub(super) fn take_ready(&mut self, now: Timestamp) -> Option<RunId> {
        let scoped = &mut self.scoped;
        self.lines.retain(|scope| scoped.get(scope).is_some_and(Budget::has_line));
        let lines = self.lines.iter();
        let ready = lines.filter_map(|scope| self.scoped.get_mut(scope)?.take_ready(now)).next();
        ready.or_else(|| self.all.as_mut()?.take_ready(now))
    }

    /// What was saved of a bucket, by the clock of now; what is to be saved again if that was moved.
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
