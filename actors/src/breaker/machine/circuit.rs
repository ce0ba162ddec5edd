//! One scope: its state, its counters, and how it moves.

use super::{
    penalty,
    state::{Ramp, Refusal, Row, State, Word},
    terms::{BreakerStatus, Change, Gate, Outcome, Permit},
    window::Window,
    words::{self, Lateness},
};
use crate::model::{
    BreakerMode, BreakerPolicy, BreakerState, Event, OnProbeExpiry, ProbeSuccess, RunId, Scope, Timestamp,
    format_duration_ms, say_duration_ms,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// How long a scope without any counted outcome is kept after its last use. A minute: a run that fails for reasons of
/// its own usually comes back sooner, so the scope need not be written anew for each of its starts.
const UNKNOWN_MS: u64 = 60_000;

/// How long a resting scope whose outcomes do not grow old (`window.age = "0s"`) is kept after its last use, if none
/// of them is a failure. A day: longer than the pause between the starts of a nightly job.
const AGELESS_MS: u64 = 24 * 3_600_000;

/// How long a scope that no success has proved since it opened is kept after its last use: half-open without a probe,
/// or closed at a higher level. Eight days: longer than the pause between two starts of a weekly job. Time alone
/// proves nothing, but without an end each host that ever failed would be kept for ever. A run that comes later finds
/// the scope closed at level 0.
const UNPROVED_MS: u64 = 8 * 24 * 3_600_000;

/// The number of classes of failures that a sentence can name. Eight fill a line; of longer rows the latest are
/// named.
const RECENT: usize = 8;

/// The breaker of one scope.
///
/// The fields lie in this order in memory, because most of a decision's time is memory that the processor has to
/// fetch: what each start reads comes first and lies together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[repr(C)]
pub(super) struct Circuit {
    pub(super) scope: Scope,
    pub(super) state: State,
    pub(super) policy: Arc<BreakerPolicy>,
    /// Stamped on permits; an outcome of another epoch changes nothing. It begins at the time of creation, so that a
    /// scope which was forgotten and comes back does not count outcomes from before.
    pub(super) epoch: u64,
    pub(super) touched_at: Timestamp,
    /// When an outcome last counted.
    #[serde(default)]
    pub(super) heard_at: Timestamp,
    /// The number of permits of this epoch that are out; their holders are in [`Held`](super::held::Held).
    #[serde(skip)]
    pub(super) out: u32,
    pub(super) level: u32,
    /// The mode that an operator set, until an operator takes it back.
    pub(super) by_hand: Option<BreakerMode>,
    pub(super) ramp: Option<Ramp>,
    /// Probes of this epoch that lost their lease and still live. Whatever they report is late, also when other runs
    /// have closed the scope meanwhile.
    pub(super) expired: BTreeSet<RunId>,
    /// How often the scope opened, which makes each draw a different one.
    openings: u64,
    pub(super) row: Row,
    pub(super) window: Window,
    /// Starts that became ready: weight 0 in time, weight 1,000 slow.
    #[serde(default, skip_serializing_if = "Window::is_empty")]
    pub(super) starts: Window,
    /// Classes of the latest failures, oldest first.
    pub(super) recent: VecDeque<String>,
    /// The time of the latest change of state or level, from which decay counts.
    pub(super) changed_at: Timestamp,
    why: String,
    #[serde(skip)]
    pub(super) seed: u64,
}

impl Circuit {
    pub(super) fn new(scope: Scope, policy: Arc<BreakerPolicy>, seed: u64, now: Timestamp) -> Self {
        Self {
            scope,
            state: State::of_mode(policy.mode),
            policy,
            level: 0,
            epoch: now.0,
            openings: 0,
            by_hand: None,
            expired: BTreeSet::new(),
            row: Row::default(),
            window: Window::default(),
            starts: Window::default(),
            recent: VecDeque::new(),
            changed_at: now,
            why: "nothing has happened yet".into(),
            ramp: None,
            touched_at: now,
            heard_at: Timestamp(0),
            out: 0,
            seed,
        }
    }

    /// When the scope changes by itself; `None` when it does not.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Closed | State::Disabled | State::MetricsOnly => None,
            State::Open { until } => Some(*until),
            State::ForcedOpen { until } => *until,
            State::HalfOpen { leases, .. } => leases.values().min().copied(),
        }
    }

    /// When it may be forgotten, if nothing happens to the scope before; `None` when it may not be forgotten.
    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        let rests = match &self.state {
            State::Closed | State::Disabled | State::MetricsOnly => true,
            State::HalfOpen { leases, .. } => leases.is_empty(),
            State::Open { .. } | State::ForcedOpen { .. } => false,
        };
        if !rests || self.by_hand.is_some() || self.out > 0 {
            return None;
        }
        if self.level > 0 || matches!(self.state, State::HalfOpen { .. }) {
            return Some(self.touched_at.max(self.changed_at).plus(UNPROVED_MS));
        }
        let known = self.row.count > 0 || !self.window.is_empty() || !self.starts.is_empty();
        let failed = self.row.count > 0 || self.window.share().failures > 0 || !self.starts.is_empty();
        let newest = self.window.newest().max(self.starts.newest()).unwrap_or_default();
        let kept_until = match (known, self.policy.window.age_ms) {
            (false, _) => self.touched_at.plus(UNKNOWN_MS),
            (true, 0) if failed => return None,
            (true, 0) => self.touched_at.plus(AGELESS_MS),
            // The row of failures is no younger than the latest outcome.
            (true, age_ms) => self.heard_at.max(newest).plus(age_ms),
        };
        let spaced = self.ramp.map(|ramp| ramp.until).unwrap_or_default();
        Some(kept_until.max(spaced))
    }

    /// Applies what was due at [`Self::deadline`], at that time.
    pub(super) fn expire(&mut self, out: &mut Vec<Change>) {
        let Some(at) = self.deadline() else { return };
        match &mut self.state {
            State::Closed | State::Disabled | State::MetricsOnly => {}
            State::Open { .. } => {
                let penalty = at.since(self.changed_at);
                let why =
                    format!("the penalty is over after {}; probes are let through", say_duration_ms(penalty));
                self.become_half_open(at, why, out);
            }
            State::ForcedOpen { .. } => {
                self.leave_forced_open(at, "the time for which it was forced open is over".into(), out);
            }
            State::HalfOpen { leases, failed_permille, .. } => {
                let Some(run) = leases.iter().find(|(_, lease)| **lease == at).map(|(run, _)| *run) else {
                    return;
                };
                leases.remove(&run);
                self.expired.insert(run);
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

    /// Decides whether this run may start under these rules. Changes nothing.
    pub(super) fn look(&self, run: RunId, now: Timestamp, policy: &BreakerPolicy) -> Result<(), Refusal> {
        let forced = matches!(self.state, State::ForcedOpen { .. });
        if !forced && self.mode_under(policy) != BreakerMode::Auto {
            return Ok(());
        }
        match &self.state {
            State::Closed | State::Disabled | State::MetricsOnly => match self.ramp {
                Some(ramp) if now < ramp.until && now < ramp.next => Err(Refusal {
                    retry_at: Some(ramp.next),
                    why: format!(
                        "closed a moment ago; starts are let through {} apart",
                        format_duration_ms(policy.ramp.spacing_ms)
                    ),
                }),
                _ => Ok(()),
            },
            State::Open { until } => {
                Err(Refusal { retry_at: Some(*until), why: format!("open: {}", self.why) })
            }
            State::ForcedOpen { until } => Err(Refusal { retry_at: *until, why: self.why.clone() }),
            State::HalfOpen { leases, .. } => {
                let permits = policy.half_open.permits.max(1);
                let out = u32::try_from(leases.len()).unwrap_or(u32::MAX);
                if leases.contains_key(&run) || out < permits {
                    return Ok(());
                }
                let why = format!("half-open, and {out} of half_open.permits = {permits} probes are out");
                Err(Refusal { retry_at: leases.values().min().copied(), why })
            }
        }
    }

    /// Whether a run that may start under these rules is a probe, as [`Self::look`] decides it.
    pub(super) fn probes_under(&self, policy: &BreakerPolicy) -> bool {
        matches!(self.state, State::HalfOpen { .. }) && self.mode_under(policy) == BreakerMode::Auto
    }

    /// The permit that a run gets now, as [`Self::look`] decided. It takes the name of the scope out of the gate.
    pub(super) fn permit(&self, gate: &mut Gate, now: Timestamp, probe: bool) -> Permit {
        let half_open = &gate.policy.half_open;
        Permit {
            scope: Scope(std::mem::take(&mut gate.scope.0)),
            epoch: self.epoch,
            lease_until: probe.then(|| now.plus(half_open.lease_ms)),
            stable_ms: (probe && half_open.success == ProbeSuccess::Auto).then_some(half_open.stable_ms),
            success: if probe { half_open.success } else { ProbeSuccess::Auto },
            slow_ready_ms: gate.policy.slow_ready_ms,
        }
    }

    /// Takes what [`Self::look`] allowed. Returns whether the change is worth saving.
    pub(super) fn grant(
        &mut self,
        run: RunId,
        now: Timestamp,
        policy: &Arc<BreakerPolicy>,
        out: &mut Vec<Change>,
    ) -> bool {
        // As long as no configuration changes, a start brings the very rules that came with the one before.
        let others = !Arc::ptr_eq(&self.policy, policy);
        let mut changed = others && self.policy != *policy;
        if others {
            self.policy = policy.clone();
        }
        if changed {
            self.level = self.level.min(penalty::top_level(policy));
            let why = format!("its rules say mode = {:?}", policy.mode.name());
            self.follow_mode(now, why, out);
        }
        self.expired.remove(&run);
        self.out = self.out.saturating_add(1);
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
            State::Open { .. } | State::ForcedOpen { .. } | State::Disabled | State::MetricsOnly => {}
        }
        changed
    }

    /// Takes a report of a holder of a permit of this epoch. Returns whether the change is worth saving.
    pub(super) fn settle(&mut self, now: Timestamp, word: &Word<'_>, out: &mut Vec<Change>) -> bool {
        self.touched_at = now;
        let lateness = self.lateness(word);
        if !word.keep && word.epoch == self.epoch {
            self.expired.remove(&word.run);
            self.out -= u32::from(word.holds);
        }
        if let Some(lateness) = lateness {
            // A run that lives on from before reports again and again that it is well, and one that died with its
            // supervisor has nothing to report: neither is news.
            if (!word.keep && !word.is_of_a_lost_run()) || word.outcome.is_failure() {
                let event = Event::LateOutcome { why: words::late(word, self.state.kind(), lateness) };
                out.push(Change { at: now, scope: self.scope.clone(), run: Some(word.run), event });
            }
            return false;
        }
        if self.state == State::Disabled {
            return false;
        }
        match word.outcome {
            Outcome::Neutral
            | Outcome::Failure { weight_permille: 0 }
            | Outcome::Lowering { weight_permille: 0 } => self.release(word),
            Outcome::Success => self.succeeded(now, word, out),
            Outcome::Failure { weight_permille } => {
                self.failed(now, word, weight_permille, true, out);
                true
            }
            Outcome::Lowering { weight_permille } => {
                self.failed(now, word, weight_permille, false, out);
                true
            }
            Outcome::Ready { after_ms } => self.became_ready(now, word, after_ms, out),
            Outcome::FirstOutput => self.proved_by(ProbeSuccess::FirstOutput, now, word, out),
            Outcome::Trip => {
                self.trip(now, words::tripped(word.class.unwrap_or("unclassified")), out);
                true
            }
            Outcome::TripAtFloor => {
                self.trip(now, words::tripped_at_floor(word.class.unwrap_or("unclassified")), out);
                true
            }
        }
    }

    /// Why a report of this holder does not count; `None` when it counts.
    fn lateness(&self, word: &Word<'_>) -> Option<Lateness> {
        let may_speak = match &self.state {
            State::Closed | State::Disabled | State::MetricsOnly => {
                word.holds && !self.expired.contains(&word.run)
            }
            State::HalfOpen { leases, .. } => leases.contains_key(&word.run),
            State::Open { .. } | State::ForcedOpen { .. } => false,
        };
        if word.epoch != self.epoch {
            Some(Lateness::OtherEpoch)
        } else if !may_speak {
            Some(Lateness::NoPermit)
        } else {
            None
        }
    }

    /// A neutral report says nothing about the scope, but it gives a probe's permit back.
    fn release(&mut self, word: &Word<'_>) -> bool {
        match &mut self.state {
            State::HalfOpen { leases, .. } if !word.keep => leases.remove(&word.run).is_some(),
            _ => false,
        }
    }

    pub(super) fn succeeded(&mut self, now: Timestamp, word: &Word<'_>, out: &mut Vec<Change>) -> bool {
        if let State::HalfOpen { leases, ok, .. } = &mut self.state {
            // Also the lease of a run that lives on: it has proved itself, and the next may probe.
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
        self.heard_at = now;
        self.row = Row::default();
        self.window.push(now, 0, self.policy.window);
        let proved = now.since(self.changed_at) >= self.policy.decay_after_ms();
        if self.level > 0 && proved && self.state == State::Closed {
            self.level -= 1;
            let after = say_duration_ms(now.since(self.changed_at));
            let why = format!("a success {after} after the last change; back to level {}", self.level);
            self.note(now, BreakerState::Closed, why, out);
        }
        true
    }

    /// Counts a failure. `in_share`: it counts in the share of failures too.
    fn failed(
        &mut self,
        now: Timestamp,
        word: &Word<'_>,
        weight: u32,
        in_share: bool,
        out: &mut Vec<Change>,
    ) {
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
        self.heard_at = now;
        self.row.count = self.row.count.saturating_add(1);
        self.row.permille = self.row.permille.saturating_add(u64::from(weight));
        if in_share {
            self.window.push(now, weight, self.policy.window);
        }
        let share = in_share.then(|| self.window.share());
        if let Some(why) = words::trip(&self.policy, self.row, share, &self.recent) {
            self.trip(now, why, out);
        }
    }

    /// Opens the scope one level higher. A scope that only watches records that it would open, and begins to count
    /// anew.
    pub(super) fn trip(&mut self, now: Timestamp, why: String, out: &mut Vec<Change>) {
        if self.state != State::MetricsOnly {
            return self.open(now, self.level.saturating_add(1), &why, out);
        }
        self.forget_failures();
        let event = Event::WouldTrip { why: format!("{why}; it only watches, so it stays out of the way") };
        out.push(Change { at: now, scope: self.scope.clone(), run: None, event });
    }

    /// The weight of failed probes at which the scope opens again, in thousandths.
    pub(super) fn reopening_permille(&self) -> u64 {
        u64::from(self.policy.half_open.failures.max(1)) * 1_000
    }

    pub(super) fn open(&mut self, at: Timestamp, level: u32, cause: &str, out: &mut Vec<Change>) {
        let from = self.state.kind();
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

    pub(super) fn become_half_open(&mut self, at: Timestamp, why: String, out: &mut Vec<Change>) {
        let from = self.state.kind();
        self.state = State::half_open();
        self.note(at, from, why, out);
    }

    fn close(&mut self, at: Timestamp, why: String, out: &mut Vec<Change>) {
        let from = self.state.kind();
        self.forget_failures();
        self.state = State::Closed;
        self.begin_ramp(at);
        self.note(at, from, why, out);
    }

    pub(super) fn begin_ramp(&mut self, at: Timestamp) {
        let rules = self.policy.ramp;
        self.ramp = (rules.over_ms > 0 && rules.spacing_ms > 0)
            .then(|| Ramp { until: at.plus(rules.over_ms), next: at });
    }

    pub(super) fn note(&mut self, at: Timestamp, from: BreakerState, why: String, out: &mut Vec<Change>) {
        self.changed_at = at;
        self.touched_at = self.touched_at.max(at);
        self.why.clone_from(&why);
        let event = Event::BreakerChanged {
            from,
            to: self.state.kind(),
            level: self.level,
            until: self.state.until(),
            why,
        };
        out.push(Change { at, scope: self.scope.clone(), run: None, event });
    }

    pub(super) fn status(&self) -> BreakerStatus {
        BreakerStatus {
            scope: self.scope.clone(),
            state: self.state.kind(),
            level: self.level,
            until: self.state.until(),
            failures_permille: self.row.permille,
            outcomes: self.window.share().outcomes,
            failed_permille: self.window.weights().0,
            total_permille: self.window.weights().1,
            probes: u32::try_from(self.state.probes()).unwrap_or(u32::MAX),
            why: self.why.clone(),
            changed_at: self.changed_at,
        }
    }
}
