//! The decisions of Retry: time is an argument, chance is a seed, nothing is read and nothing is sent.

mod adjust;
mod budget;
mod budgets;
mod decision;
mod forecast;
mod intensity;
mod jitter;
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
    why::Why,
};

use self::{
    adjust::Adjusted,
    budgets::Budgets,
    law::{Curves, Law},
    saved::Read,
    schedule::Schedule,
    streak::Streak,
    why::{Wait, nth_failure},
};
use crate::model::{
    Adjust, Class, ClassRule, ClockShift, EndReason, OnLost, Params, Phase, Program, Put, Restart,
    RetryBudget, RunId, RunMap, Scope, Timestamp, format_duration_ms, say_duration_ms,
};
use std::collections::{BTreeMap, HashMap};

/// Automatic restarts of a job whose `max_retries` is not given; a daemon has no limit.
const JOB_RETRIES: u32 = 5;

/// Everything Retry knows.
#[derive(Debug)]
pub struct Machine {
    seed: u64,
    streaks: RunMap<Box<Streak>>,
    curves: Curves,
    /// By the siblings' key, then by parameter: few share more than one, and so a list is shorter than a table.
    shared: HashMap<String, Vec<(String, Adjusted)>>,
    schedule: Schedule,
    /// What retries are paid from, where somebody asked for that.
    budgets: Budgets,
}

/// A failure, as far as it is worked out before it is known whether another attempt follows.
struct Failure<'a> {
    class: &'a str,
    /// Without what it adjusts.
    rule: ClassRule,
    adjust: &'a BTreeMap<String, Adjust>,
    hint_ms: Option<u64>,
}

impl Machine {
    /// Knows nothing yet. Equal seeds draw equal delays.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            streaks: RunMap::default(),
            curves: Curves::default(),
            shared: HashMap::new(),
            schedule: Schedule::default(),
            budgets: Budgets::default(),
        }
    }

    /// An attempt ended: what now?
    pub fn ended(&mut self, now: Timestamp, end: End<'_>) -> Verdict {
        let known = self.streaks.remove(&end.run);
        let was_known = known.is_some();
        let mut streak = known.unwrap_or_default();
        let policy = &end.program.retry;
        if let Some(limit) = policy.intensity
            && std::mem::take(&mut streak.automatic)
        {
            // The start itself, not when it was due: a breaker may have held it back.
            streak.starts.record(Timestamp(now.0.saturating_sub(end.uptime_ms)), limit);
        }
        if end.program.is_daemon() && end.uptime_ms >= policy.reset_after_ms() {
            streak.forgive();
        }
        let (decision, failure) = self.decide(now, end, &mut streak);
        let goes_on = matches!(decision, Decision::RetryAt { .. });
        let Change { events, mut saved } = match failure {
            Some(failure) => self.adjust_all(now, end, &failure, &mut streak, goes_on),
            // A job's success is evidence of health. A daemon's clean end is not: its life was, each time it was told.
            None if matches!(decision, Decision::Done { .. }) => {
                self.recover_all(now, end.program, end.base, None)
            }
            None => Change::default(),
        };
        let on_probation = streak.probation;
        if goes_on {
            saved.push(saved::put_run(end.run, &streak));
            self.streaks.insert(end.run, streak);
        } else if was_known {
            saved.push(Put { key: saved::run_key(end.run), value: None });
        }
        Verdict { decision, events, saved, quarantined: goes_on && on_probation }
    }

    fn decide<'a>(
        &mut self,
        now: Timestamp,
        end: End<'a>,
        streak: &mut Streak,
    ) -> (Decision, Option<Failure<'a>>) {
        let (class, hint_ms) = match end.outcome {
            Outcome::Success => return (self.after_success(now, end, streak), None),
            Outcome::Failed { class, retry_after_ms } => (class.as_str(), *retry_after_ms),
        };
        match (class, end.program.on_lost) {
            (Class::CLEAN_EXIT, _) | (Class::LOST, OnLost::Success) => {
                return (self.after_success(now, end, streak), None);
            }
            (Class::LOST, OnLost::Fail) => {
                let why = "its end was not seen, and on_lost = \"fail\"".to_owned();
                return (gave_up(EndReason::Exit, why), None);
            }
            _ => {}
        }
        let (rule, adjust) = end.program.class_rule_and_adjust(class);
        let failure = Failure { class, rule, adjust, hint_ms };
        (self.after_failure(now, end, &failure, streak), Some(failure))
    }

    fn after_success(&mut self, now: Timestamp, end: End<'_>, streak: &mut Streak) -> Decision {
        if !end.program.is_daemon() {
            return Decision::Done { why: "it ended with success".into() };
        }
        streak.uncounted = 0;
        let (rule, _) = end.program.class_rule_and_adjust(Class::CLEAN_EXIT);
        let law = Law::of(&end.program.retry, &rule);
        let wait = self.wait(end, &law, 1, None, streak);
        let quarantine = quarantined(now, now.plus(wait.delay_ms), end, streak);
        if let Some(Quarantine::ForGood(decision)) = quarantine {
            return decision;
        }
        streak.automatic = true;
        streak.cost_permille = rule.cost_permille;
        if let Some(Quarantine::Until { until, raw_ms, why }) = quarantine {
            let (delay_ms, why) = (until.since(now), why.into());
            return Decision::RetryAt { at: until, n: streak.n, raw_ms, delay_ms, why };
        }
        wait.retry(now, streak.n, Why::clean_end(end.uptime_ms, wait))
    }

    fn after_failure(
        &mut self,
        now: Timestamp,
        end: End<'_>,
        failure: &Failure<'_>,
        streak: &mut Streak,
    ) -> Decision {
        let (policy, class) = (&end.program.retry, failure.class);
        if end.program.restart == Restart::No {
            return gave_up(EndReason::Exit, format!("it failed ({class}), and restart = \"no\""));
        }
        if !failure.rule.retry {
            let why = format!("trying again cannot help against {class} (retry = false)");
            return gave_up(EndReason::NotRetryable, why);
        }
        let place = streak.count(failure.rule.counts, now);
        let limit = policy.max_retries.or(if end.program.is_daemon() { None } else { Some(JOB_RETRIES) });
        if let Some(limit) = limit.filter(|limit| failure.rule.counts && place > *limit) {
            let why = format!("{} ({class}); max_retries = {limit} allows no more", nth_failure(place));
            return gave_up(EndReason::MaxRetries, why);
        }
        if let Some(limit) = failure.rule.max_retries {
            let count = streak.count_class(class);
            if count > limit {
                let why = format!(
                    "{} by {class}; max_retries = {limit} of this class allows no more",
                    nth_failure(count)
                );
                return gave_up(EndReason::MaxRetries, why);
            }
        }
        if let Some((name, value)) = self.ends_at_floor(end, failure, streak) {
            let why =
                format!("it failed ({class}) with {name} at its floor {value}, and on_floor = \"give_up\"");
            return gave_up(EndReason::NotRetryable, why);
        }
        let law = Law::of(policy, &failure.rule);
        let wait = self.wait(end, &law, place, failure.hint_ms, streak);
        let quarantine = quarantined(now, now.plus(wait.delay_ms), end, streak);
        let at = match &quarantine {
            Some(Quarantine::Until { until, .. }) => *until,
            Some(Quarantine::ForGood(_)) | None => now.plus(wait.delay_ms),
        };
        if let Some(decision) = beyond_max_failing(now, at, end, class, streak) {
            return decision;
        }
        if let Some(Quarantine::ForGood(decision)) = quarantine {
            return decision;
        }
        streak.automatic = true;
        streak.cost_permille = failure.rule.cost_permille;
        streak.previous_ms = Some(wait.drawn_ms);
        if let Some(Quarantine::Until { until, raw_ms, why }) = quarantine {
            let (delay_ms, why) =
                (until.since(now), format!("{} ({class}); {why}", nth_failure(place)).into());
            return Decision::RetryAt { at: until, n: streak.n, raw_ms, delay_ms, why };
        }
        wait.retry(now, streak.n, Why::failure(class, place, failure.rule.counts, wait))
    }

    fn wait(
        &mut self,
        end: End<'_>,
        law: &Law,
        place: u32,
        hint_ms: Option<u64>,
        streak: &mut Streak,
    ) -> Wait {
        let policy = &end.program.retry;
        let raw_ms = self.curves.raw(law, place);
        let u = jitter::draw(self.seed, end.run, streak.draws);
        streak.draws = streak.draws.wrapping_add(1);
        let drawn_ms = jitter::spread(policy.jitter, law, raw_ms, streak.previous_ms, u);
        let hint = hint_ms.map(|asked| (asked, policy.retry_after_max_ms));
        let delay_ms = drawn_ms.max(hint.map_or(0, |(asked, most)| asked.min(most)));
        Wait { raw_ms, drawn_ms, delay_ms, hint }
    }

    /// A daemon has been healthy for its `reset_after`: its row of failures is over, and what was lowered gets a step
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
        let mut change = self.recover_all(now, program, base, streak.as_deref_mut());
        if let Some(streak) = streak {
            if before.as_ref() != Some(&streak) {
                change.saved.push(saved::put_run(run, &streak));
            }
            self.streaks.insert(run, streak);
        }
        change
    }

    /// The latest time at which this run may be started by itself, when it is failing and has a `max_failing`.
    #[must_use]
    pub fn deadline(&self, run: RunId, program: &Program) -> Option<Timestamp> {
        let first = self.streaks.get(&run)?.first_failure?;
        Some(first.plus(program.retry.max_failing_ms?))
    }

    /// The run is due at this time, instead of any other.
    pub fn schedule(&mut self, run: RunId, at: Timestamp) {
        self.schedule.set(run, at);
    }

    /// The run is not due after all. If it is started now, somebody else decided so: the state to save.
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

    /// Forgets the run's counters, its own parameters and its schedule. Shared parameters stay.
    pub fn forget(&mut self, run: RunId) -> Vec<Put> {
        self.schedule.remove(run);
        self.release(run);
        match self.streaks.remove(&run) {
            Some(_) => vec![Put { key: saved::run_key(run), value: None }],
            None => Vec::new(),
        }
    }

    // ── the budget ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// This is the budget of all programs' retries from now on; what there is stays, as far as it fits. A new one is
    /// full. Without one, whoever waits for it is due.
    pub fn set_budget(&mut self, now: Timestamp, rules: Option<RetryBudget>) {
        for run in self.budgets.set_rules(now, rules) {
            self.schedule.set(run, now);
        }
    }

    /// May this start ask the breakers? One that we decided on needs its tokens, of each of these scopes and of all
    /// programs; they are set aside for it, or it waits for them in line and is due when it has them. What an operator
    /// starts is free.
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

    /// The start is made: its tokens are gone. The state to save.
    pub fn pay(&mut self, now: Timestamp, run: RunId) -> Vec<Put> {
        let mut saved = self.budgets.pay(now, run);
        if let Some(streak) = self.streaks.get_mut(&run).filter(|_| !saved.is_empty()) {
            // Should its end not be seen, the next start was no retry of ours.
            streak.cost_permille = 0;
            saved.push(saved::put_run(run, streak));
        }
        saved
    }

    /// A run's first start brings its tokens, at once. The state to save.
    pub fn deposit(&mut self, now: Timestamp, budgets: &[(Scope, RetryBudget)]) -> Vec<Put> {
        self.budgets.deposit(now, budgets)
    }

    /// The start is not made, or not now: what was set aside for it, or its place in line, is given back.
    pub fn release(&mut self, run: RunId) {
        self.budgets.release(run);
    }

    /// The rules of its program changed: its failures are forgotten, and a quarantine with them. The state to save.
    pub fn forgive(&mut self, run: RunId) -> Vec<Put> {
        let Some(streak) = self.streaks.get_mut(&run) else { return Vec::new() };
        streak.forgive();
        streak.starts = intensity::Starts::default();
        vec![saved::put_run(run, streak)]
    }

    // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// When the next run is due: by its delay, or because there will be tokens for it.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next().into_iter().chain(self.budgets.next_ready()).min()
    }

    /// Takes the next run that is due, in order of time; those that waited for tokens come after.
    pub fn take_due(&mut self, now: Timestamp) -> Option<RunId> {
        let due = self.schedule.take_due(now);
        due.or_else(|| self.budgets.take_ready(now))
    }

    /// Brings back saved state, its times moved to the clock of now. What must be saved again because it was moved, and
    /// the keys of records that could not be read, whose runs begin anew.
    ///
    /// Nothing is scheduled by it: only the one who knows that a run still waits can say so.
    pub fn restore(
        &mut self,
        now: Timestamp,
        shift: ClockShift,
        saved: &[(String, Vec<u8>)],
    ) -> (Vec<Put>, Vec<String>) {
        let (mut moved, mut unread) = (Vec::new(), Vec::new());
        for (key, value) in saved {
            match saved::read(key, value) {
                Some(Read::Run(run, mut streak)) => {
                    streak.wake(now, shift);
                    moved.push(saved::put_run(run, &streak));
                    self.streaks.insert(run, Box::new(streak));
                }
                Some(Read::Shared(shared_by, name, mut adjusted)) => {
                    adjusted.wake(now, shift);
                    moved.push(saved::put_shared(&shared_by, &name, Some(&adjusted)));
                    params::keep(self.shared.entry(shared_by).or_default(), &name, adjusted);
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
        (moved, unread)
    }
}

impl Wait {
    const fn retry(&self, now: Timestamp, n: u32, why: Why) -> Decision {
        Decision::RetryAt {
            at: now.plus(self.delay_ms),
            n,
            raw_ms: self.raw_ms,
            delay_ms: self.delay_ms,
            why,
        }
    }
}

const fn gave_up(reason: EndReason, why: String) -> Decision {
    Decision::GiveUp { phase: Phase::Failed, reason, why }
}

/// Whether the next attempt would be later than `max_failing` allows.
fn beyond_max_failing(
    now: Timestamp,
    at: Timestamp,
    end: End<'_>,
    class: &str,
    streak: &Streak,
) -> Option<Decision> {
    let (first, longest) = (streak.first_failure?, end.program.retry.max_failing_ms?);
    (at.since(first) > longest).then(|| {
        let why = format!(
            "it has failed for {}, and the next attempt in {} ({class}) would be later than max_failing = {}",
            say_duration_ms(now.since(first)),
            say_duration_ms(at.since(now)),
            format_duration_ms(longest)
        );
        gave_up(EndReason::Deadline, why)
    })
}

/// Whether this start would be one too many, and what becomes of the run then. Its time, where it gets one.
fn quarantined(now: Timestamp, at: Timestamp, end: End<'_>, streak: &mut Streak) -> Option<Quarantine> {
    let policy = &end.program.retry;
    let limit = policy.intensity?;
    let failed_probation = std::mem::take(&mut streak.probation) && policy.quarantine_ms.is_some();
    let full = streak.starts.is_full_at(at, limit);
    if !full && !failed_probation {
        return None;
    }
    let because = if full {
        format!(
            "{} automatic restarts within {} are the most that intensity allows",
            limit.restarts,
            format_duration_ms(limit.window_ms)
        )
    } else {
        "the start after its quarantine failed".to_owned()
    };
    let Some(ms) = policy.quarantine_ms else {
        let why = format!("{because}; an operator may start it again");
        return Some(Quarantine::ForGood(Decision::GiveUp {
            phase: Phase::Quarantined,
            reason: EndReason::Intensity,
            why,
        }));
    };
    streak.probation = true;
    let until = now.plus(ms).max(streak.starts.free_at(limit)).max(at);
    let why = format!("{because}; quarantined for {}, then one start", say_duration_ms(until.since(now)));
    Some(Quarantine::Until { until, raw_ms: ms, why })
}

/// What becomes of a run that was started too often.
enum Quarantine {
    /// It ends.
    ForGood(Decision),
    /// It gets one start then.
    Until { until: Timestamp, raw_ms: u64, why: String },
}
