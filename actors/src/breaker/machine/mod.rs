//! The decisions of the Breaker: time is an argument, chance is a seed, nothing is read and nothing is sent.

mod circuit;
#[cfg(test)]
mod invariants;
mod penalty;
mod saved;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod window;
mod words;

pub use self::penalty::of_level as penalty_ms_of_level;
pub use self::terms::{Admission, BreakerStatus, Change, Changes, Gate, OperatorAct, Outcome, Permit};

use self::{
    circuit::Circuit,
    saved::Read,
    state::{Refusal, Word},
};
use crate::model::{Event, ProbeParams, Put, RunId, Scope, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// Every breaker there is.
///
/// Each method first applies what time has changed, each deadline at its own time and in their order, so that it makes
/// no difference how often anybody asks.
#[derive(Debug)]
pub struct Machine {
    seed: u64,
    slots: HashMap<Scope, Slot>,
    /// Scopes that change by themselves, by when.
    deadlines: BTreeSet<(Timestamp, Scope)>,
    /// Scopes that may be forgotten, by when. Apart from the deadlines because nobody needs to be woken for them.
    idle: BTreeSet<(Timestamp, Scope)>,
    /// The latest time heard of: a clock that steps back grants nothing.
    last: Timestamp,
    /// The wall clock minus ours, in milliseconds.
    wall_ahead_ms: i128,
}

/// A scope and its places in the two ordered sets.
#[derive(Debug)]
struct Slot {
    circuit: Circuit,
    deadline: Option<Timestamp>,
    idle: Option<Timestamp>,
}

/// What one message changed so far.
#[derive(Default)]
struct Pending {
    events: Vec<Change>,
    removed: Vec<Put>,
    touched: BTreeSet<Scope>,
}

impl Machine {
    /// Knows nothing yet. Equal seeds draw equal penalties.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            slots: HashMap::new(),
            deadlines: BTreeSet::new(),
            idle: BTreeSet::new(),
            last: Timestamp(0),
            wall_ahead_ms: 0,
        }
    }

    /// What the wall clock says at `now`. Only saved records hear of it, and only the time between two processes is
    /// measured by it.
    pub fn set_wall(&mut self, now: Timestamp, wall_ms: u64) {
        self.wall_ahead_ms = i128::from(wall_ms) - i128::from(now.0);
    }

    /// When time changes something next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Applies what time has changed.
    pub fn advance(&mut self, now: Timestamp) -> Changes {
        let pending = self.settle_time(now);
        self.finish(pending)
    }

    /// May this run start? Denied takes nothing; neither does `peek`.
    pub fn admit(&mut self, now: Timestamp, run: RunId, gates: &[Gate], peek: bool) -> Admission {
        let mut pending = self.settle_time(now);
        let now = self.last;
        let mut probes = Vec::with_capacity(gates.len());
        let mut worst: Option<(&Gate, Refusal)> = None;
        for gate in gates {
            let slot = self.slots.get(&gate.scope);
            match slot.map_or(Ok(false), |slot| slot.circuit.look(run, now, &gate.policy)) {
                Ok(probe) => probes.push(probe),
                Err(refusal) => {
                    let never = |refusal: &Refusal| refusal.retry_at.unwrap_or(Timestamp::NEVER);
                    if worst.as_ref().is_none_or(|(_, worst)| never(&refusal) > never(worst)) {
                        worst = Some((gate, refusal));
                    }
                }
            }
        }
        if let Some((gate, Refusal { retry_at, why })) = worst {
            let scope = gate.scope.clone();
            return Admission::Denied { scope, retry_at, why, changes: self.finish(pending) };
        }
        let permits = gates
            .iter()
            .zip(&probes)
            .map(|(gate, probe)| self.take(now, run, gate, *probe, peek, &mut pending))
            .collect();
        let wanted =
            gates.iter().zip(&probes).filter(|(_, probe)| **probe).map(|(g, _)| g.policy.half_open.params);
        // Two scopes may be half-open at once: the floor proves both without harm to either.
        let probe = wanted.reduce(|a, b| if b == ProbeParams::Floor { b } else { a });
        Admission::Granted { permits, probe, changes: self.finish(pending) }
    }

    fn take(
        &mut self,
        now: Timestamp,
        run: RunId,
        gate: &Gate,
        probe: bool,
        peek: bool,
        pending: &mut Pending,
    ) -> Permit {
        let seed = self.seed;
        let fresh = || Circuit::new(gate.scope.clone(), gate.policy.clone(), seed, now);
        if peek {
            let permit = |circuit: &Circuit| circuit.permit(now, &gate.policy, probe);
            return match self.slots.get(&gate.scope) {
                Some(slot) => permit(&slot.circuit),
                None => permit(&fresh()),
            };
        }
        // A new scope is saved with its first permit, so that its epoch is known when the permit comes back.
        let mut worth_saving = !self.slots.contains_key(&gate.scope);
        if worth_saving {
            let slot = Slot { circuit: fresh(), deadline: None, idle: None };
            self.slots.insert(gate.scope.clone(), slot);
        }
        let permit = self.change(&gate.scope, |circuit| {
            worth_saving |= circuit.grant(run, now, &gate.policy);
            circuit.permit(now, &gate.policy, probe)
        });
        if worth_saving {
            pending.touched.insert(gate.scope.clone());
        }
        permit.unwrap_or_else(|| fresh().permit(now, &gate.policy, probe))
    }

    /// Hears how the holder of permits went; with `keep` it lives on.
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
            let word = Word { run, epoch: permit.epoch, outcome: *outcome, class, keep };
            let events = &mut pending.events;
            match self.change(&permit.scope, |circuit| circuit.settle(now, &word, events)) {
                Some(true) => {
                    pending.touched.insert(permit.scope.clone());
                }
                Some(false) => {}
                None if keep => {}
                None => {
                    let event = Event::LateOutcome { why: words::forgotten() };
                    events.push(Change { at: now, scope: permit.scope.clone(), run: Some(run), event });
                }
            }
        }
        self.finish(pending)
    }

    /// An operator's word; nothing when the scope is unknown.
    pub fn operate(
        &mut self,
        now: Timestamp,
        scope: &Scope,
        act: OperatorAct,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Option<Changes> {
        if !self.slots.contains_key(scope) {
            return None;
        }
        let mut pending = self.settle_time(now);
        let (now, who, events) = (self.last, words::by_whom(by, reason), &mut pending.events);
        let changed = self.change(scope, |circuit| match act {
            OperatorAct::Reset => {
                circuit.reset(now, &who, events);
                true
            }
            OperatorAct::ForceOpen { ttl_ms } => {
                circuit.force_open(now, ttl_ms, &who, events);
                true
            }
            OperatorAct::EndForcedOpen => circuit.end_forced_open(now, &who, events),
        });
        if changed == Some(true) {
            pending.touched.insert(scope.clone());
        }
        Some(self.finish(pending))
    }

    /// Every breaker as it stands, in order of scope. Call [`Self::advance`] first.
    #[must_use]
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        let mut all: Vec<_> = self.slots.values().map(|slot| slot.circuit.status()).collect();
        all.sort_by(|a, b| a.scope.cmp(&b.scope));
        all
    }

    /// Brings back saved state, and says which records could not be read. How long nobody watched is told by the wall
    /// clock, see [`Self::set_wall`]; one that was open comes back open or half-open, never closed.
    pub fn restore(&mut self, now: Timestamp, saved: &[(String, Vec<u8>)]) -> (Changes, Vec<String>) {
        self.last = self.last.max(now);
        let (now, wall_ms) = (self.last, self.wall_ms());
        let (mut pending, mut unread) = (Pending::default(), Vec::new());
        for (key, value) in saved {
            let circuit = match saved::read(key, value, self.seed, now, wall_ms) {
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
            // A scope that was here already keeps its places, so that `change` can move them.
            let (deadline, idle) =
                self.slots.get(&scope).map_or((None, None), |slot| (slot.deadline, slot.idle));
            self.slots.insert(scope.clone(), Slot { circuit: *circuit, deadline, idle });
            let _ = self.change(&scope, |_| ());
        }
        let due = self.settle_time(now);
        pending.events.extend(due.events);
        pending.removed.extend(due.removed);
        pending.touched.extend(due.touched);
        (self.finish(pending), unread)
    }

    fn settle_time(&mut self, now: Timestamp) -> Pending {
        self.last = self.last.max(now);
        let mut pending = Pending::default();
        while let Some((_, scope)) = self.deadlines.first().filter(|(at, _)| *at <= self.last).cloned() {
            let events = &mut pending.events;
            let _ = self.change(&scope, |circuit| circuit.expire(events));
            pending.touched.insert(scope);
        }
        while let Some((at, scope)) = self.idle.pop_first() {
            if at > self.last {
                self.idle.insert((at, scope));
                break;
            }
            pending.removed.push(saved::remove(&scope));
            self.slots.remove(&scope);
        }
        pending
    }

    /// Changes one scope and brings its places in the ordered sets up to date.
    fn change<T>(&mut self, scope: &Scope, change: impl FnOnce(&mut Circuit) -> T) -> Option<T> {
        let slot = self.slots.get_mut(scope)?;
        let answer = change(&mut slot.circuit);
        let (deadline, idle) = (slot.circuit.deadline(), slot.circuit.idle_at());
        move_place(&mut self.deadlines, scope, &mut slot.deadline, deadline);
        move_place(&mut self.idle, scope, &mut slot.idle, idle);
        Some(answer)
    }

    fn finish(&self, pending: Pending) -> Changes {
        let wall_ms = self.wall_ms();
        let mut saved = pending.removed;
        let slots = pending.touched.iter().filter_map(|scope| self.slots.get(scope));
        saved.extend(slots.map(|slot| saved::put(&slot.circuit, self.last, wall_ms)));
        Changes { events: pending.events, saved }
    }

    fn wall_ms(&self) -> u64 {
        let wall = i128::from(self.last.0) + self.wall_ahead_ms;
        u64::try_from(wall.max(0)).unwrap_or(u64::MAX)
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
