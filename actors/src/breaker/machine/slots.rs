//! Where the scopes are kept. They are asked for by name: a question of several scopes looks each name up once and goes
//! by place from there.
//!
//! The table of names holds places alone, four bytes for each scope, so that it stays near the processor; the names are
//! with their scopes, once.

use super::circuit::Circuit;
use crate::model::{Scope, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

/// A scope and its places in the two ordered sets. In this order in memory: see [`Circuit`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// By which those are found who hold permits here.
    pub(super) id: SlotId,
    pub(super) deadline: Option<Timestamp>,
    /// When it is looked at whether it may be forgotten.
    pub(super) idle: Option<Timestamp>,
    pub(super) circuit: Circuit,
}

/// Which scope: never another's, whatever is forgotten, because a place is used again but a serial number is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SlotId {
    pub(super) place: u32,
    pub(super) serial: u64,
}

/// Every scope there is.
#[derive(Debug, Default)]
pub(super) struct Slots {
    hasher: RandomState,
    places: HashTable<u32>,
    all: Vec<Option<Slot>>,
    free: Vec<u32>,
    next_serial: u64,
}

impl Slots {
    pub(super) fn contains(&self, scope: &Scope) -> bool {
        self.place(scope).is_some()
    }

    /// The place of a scope, until it is removed.
    pub(super) fn place(&self, scope: &Scope) -> Option<u32> {
        let hash = self.hasher.hash_one(scope);
        self.places
            .find(hash, |place| self.at(*place).is_some_and(|slot| slot.circuit.scope == *scope))
            .copied()
    }

    pub(super) fn at(&self, place: u32) -> Option<&Slot> {
        self.all.get(usize::try_from(place).ok()?)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut Slot> {
        self.all.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    pub(super) fn get(&self, scope: &Scope) -> Option<&Slot> {
        self.at(self.place(scope)?)
    }

    pub(super) fn get_mut(&mut self, scope: &Scope) -> Option<&mut Slot> {
        self.at_mut(self.place(scope)?)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Slot> {
        self.all.iter().flatten()
    }

    /// Whether this scope is there, and no other in its place.
    pub(super) fn lives(&self, id: SlotId) -> bool {
        self.at(id.place).is_some_and(|slot| slot.id == id)
    }

    /// Puts a scope in, in place of one of its name, which leaves it its places in the ordered sets and nothing else.
    pub(super) fn insert(&mut self, circuit: Circuit) -> SlotId {
        let serial = self.next_serial;
        self.next_serial += 1;
        let scope = circuit.scope.clone();
        let (deadline, idle) = self.get(&scope).map_or((None, None), |slot| (slot.deadline, slot.idle));
        // Four thousand million scopes would not fit into memory.
        let new = || u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let known = self.place(&scope);
        let place = known.or_else(|| self.free.pop()).unwrap_or_else(new);
        let id = SlotId { place, serial };
        let slot = Some(Slot { circuit, id, deadline, idle });
        match usize::try_from(place).ok().and_then(|place| self.all.get_mut(place)) {
            Some(there) => *there = slot,
            None => self.all.push(slot),
        }
        if known.is_none() {
            let (all, hasher) = (&self.all, &self.hasher);
            let hash_at = |place: &u32| {
                let slot = usize::try_from(*place).ok().and_then(|place| all.get(place)?.as_ref());
                slot.map_or(0, |slot| hasher.hash_one(&slot.circuit.scope))
            };
            self.places.insert_unique(hasher.hash_one(&scope), place, hash_at);
        }
        id
    }

    pub(super) fn remove(&mut self, scope: &Scope) {
        let Some(place) = self.place(scope) else { return };
        if let Ok(entry) = self.places.find_entry(self.hasher.hash_one(scope), |there| *there == place) {
            entry.remove();
        }
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| self.all.get_mut(place)) {
            *slot = None;
            self.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_place_is_used_again_and_is_then_another_scope() {
        let mut slots = Slots::default();
        let circuit = |name: &str| Circuit::new(Scope(name.into()), Arc::default(), 1, Timestamp(0));
        let (a, b) = (slots.insert(circuit("a")), slots.insert(circuit("b")));
        slots.remove(&Scope("a".into()));
        assert!(!slots.lives(a) && slots.lives(b) && !slots.contains(&Scope("a".into())));
        let c = slots.insert(circuit("c"));
        assert_eq!((c.place, slots.lives(a), slots.lives(c)), (a.place, false, true));
        let again = slots.insert(circuit("b"));
        assert_eq!((again.place, slots.lives(b)), (b.place, false), "restored over");
        let names: Vec<_> = slots.values().map(|slot| slot.circuit.scope.0.as_str()).collect();
        assert_eq!(names, ["c", "b"]);
    }
}
