//! The decisions of Retry. Time is an argument and chance is a seed; the machine reads and sends nothing.

mod adjust;
mod budget;
mod budgets;
mod decision;
mod forecast;
mod intensity;
mod jitter;
mod judge;
mod judged_by;
mod law;
mod params;
mod saved;
mod schedule;
mod streak;
#[cfg(test)]
mod tests;
mod why;

pub use self::{
    decision::{Change, Decision, End, Leave, Outcome, Verdict},
    forecast::{Foreseen, Outlook, Supposed},
    jitter::startup_spread_ms,
    judged_by::{comes_back, judged_by},
    why::Why,
};

use self::{
    budgets::Budgets, judge::Judge, law::Curves, params::Shared, saved::Read, schedule::Schedule,
    streak::Streak,
};
use crate::model::{ClockShift, Params, Program, Put, RetryBudget, RunId, RunMap, Scope, Timestamp};

/// Everything Retry knows.
#[derive(Debug)]
pub struct Machine {
    seed: u64,
    streaks: RunMap<Streak>,
    curves: Curves,
    shared: Shared,
    schedule: Schedule,
    /// The budgets that retries are paid from, where they are configured.
    budgets: Budgets,
}

impl Machine {
    /// Creates a machine without any state. Equal seeds draw equal delays.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            streaks: RunMap::default(),
            curves: Curves::default(),
            shared: Shared::default(),
            schedule: Schedule::default(),
            budgets: Budgets::default(),
        }
    }

    /// Decides what follows the end of an attempt.
    pub fn ended(&mut self, now: Timestamp, end: End<'_>) -> Verdict {
        let Self { seed, streaks, curves, shared, .. } = self;
        let (mut first, mut was_known) = (None, true);
        let streak = match streaks.get_mut(&end.run) {
            Some(streak) => streak,
            None => {
                was_known = false;
                first.insert(Streak::default())
            }
        };
        let policy = &end.program.retry;
        if let Some(limit) = policy.intensity
            && std::mem::take(&mut streak.automatic)
        {
            // The start itself, not when it was due: a breaker may have held it back.
            let started = Timestamp(now.0.saturating_sub(end.uptime_ms));
            streak.rest.make().starts.record(started, limit);
        }
        if end.program.is_daemon() && end.uptime_ms >= policy.reset_after_ms() {
            streak.forgive();
        }
        let mut judge = Judge { seed: *seed, curves, shared };
        let (mut decision, incident) = judge.decide(now, end, streak);
        let success = matches!(decision, Decision::Done { .. });
        // A success considers all adjusted parameters.
        let unlooked = if success {
            Vec::new()
        } else {
            shared.used_all(now, end.program, end.base, incident.as_ref().map(|incident| incident.adjust))
        };
        let goes_on = matches!(decision, Decision::RetryAt { .. });
        let Change { events, mut saved, unchanged } = match incident {
            Some(incident) => shared.adjust_all(now, &incident, streak, goes_on),
            // A job's success is evidence of health. A daemon's clean end is not: the evidence was its life, and
            // Retry was told of that each time.
            None if success => shared.recover_all(now, end.program, end.base, None),
            None => Change::default(),
        };
        decision.and(unchanged);
        saved.extend(unlooked);
        saved.extend(shared.forget_unused(now));
        let quarantined = goes_on && streak.probation;
        if goes_on {
            saved.push(saved::put_run(end.run, streak));
            if let Some(first) = first {
                streaks.insert(end.run, first);
            }
        } else if was_known {
            streaks.remove(&end.run);
            saved.push(Put { key: saved::run_key(end.run), value: None });
        }
        Verdict { decision, events, saved, quarantined }
    }

    /// A daemon has been healthy for its `reset_after`: ends its row of failures, and moves what was lowered one step
    /// back. A job is healed by success only.
    pub fn healthy(&mut self, now: Timestamp, run: RunId, program: &Program, base: &Params) -> Change {
        if !program.is_daemon() {
            return Change::default();
        }
        let mut streak = self.streaks.remove(&run);
        let before = streak.clone();
        if let Some(streak) = &mut streak {
            streak.forgive();
        }
        let mut change = self.shared.recover_all(now, program, base, streak.as_mut());
        if let Some(streak) = streak {
            if before.as_ref() != Some(&streak) {
                change.saved.push(saved::put_run(run, &streak));
            }
            self.streaks.insert(run, streak);
        }
        change
    }

    /// The latest time at which this run may be started by itself; `None` unless it is failing and has a
    /// `max_failing`.
    #[must_use]
    pub fn deadline(&self, run: RunId, program: &Program) -> Option<Timestamp> {
        let first = self.streaks.get(&run)?.first_failure?;
        Some(first.plus(program.retry.max_failing_ms?))
    }

    /// Makes the run due at this time, instead of any other.
    pub fn schedule(&mut self, run: RunId, at: Timestamp) {
        self.schedule.set(run, at);
    }

    /// Makes the run not due. If the run is started now, the start is not an automatic one. Returns the state to
    /// save.
    pub fn cancel(&mut self, run: RunId) -> Vec<Put> {
        self.schedule.remove(run);
        self.release(run);
        match self.streaks.get_mut(&run) {
            Some(streak) if streak.automatic => {
                (streak.automatic, streak.probation) = (false, false);
                vec![saved::put_run(run, streak)]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Forgets the run's counters, its own parameters and its schedule. Shared parameters stay. Returns the state to
    /// save.
    pub fn forget(&mut self, run: RunId) -> Vec<Put> {
        self.schedule.remove(run);
        self.release(run);
        match self.streaks.remove(&run) {
            Some(_) => vec![Put { key: saved::run_key(run), value: None }],
            None => Vec::new(),
        }
    }

    // ── the budget ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Replaces the budget of all programs' retries; `None` removes it. Tokens already in the bucket are kept, up to
    /// the new capacity; a new bucket starts full. Without a budget, each start that waits for it is due.
    pub fn set_budget(&mut self, now: Timestamp, rules: Option<RetryBudget>) {
        for run in self.budgets.set_rules(now, rules) {
            self.schedule.set(run, now);
        }
    }

    /// Decides whether this start may ask the breakers. An automatic start needs tokens of each of these scopes and
    /// of all programs. They are set aside for it, or it waits for them in line and is due when it has them. A start
    /// by an operator is free.
    #[must_use = "tokens that nobody knows to be set aside are never given back"]
    pub fn reserve(
        &mut self,
        now: Timestamp,
        run: RunId,
        priority: i32,
        budgets: &[(Scope, RetryBudget)],
    ) -> Leave {
        let own = self.streaks.get(&run).filter(|streak| streak.automatic);
        match own.map_or(0, |streak| streak.cost_permille) {
            0 => Leave::Free,
            cost => self.budgets.ask(now, run, (priority, cost), budgets),
        }
    }

    /// The start is made: its tokens are gone. Returns the state to save.
    pub fn pay(&mut self, now: Timestamp, run: RunId) -> Vec<Put> {
        let mut saved = self.budgets.pay(now, run);
        if let Some(streak) = self.streaks.get_mut(&run).filter(|_| !saved.is_empty()) {
            // If the end of this attempt is not seen, the next start is not an automatic retry.
            streak.cost_permille = 0;
            saved.push(saved::put_run(run, streak));
        }
        saved
    }

    /// A run's first start brings its tokens, at once. Returns the state to save.
    pub fn deposit(&mut self, now: Timestamp, budgets: &[(Scope, RetryBudget)]) -> Vec<Put> {
        self.budgets.deposit(now, budgets)
    }

    /// The start is not made, or not now: gives back what was set aside for it, or its place in line.
    pub fn release(&mut self, run: RunId) {
        self.budgets.release(run);
    }

    /// The rules of the run's program changed: forgets its failures, and a quarantine with them. Returns the state to
    /// save.
    pub fn forgive(&mut self, run: RunId) -> Vec<Put> {
        let Some(streak) = self.streaks.get_mut(&run) else { return Vec::new() };
        streak.forgive();
        if let Some(rest) = streak.rest.get_mut() {
            rest.starts = intensity::Starts::NONE;
        }
        vec![saved::put_run(run, streak)]
    }

    // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// When the next run is due: by its delay, or because there will be tokens for it.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next().into_iter().chain(self.budgets.next_ready()).min()
    }

    /// Takes the next run that is due, in order of time; runs that waited for tokens come after the others.
    pub fn take_due(&mut self, now: Timestamp) -> Option<RunId> {
        let due = self.schedule.take_due(now);
        due.or_else(|| self.budgets.take_ready(now))
    }

    /// Brings back saved state, its times moved to the present clock. Returns what must be saved again because its
    /// times were moved, and the keys of records that could not be read. The runs of these keys begin anew.
    ///
    /// Schedules no run: only the caller knows which runs still wait.
    pub fn restore(
        &mut self,
        now: Timestamp,
        shift: ClockShift,
        saved: &[(String, Vec<u8>)],
    ) -> (Vec<Put>, Vec<String>) {
        let (mut moved, mut forgotten, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in saved {
            match saved::read(key, value) {
                Some(Read::Run(run, mut streak)) => {
                    streak.wake(now, shift);
                    moved.push(saved::put_run(run, &streak));
                    self.streaks.insert(run, streak);
                }
                Some(Read::Shared(path, mut adjusted)) => {
                    adjusted.wake(now, shift);
                    moved.push(self.shared.restore(now, path, adjusted));
                }
                Some(Read::Budget(Some(scope), level))
                    if now.since(shift.apply(level.at)) >= params::UNUSED_MS =>
                {
                    forgotten.push(saved::put_budget(Some(&scope), None));
                }
                Some(Read::Budget(scope, level)) => {
                    moved.extend(self.budgets.restore(now, shift, scope, level));
                }
                None => unread.push(key.clone()),
            }
        }
        if shift.is_none() {
            moved.clear();
        }
        while self.shared.has_idle(now) {
            forgotten.extend(self.shared.forget_unused(now));
        }
        moved.extend(forgotten);
        (moved, unread)
    }
}
