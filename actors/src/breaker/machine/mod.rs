//! The decisions of the Breaker. Time is an argument and chance is a seed; the machine reads and sends nothing.

mod by_hand;
mod circuit;
#[cfg(test)]
mod conformance;
mod early;
mod held;
#[cfg(test)]
mod invariants;
mod penalty;
mod rules;
mod saved;
mod slots;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod wake;
mod window;
mod words;

pub use self::penalty::of_level as penalty_ms_of_level;
pub use self::terms::{
    Admission, BreakerStatus, Change, Changes, Gate, OperatorAct, Outcome, Permit, longest_quarantine,
};

use self::{
    circuit::Circuit,
    held::Held,
    rules::Rules,
    saved::{Read, Reader},
    slots::Slots,
    state::{Refusal, State, Word},
};
use crate::model::{ClockReading, Event, ProbeParams, Put, RunId, Scope, Timestamp};
use std::{collections::BTreeSet, sync::Arc};

/// All breakers.
///
/// Each method first applies what time has changed, each deadline at its own time and in order, so that it makes no
/// difference how often the machine is asked.
#[derive(Debug)]
pub struct Machine {
    seed: u64,
    rules: Rules,
    slots: Slots,
    held: Held,
    /// Slots of the scopes that one question is about; kept, so that a question needs no memory of its own.
    found: Vec<Option<u32>>,
    /// The scopes that change by themselves, by the time at which they do.
    deadlines: BTreeSet<(Timestamp, Scope)>,
    /// The scopes that may be forgotten, by the time at which that is checked. Kept apart from the deadlines because
    /// it makes no difference when a scope is forgotten, and not kept up to date: a scope that is in use all day is
    /// checked now and then, and not moved with each start.
    idle: BTreeSet<(Timestamp, Scope)>,
    /// The latest time that the machine was told: a clock that steps back grants nothing.
    last: Timestamp,
    /// The latest reading of the other clocks, and when it was taken.
    clock: (Timestamp, ClockReading),
    /// Runs whose processes outlived the previous supervisor.
    adopted: BTreeSet<RunId>,
}

/// How much later than allowed a scope is forgotten at most, where nothing else wakes the machine. Minutes, so that
/// an idle machine is woken seldom, and its memory comes back all the same.
const FORGOTTEN_WITHIN_MS: u64 = 5 * 60_000;

/// The most scopes that are forgotten with one message, which takes some milliseconds. The rest follows with the next
/// message. A scope that is asked for before that is forgotten first.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// What one message changed so far.
#[derive(Default)]
struct Pending {
    events: Vec<Change>,
    removed: Vec<Put>,
    touched: BTreeSet<Scope>,
    freed: BTreeSet<Scope>,
}

impl Machine {
    /// Creates a machine without any state. Equal seeds draw equal penalties.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Rules::default(),
            slots: Slots::default(),
            held: Held::default(),
            found: Vec::new(),
            deadlines: BTreeSet::new(),
            idle: BTreeSet::new(),
            last: Timestamp(0),
            clock: (Timestamp(0), ClockReading::default()),
            adopted: BTreeSet::new(),
        }
    }

    /// Takes what the clocks that go on between processes read at `now`. Only saved records use it, and only the time
    /// between two processes is measured by it.
    pub const fn set_clock(&mut self, now: Timestamp, reading: ClockReading) {
        self.clock = (now, reading);
    }

    /// Names runs whose processes live on after a change of supervisor: [`Self::restore`] gives them back their
    /// permits. Permits of all other runs are gone with their processes. To be called before [`Self::restore`].
    pub fn adopt(&mut self, runs: impl IntoIterator<Item = RunId>) {
        self.adopted.extend(runs);
    }

    /// When time next changes something that a caller could notice.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// When to wake the machine: for its next deadline, or to forget scopes that rest, some time after they may be.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Timestamp> {
        let forgotten = self.idle.first().map(|(at, _)| at.plus(FORGOTTEN_WITHIN_MS));
        self.next_deadline().into_iter().chain(forgotten).min()
    }

    /// Applies what time has changed, and returns it.
    pub fn advance(&mut self, now: Timestamp) -> Changes {
        let pending = self.settle_time(now);
        self.finish(pending)
    }

    /// Decides whether this run may start. A denial takes no permits; neither does `peek`.
    ///
    /// The names of the scopes go into the answer, so that a caller that passes them by value has none of them
    /// copied.
    pub fn admit(
        &mut self,
        now: Timestamp,
        run: RunId,
        gates: impl Into<Vec<Gate>>,
        peek: bool,
    ) -> Admission {
        self.admit_all(now, run, gates.into(), peek)
    }

    fn admit_all(&mut self, now: Timestamp, run: RunId, mut gates: Vec<Gate>, peek: bool) -> Admission {
        let mut pending = self.settle_time(now);
        let now = self.last;
        let mut worst: Option<(usize, Refusal)> = None;
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for (at, gate) in gates.iter().enumerate() {
            let place = self.place(&gate.scope, &mut pending);
            found.push(place);
            let slot = place.and_then(|place| self.slots.at(place));
            if let Some(Err(refusal)) = slot.map(|slot| slot.circuit.look(run, now, &gate.policy)) {
                let never = |refusal: &Refusal| refusal.retry_at.unwrap_or(Timestamp::NEVER);
                if worst.as_ref().is_none_or(|(_, worst)| never(&refusal) > never(worst)) {
                    worst = Some((at, refusal));
                }
            }
        }
        if let Some((at, Refusal { retry_at, why })) = worst {
            self.found = found;
            let scope = gates.swap_remove(at).scope;
            return Admission::Denied { scope, retry_at, why, changes: self.finish(pending) };
        }
        let (mut permits, mut probe) = (Vec::with_capacity(gates.len()), None);
        for (gate, place) in gates.iter_mut().zip(&found) {
            let params = gate.policy.half_open.params;
            let permit = self.take(now, run, (gate, *place), peek, &mut pending);
            let wanted = permit.lease_until.map(|_| params);
            // Two scopes may be half-open at once: the floor proves both without harm to either.
            if probe.is_none() || wanted == Some(ProbeParams::Floor) {
                probe = wanted.or(probe);
            }
            permits.push(permit);
        }
        self.found = found;
        Admission::Granted { permits, probe, changes: self.finish(pending) }
    }

    /// Takes one permit, under the scope in this slot if it is known.
    fn take(
        &mut self,
        now: Timestamp,
        run: RunId,
        (gate, place): (&mut Gate, Option<u32>),
        peek: bool,
        pending: &mut Pending,
    ) -> Permit {
        let Pending { events, touched, .. } = pending;
        // A new scope may be named twice in one question.
        let place = place.or_else(|| self.slots.place(&gate.scope));
        if let Some(slot) = place.and_then(|place| self.slots.at_mut(place)) {
            let probe = slot.circuit.probes_under(&gate.policy);
            if !peek {
                let worth_saving = slot.circuit.grant(run, now, &gate.policy, events);
                self.held.add(run, slot.id, slot.circuit.epoch);
                let deadline = slot.circuit.deadline();
                move_place(&mut self.deadlines, &gate.scope, &mut slot.deadline, deadline);
                if worth_saving {
                    touched.insert(gate.scope.clone());
                }
            }
            return slot.circuit.permit(gate, now, probe);
        }
        // A new scope is saved with its first permit, so that its epoch is known when the permit comes back.
        let policy = self.rules.share(&gate.policy);
        let mut circuit = Circuit::new(gate.scope.clone(), policy, self.seed, now);
        if !peek {
            // A permit of the scope is out: the scope neither rests nor changes by itself.
            circuit.grant(run, now, &gate.policy, events);
        }
        let scope = gate.scope.clone();
        let permit = circuit.permit(gate, now, false);
        if !peek {
            let id = self.slots.insert(circuit);
            self.held.add(run, id, permit.epoch);
            touched.insert(scope);
        }
        permit
    }

    /// Takes the report of the holder of permits; with `keep` the holder lives on.
    pub fn settle(
        &mut self,
        now: Timestamp,
        run: RunId,
        class: Option<&str>,
        outcomes: &[(Permit, Outcome)],
        keep: bool,
    ) -> Changes {
        let mut pending = self.settle_time(now);
        let now = self.last;
        for (permit, outcome) in outcomes {
            self.place(&permit.scope, &mut pending);
            let holds = self.last_permit(run, permit, keep);
            let word = Word { run, epoch: permit.epoch, outcome: *outcome, class, keep, holds };
            let events = &mut pending.events;
            let heard = self.change(&permit.scope, |circuit| {
                let before = circuit.state.probes();
                let changed = circuit.settle(now, &word, events);
                let still = matches!(circuit.state, State::HalfOpen { .. });
                (changed, still && circuit.state.probes() < before)
            });
            match heard {
                Some((changed, freed)) => {
                    if changed {
                        pending.touched.insert(permit.scope.clone());
                    }
                    if freed {
                        pending.freed.insert(permit.scope.clone());
                    }
                }
                None if keep || word.is_of_a_lost_run() => {}
                None => {
                    let event = Event::LateOutcome { why: words::forgotten() };
                    events.push(Change { at: now, scope: permit.scope.clone(), run: Some(run), event });
                }
            }
        }
        self.finish(pending)
    }

    /// Whether the run holds a permit of the scope's present epoch. Unless the run lives on, its permit is over.
    fn last_permit(&mut self, run: RunId, permit: &Permit, keep: bool) -> bool {
        let Some(slot) = self.slots.get(&permit.scope) else {
            self.held.forget(run, permit.epoch, |id| self.slots.lives(id));
            return false;
        };
        let holds = self.held.has(run, slot.id, slot.circuit.epoch);
        if !keep {
            self.held.take(run, slot.id, permit.epoch);
        }
        holds
    }

    /// Applies an operator's act; `None` when the scope is unknown and the act only ends a state. Acts that refuse or
    /// let through create a scope that no run has used yet.
    pub fn operate(
        &mut self,
        now: Timestamp,
        scope: &Scope,
        act: OperatorAct,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Option<Changes> {
        if !self.slots.contains(scope) && !act.creates() {
            return None; // Before time is settled: what that changes would not be written.
        }
        let mut pending = self.settle_time(now);
        let now = self.last;
        if self.place(scope, &mut pending).is_none() && act.creates() {
            // Its rules come with the first start.
            let circuit = Circuit::new(scope.clone(), self.rules.share(&Arc::default()), self.seed, now);
            self.slots.insert(circuit);
        }
        let (who, events) = (words::by_whom(by, reason), &mut pending.events);
        if self.change(scope, |circuit| circuit.operate(now, act, &who, events)) == Some(true) {
            pending.touched.insert(scope.clone());
        }
        Some(self.finish(pending))
    }

    /// All breakers as they stand, in order of scope. Call [`Self::advance`] first.
    #[must_use]
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        self.breakers_after(None, usize::MAX)
    }

    /// At most `limit` breakers, in order of scope, after this scope.
    #[must_use]
    pub fn breakers_after(&self, after: Option<&Scope>, limit: usize) -> Vec<BreakerStatus> {
        let wanted = |circuit: &&Circuit| {
            after.is_none_or(|after| circuit.scope > *after)
                && circuit.idle_at().is_none_or(|at| at > self.last)
        };
        let mut found: Vec<_> = self.slots.values().map(|slot| &slot.circuit).filter(wanted).collect();
        found.sort_unstable_by(|a, b| a.scope.cmp(&b.scope));
        found.into_iter().take(limit).map(Circuit::status).collect()
    }

    /// Those of these scopes that are known, in order of scope.
    #[must_use]
    pub fn breakers_of(&self, scopes: &[Scope]) -> Vec<BreakerStatus> {
        let scopes: BTreeSet<_> = scopes.iter().collect();
        scopes.into_iter().filter_map(|scope| Some(self.slots.get(scope)?.circuit.status())).collect()
    }

    /// The number of known breakers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Brings back saved state, and returns the records that could not be read. How long no supervisor watched is
    /// computed from the clocks of [`Self::set_clock`]. A breaker that was open comes back open or half-open, never
    /// closed.
    pub fn restore(&mut self, now: Timestamp, saved: &[(String, Vec<u8>)]) -> (Changes, Vec<String>) {
        self.last = self.last.max(now);
        let (now, clock) = (self.last, self.reading());
        let adopted = std::mem::take(&mut self.adopted);
        let reader = Reader { seed: self.seed, now, clock, adopted: &adopted };
        let (mut pending, mut unread) = (Pending::default(), Vec::new());
        for (key, value) in saved {
            let circuit = match saved::read(key, value, &reader) {
                Read::Whole(circuit) => circuit,
                Read::Guessed(mut circuit, from) => {
                    unread.push(key.clone());
                    circuit.note_guess(now, from, &mut pending.events);
                    pending.touched.insert(circuit.scope.clone());
                    circuit
                }
                Read::Nothing => {
                    unread.push(key.clone());
                    continue;
                }
            };
            let scope = circuit.scope.clone();
            let mut circuit = *circuit;
            circuit.policy = self.rules.share(&circuit.policy);
            let epoch = circuit.epoch;
            circuit.out = u32::try_from(adopted.len()).unwrap_or(u32::MAX);
            // A scope that was here already keeps its entries in the ordered sets, so that `change` can move them.
            let id = self.slots.insert(circuit);
            for run in &adopted {
                self.held.add(*run, id, epoch);
            }
            let _ = self.change(&scope, |_| ());
        }
        let due = self.settle_time(now);
        pending.events.extend(due.events);
        pending.removed.extend(due.removed);
        pending.touched.extend(due.touched);
        (self.finish(pending), unread)
    }

    /// Everything as it is saved at `now`, for a caller that knows that this is the end; call [`Self::advance`]
    /// first. After any other end each scope is found as it was saved with its latest change.
    #[must_use]
    pub fn save(&mut self, now: Timestamp) -> Vec<Put> {
        self.last = self.last.max(now);
        let clock = self.reading();
        self.slots.values().map(|slot| saved::put(&slot.circuit, self.last, clock)).collect()
    }

    fn settle_time(&mut self, now: Timestamp) -> Pending {
        self.last = self.last.max(now);
        let mut pending = Pending::default();
        while let Some((_, scope)) = self.deadlines.first().filter(|(at, _)| *at <= self.last).cloned() {
            let events = &mut pending.events;
            let _ = self.change(&scope, |circuit| circuit.expire(events));
            pending.touched.insert(scope);
        }
        for _ in 0..FORGOTTEN_AT_ONCE {
            if self.idle.first().is_none_or(|(at, _)| *at > self.last) {
                break;
            }
            if let Some((_, scope)) = self.idle.pop_first() {
                self.forget_if_idle(scope, &mut pending);
            }
        }
        pending
    }

    /// The slot of a scope that is known, and is not about to be forgotten.
    fn place(&mut self, scope: &Scope, pending: &mut Pending) -> Option<u32> {
        let place = self.slots.place(scope)?;
        let looked_at = self.slots.at(place)?.idle.filter(|at| *at <= self.last);
        let Some(at) = looked_at else { return Some(place) };
        self.idle.remove(&(at, scope.clone()));
        self.forget_if_idle(scope.clone(), pending);
        self.slots.place(scope)
    }

    /// Forgets a scope that was due to be checked, if it rests; else sets the time of its next check.
    fn forget_if_idle(&mut self, scope: Scope, pending: &mut Pending) {
        let Some(slot) = self.slots.get_mut(&scope) else { return };
        slot.idle = slot.circuit.idle_at();
        match slot.idle {
            Some(at) if at > self.last => drop(self.idle.insert((at, scope))),
            Some(_) => {
                pending.removed.push(saved::remove(&scope));
                self.slots.remove(&scope);
            }
            None => {}
        }
    }

    /// Changes one scope and brings its entries in the ordered sets up to date.
    fn change<T>(&mut self, scope: &Scope, change: impl FnOnce(&mut Circuit) -> T) -> Option<T> {
        let slot = self.slots.get_mut(scope)?;
        let answer = change(&mut slot.circuit);
        let (deadline, idle) = (slot.circuit.deadline(), slot.circuit.idle_at());
        move_place(&mut self.deadlines, scope, &mut slot.deadline, deadline);
        if idle.is_some_and(|idle| slot.idle.is_none_or(|looked_at| idle < looked_at)) {
            move_place(&mut self.idle, scope, &mut slot.idle, idle);
        }
        Some(answer)
    }

    fn finish(&self, pending: Pending) -> Changes {
        let clock = self.reading();
        let mut saved = pending.removed;
        let slots = pending.touched.iter().filter_map(|scope| self.slots.get(scope));
        saved.extend(slots.map(|slot| saved::put(&slot.circuit, self.last, clock)));
        Changes { events: pending.events, saved, freed: pending.freed }
    }

    /// What the other clocks read at the latest time that the machine was told.
    const fn reading(&self) -> ClockReading {
        let (at, reading) = self.clock;
        reading.plus(self.last.since(at))
    }
}

fn move_place(
    places: &mut BTreeSet<(Timestamp, Scope)>,
    scope: &Scope,
    place: &mut Option<Timestamp>,
    to: Option<Timestamp>,
) {
    if *place == to {
        return;
    }
    if let Some(at) = place.take() {
        places.remove(&(at, scope.clone()));
    }
    if let Some(at) = to {
        places.insert((at, scope.clone()));
    }
    *place = to;
}
