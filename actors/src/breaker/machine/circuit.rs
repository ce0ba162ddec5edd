//! One scope: its state, its counters, and how it moves.

use super::{
    penalty,
    state::{Ramp, Refusal, Row, State, Word},
    terms::{BreakerStatus, Change, Outcome, Permit},
    window::Window,
    words,
};
use crate::model::{
    BreakerPolicy, Event, OnProbeExpiry, ProbeSuccess, RunId, Scope, Timestamp, format_duration_ms,
    say_duration_ms,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long a scope must be closed, at level 0 and untouched before it is forgotten. A day: longer than the pause
/// between the starts of a nightly job, short enough that a scope for each of a million hosts stays bounded.
const IDLE_MS: u64 = 24 * 3_600_000;

/// Classes of failures that a sentence can name. Eight fill a line; of longer rows the latest are named.
const RECENT: usize = 8;

/// The breaker of one scope.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Circuit {
    pub(super) scope: Scope,
    pub(super) policy: BreakerPolicy,
    pub(super) state: State,
    pub(super) level: u32,
    /// Stamped on permits; an outcome of another epoch changes nothing. It begins at the time of creation, so that a
    /// scope which was forgotten and comes back does not hear those from before.
    pub(super) epoch: u64,
    /// How often it opened: the number that makes each draw another one.
    openings: u64,
    row: Row,
    window: Window,
    /// Classes of the latest failures, oldest first.
    recent: VecDeque<String>,
    /// The latest change of state or level, from which decay counts.
    changed_at: Timestamp,
    why: String,
    ramp: Option<Ramp>,
    touched_at: Timestamp,
    /// Runs with a permit. Not saved: one more write for each start would buy only that an idle scope is remembered.
    #[serde(skip)]
    holders: u64,
    #[serde(skip)]
    seed: u64,
}

impl Circuit {
    pub(super) fn new(scope: Scope, policy: BreakerPolicy, seed: u64, now: Timestamp) -> Self {
        Self {
            scope,
            policy,
            state: State::Closed,
            level: 0,
            epoch: now.0,
            openings: 0,
            row: Row::default(),
            window: Window::default(),
            recent: VecDeque::new(),
            changed_at: now,
            why: "nothing has happened yet".into(),
            ramp: None,
            touched_at: now,
            holders: 0,
            seed,
        }
    }

    /// When it changes by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Closed => None,
            State::Open { until } => Some(*until),
            State::ForcedOpen { until } => *until,
            State::HalfOpen { leases, .. } => leases.values().min().copied(),
        }
    }

    /// When it may be forgotten, if nothing happens before.
    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        if self.state != State::Closed || self.level > 0 || self.holders > 0 {
            return None;
        }
        let idle = self.touched_at.plus(IDLE_MS);
        match (self.window.newest(), self.policy.window.age_ms) {
            (None, _) => Some(idle),
            (Some(_), 0) => None,
            (Some(newest), age) => Some(idle.max(newest.plus(age))),
        }
    }

    /// Applies what was due at [`Self::deadline`], at that time.
    pub(super) fn expire(&mut self, out: &mut Vec<Change>) {
        let Some(at) = self.deadline() else { return };
        match &mut self.state {
            State::Closed => {}
            State::Open { .. } => {
                let penalty = at.since(self.changed_at);
                let why =
                    format!("the penalty is over after {}; probes are let through", say_duration_ms(penalty));
                self.become_half_open(at, why, out);
            }
            State::ForcedOpen { .. } => {
                let why = "the time for which it was forced open is over; probes are let through".into();
                self.become_half_open(at, why, out);
            }
            State::HalfOpen { leases, failed_permille, .. } => {
                let Some(run) = leases.iter().find(|(_, lease)| **lease == at).map(|(run, _)| *run) else {
                    return;
                };
                leases.remove(&run);
                let event = Event::ProbeExpired { lease_until: at };
                out.push(Change { at, scope: self.scope.clone(), run: Some(run), event });
                let silent = format!(
                    "a probe said nothing within its lease of {}",
                    format_duration_ms(self.policy.half_open.lease_ms)
                );
                match self.policy.on_probe_expiry {
                    OnProbeExpiry::Release => {}
                    OnProbeExpiry::ReopenSameLevel => self.open(at, self.level, &silent, out),
                    OnProbeExpiry::Failure => {
                        *failed_permille += 1_000;
                        if *failed_permille >= self.reopening_permille() {
                            self.open(at, self.level.saturating_add(1), &silent, out);
                        }
                    }
                }
            }
        }
    }

    /// Whether this run may start under these rules; `Ok(true)` as a probe. Changes nothing.
    pub(super) fn look(&self, run: RunId, now: Timestamp, policy: &BreakerPolicy) -> Result<bool, Refusal> {
        match &self.state {
            State::Closed => match self.ramp {
                Some(ramp) if now < ramp.until && now < ramp.next => Err(Refusal {
                    retry_at: Some(ramp.next),
                    why: format!(
                        "closed a moment ago; starts are let through {} apart",
                        format_duration_ms(policy.ramp.spacing_ms)
                    ),
                }),
                _ => Ok(false),
            },
            State::Open { until } => {
                Err(Refusal { retry_at: Some(*until), why: format!("open: {}", self.why) })
            }
            State::ForcedOpen { until } => Err(Refusal { retry_at: *until, why: self.why.clone() }),
            State::HalfOpen { leases, .. } => {
                let permits = policy.half_open.permits.max(1);
                let out = u32::try_from(leases.len()).unwrap_or(u32::MAX);
                if leases.contains_key(&run) || out < permits {
                    return Ok(true);
                }
                let why = format!("half-open, and {out} of half_open.permits = {permits} probes are out");
                Err(Refusal { retry_at: leases.values().min().copied(), why })
            }
        }
    }

    /// The permit that a run gets now, by what [`Self::look`] said.
    pub(super) fn permit(&self, now: Timestamp, policy: &BreakerPolicy, probe: bool) -> Permit {
        let half_open = &policy.half_open;
        Permit {
            scope: self.scope.clone(),
            epoch: self.epoch,
            lease_until: probe.then(|| now.plus(half_open.lease_ms)),
            stable_ms: (probe && half_open.success == ProbeSuccess::Auto).then_some(half_open.stable_ms),
        }
    }

    /// Takes what [`Self::look`] allowed; whether that is worth saving.
    pub(super) fn grant(&mut self, run: RunId, now: Timestamp, policy: &BreakerPolicy) -> bool {
        let mut changed = self.policy != *policy;
        if changed {
            self.policy = policy.clone();
            self.level = self.level.min(penalty::top_level(policy));
        }
        self.holders = self.holders.saturating_add(1);
        self.touched_at = now;
        match &mut self.state {
            State::HalfOpen { leases, .. } => {
                leases.insert(run, now.plus(policy.half_open.lease_ms));
                changed = true;
            }
            State::Closed => match &mut self.ramp {
                Some(ramp) if now < ramp.until => ramp.next = now.plus(policy.ramp.spacing_ms),
                _ => self.ramp = None,
            },
            State::Open { .. } | State::ForcedOpen { .. } => {}
        }
        changed
    }

    /// Hears how a holder of a permit of this epoch went; whether that is worth saving.
    pub(super) fn settle(&mut self, now: Timestamp, word: &Word<'_>, out: &mut Vec<Change>) -> bool {
        self.touched_at = now;
        if !word.keep {
            self.holders = self.holders.saturating_sub(1);
        }
        let may_speak = match &self.state {
            State::Closed => true,
            State::HalfOpen { leases, .. } => leases.contains_key(&word.run),
            State::Open { .. } | State::ForcedOpen { .. } => false,
        };
        if !may_speak || word.epoch != self.epoch {
            // One that lives on from before says that it is well again and again; that is no news.
            if !word.keep || matches!(word.outcome, Outcome::Failure { .. }) {
                let event = Event::LateOutcome { why: words::late(word, self.state.name()) };
                out.push(Change { at: now, scope: self.scope.clone(), run: Some(word.run), event });
            }
            return false;
        }
        match word.outcome {
            Outcome::Neutral | Outcome::Failure { weight_permille: 0 } => self.release(word),
            Outcome::Success => self.succeeded(now, word, out),
            Outcome::Failure { weight_permille } => {
                self.failed(now, word, weight_permille, out);
                true
            }
        }
    }

    /// A neutral word says nothing, but it gives a probe's permit back.
    fn release(&mut self, word: &Word<'_>) -> bool {
        match &mut self.state {
            State::HalfOpen { leases, .. } if !word.keep => leases.remove(&word.run).is_some(),
            _ => false,
        }
    }

    fn succeeded(&mut self, now: Timestamp, word: &Word<'_>, out: &mut Vec<Change>) -> bool {
        if let State::HalfOpen { leases, ok, .. } = &mut self.state {
            // Also of one that lives on: it has proved itself, and the next may probe.
            leases.remove(&word.run);
            *ok = ok.saturating_add(1);
            let (ok, asked) = (*ok, self.policy.half_open.successes.max(1));
            if ok >= asked {
                let why = match asked {
                    1 => "the probe succeeded".to_owned(),
                    _ => format!("{ok} probes succeeded, as half_open.successes = {asked} asks"),
                };
                self.close(now, why, out);
            }
            return true;
        }
        self.row = Row::default();
        self.window.push(now, 0, self.policy.window);
        if self.level > 0 && now.since(self.changed_at) >= self.policy.decay_after_ms {
            self.level -= 1;
            let after = say_duration_ms(now.since(self.changed_at));
            let why = format!("a success {after} after the last change; back to level {}", self.level);
            self.note(now, "closed", why, out);
        }
        true
    }

    fn failed(&mut self, now: Timestamp, word: &Word<'_>, weight: u32, out: &mut Vec<Change>) {
        let class = word.class.unwrap_or("unclassified");
        if let State::HalfOpen { leases, failed_permille, .. } = &mut self.state {
            if !word.keep {
                leases.remove(&word.run);
            }
            *failed_permille = failed_permille.saturating_add(u64::from(weight));
            if *failed_permille >= self.reopening_permille() {
                self.open(now, self.level.saturating_add(1), &format!("the probe failed ({class})"), out);
            }
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(class.to_owned());
        self.row.count = self.row.count.saturating_add(1);
        self.row.permille = self.row.permille.saturating_add(u64::from(weight));
        self.window.push(now, weight, self.policy.window);
        if let Some(why) = words::trip(&self.policy, self.row, self.window.share(), &self.recent) {
            self.open(now, self.level.saturating_add(1), &why, out);
        }
    }

    /// The weight of failed probes that opens again.
    fn reopening_permille(&self) -> u64 {
        u64::from(self.policy.half_open.failures.max(1)) * 1_000
    }

    fn open(&mut self, at: Timestamp, level: u32, cause: &str, out: &mut Vec<Change>) {
        let from = self.state.name();
        self.level = level.min(penalty::top_level(&self.policy));
        self.openings = self.openings.wrapping_add(1);
        let u = penalty::draw(self.seed, &self.scope, self.openings);
        let penalty_ms = penalty::of_level(&self.policy, self.level);
        let lasts = penalty::lengthened(penalty_ms, self.policy.penalty_jitter_permille, u);
        self.begin_epoch();
        self.state = State::Open { until: at.plus(lasts) };
        let why = format!("{cause}; open for {}, level {}", say_duration_ms(lasts), self.level);
        self.note(at, from, why, out);
    }

    fn become_half_open(&mut self, at: Timestamp, why: String, out: &mut Vec<Change>) {
        let from = self.state.name();
        self.state = State::half_open();
        self.note(at, from, why, out);
    }

    fn close(&mut self, at: Timestamp, why: String, out: &mut Vec<Change>) {
        let from = self.state.name();
        self.forget_failures();
        self.state = State::Closed;
        self.begin_ramp(at);
        self.note(at, from, why, out);
    }

    /// An operator closes it; level 0.
    pub(super) fn reset(&mut self, now: Timestamp, who: &str, out: &mut Vec<Change>) {
        self.level = 0;
        self.begin_epoch();
        self.close(now, format!("reset {who}"), out);
    }

    /// An operator refuses everybody.
    pub(super) fn force_open(
        &mut self,
        now: Timestamp,
        ttl_ms: Option<u64>,
        who: &str,
        out: &mut Vec<Change>,
    ) {
        let from = self.state.name();
        self.begin_epoch();
        self.state = State::ForcedOpen { until: ttl_ms.map(|ttl| now.plus(ttl)) };
        let how_long = ttl_ms.map_or_else(
            || "until somebody ends it".to_owned(),
            |ttl| format!("for {}", format_duration_ms(ttl)),
        );
        self.note(now, from, format!("forced open {who}, {how_long}"), out);
    }

    /// An operator ends a forced open; whether it was one.
    pub(super) fn end_forced_open(&mut self, now: Timestamp, who: &str, out: &mut Vec<Change>) -> bool {
        let forced = matches!(self.state, State::ForcedOpen { .. });
        if forced {
            self.become_half_open(now, format!("forced open was ended {who}; probes are let through"), out);
        }
        forced
    }

    fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.ramp = None;
        self.forget_failures();
    }

    fn forget_failures(&mut self) {
        self.row = Row::default();
        self.window = Window::default();
        self.recent.clear();
    }

    fn begin_ramp(&mut self, at: Timestamp) {
        let rules = self.policy.ramp;
        self.ramp = (rules.over_ms > 0 && rules.spacing_ms > 0)
            .then(|| Ramp { until: at.plus(rules.over_ms), next: at });
    }

    fn note(&mut self, at: Timestamp, from: &str, why: String, out: &mut Vec<Change>) {
        self.changed_at = at;
        self.touched_at = self.touched_at.max(at);
        self.why.clone_from(&why);
        let event = Event::BreakerChanged {
            from: from.to_owned(),
            to: self.state.name().to_owned(),
            level: self.level,
            until: self.state.until(),
            why,
        };
        out.push(Change { at, scope: self.scope.clone(), run: None, event });
    }

    /// Takes a circuit that was read back into the time of now: `then` on its own clock is `now` on ours. What ended
    /// meanwhile ends now, and nothing lasts longer than its rules allow.
    pub(super) fn wake(&mut self, seed: u64, now: Timestamp, then: Timestamp) {
        let past = |at: Timestamp| Timestamp(now.0.saturating_sub(then.since(at)));
        let future = |at: Timestamp, longest: u64| now.plus(at.since(then).min(longest));
        self.seed = seed;
        self.touched_at = now;
        self.changed_at = past(self.changed_at);
        self.window.map_times(past);
        self.ramp = self.ramp.filter(|ramp| ramp.until > then).map(|ramp| Ramp {
            until: future(ramp.until, self.policy.ramp.over_ms),
            next: future(ramp.next, self.policy.ramp.spacing_ms),
        });
        let policy = &self.policy;
        match &mut self.state {
            State::Closed => {}
            State::Open { until } => {
                let longest =
                    penalty::lengthened(policy.max_penalty_ms, policy.penalty_jitter_permille, u32::MAX);
                *until = future(*until, longest);
            }
            State::HalfOpen { leases, .. } => {
                for lease in leases.values_mut() {
                    *lease = future(*lease, policy.half_open.lease_ms);
                }
            }
            State::ForcedOpen { until } => *until = until.map(|until| future(until, u64::MAX)),
        }
    }

    /// It was half-open by guess: says so.
    pub(super) fn note_guess(&mut self, now: Timestamp, from: &str, out: &mut Vec<Change>) {
        let why = format!("its saved record could not be read, but it was {from}; probes are let through");
        self.note(now, from, why, out);
    }

    pub(super) fn status(&self) -> BreakerStatus {
        let probes = match &self.state {
            State::HalfOpen { leases, .. } => u32::try_from(leases.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        BreakerStatus {
            scope: self.scope.clone(),
            state: self.state.name().to_owned(),
            level: self.level,
            until: self.state.until(),
            failures_permille: self.row.permille,
            probes,
            why: self.why.clone(),
            changed_at: self.changed_at,
        }
    }
}
