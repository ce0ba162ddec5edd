//! Where the scopes are kept. They are asked for by name: a question of several scopes looks each name up once and goes
//! by place from there.
//!
//! The table of names holds places alone, four bytes for each scope, so that it stays near the processor; the names are
//! with their scopes, once.

use super::circuit::Circuit;
use crate::model::{Scope, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::{cmp::Reverse, collections::BinaryHeap, hash::BuildHasher as _};

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

/// Places in one piece of memory, which is given back when none of them is used: fewer would be more pieces to look through,
/// and of more one that is used keeps the others.
const PAGE: usize = 64;

/// Neighbouring places.
#[derive(Debug)]
struct Page {
    used: usize,
    slots: Box<[Option<Slot>]>,
}

impl Page {
    fn new() -> Self {
        Self { used: 0, slots: std::iter::repeat_with(|| None).take(PAGE).collect() }
    }
}

/// Every scope there is.
#[derive(Debug, Default)]
pub(super) struct Slots {
    hasher: RandomState,
    places: HashTable<u32>,
    pages: Vec<Option<Page>>,
    /// Places that are used again, the lowest first: so the high pages become empty.
    free: BinaryHeap<Reverse<u32>>,
    /// The first place that was never used.
    next_place: u32,
    next_serial: u64,
}

/// In which page a place is, and where there.
fn split(place: u32) -> (usize, usize) {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    (place / PAGE, place % PAGE)
}

impl Slots {
    pub(super) fn contains(&self, scope: &Scope) -> bool {
        self.place(scope).is_some()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of a scope, until it is removed.
    pub(super) fn place(&self, scope: &Scope) -> Option<u32> {
        let hash = self.hasher.hash_one(scope);
        self.places
            .find(hash, |place| self.at(*place).is_some_and(|slot| slot.circuit.scope == *scope))
            .copied()
    }

    pub(super) fn at(&self, place: u32) -> Option<&Slot> {
        let (page, at) = split(place);
        self.pages.get(page)?.as_ref()?.slots.get(at)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut Slot> {
        let (page, at) = split(place);
        self.pages.get_mut(page)?.as_mut()?.slots.get_mut(at)?.as_mut()
    }

    pub(super) fn get(&self, scope: &Scope) -> Option<&Slot> {
        self.at(self.place(scope)?)
    }

    pub(super) fn get_mut(&mut self, scope: &Scope) -> Option<&mut Slot> {
        self.at_mut(self.place(scope)?)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Slot> {
        self.pages.iter().flatten().flat_map(|page| page.slots.iter().flatten())
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
        let known = self.place(&scope);
        let place = known.unwrap_or_else(|| self.free_place());
        let id = SlotId { place, serial };
        let (page, at) = split(place);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        if let Some(page) = self.pages.get_mut(page) {
            let page = page.get_or_insert_with(Page::new);
            page.used += usize::from(known.is_none());
            if let Some(there) = page.slots.get_mut(at) {
                *there = Some(Slot { circuit, id, deadline, idle });
            }
        }
        if known.is_none() {
            let hash = self.hasher.hash_one(&scope);
            self.places.insert_unique(hash, place, hash_at(&self.pages, &self.hasher));
        }
        id
    }

    fn free_place(&mut self) -> u32 {
        if let Some(Reverse(place)) = self.free.pop() {
            return place;
        }
        let place = self.next_place;
        // Four thousand million scopes would not fit into memory.
        self.next_place = place.saturating_add(1);
        place
    }

    pub(super) fn remove(&mut self, scope: &Scope) {
        let Some(place) = self.place(scope) else { return };
        if let Ok(entry) = self.places.find_entry(self.hasher.hash_one(scope), |there| *there == place) {
            entry.remove();
        }
        let (page, at) = split(place);
        if let Some(there) = self.pages.get_mut(page)
            && let Some(held) = there
        {
            if let Some(slot) = held.slots.get_mut(at) {
                *slot = None;
            }
            held.used = held.used.saturating_sub(1);
            if held.used == 0 {
                *there = None;
            }
        }
        self.free.push(Reverse(place));
        if self.places.is_empty() {
            (self.pages, self.free, self.next_place) = (Vec::new(), BinaryHeap::new(), 0);
        }
        // A table that is three quarters empty is more than a burst of new scopes needs.
        if self.places.capacity() / 4 > self.places.len() {
            self.places.shrink_to(0, hash_at(&self.pages, &self.hasher));
        }
    }
}

/// The hash of the name at a place.
fn hash_at<'a>(pages: &'a [Option<Page>], hasher: &'a RandomState) -> impl Fn(&u32) -> u64 + 'a {
    move |place| {
        let (page, at) = split(*place);
        let slot = pages.get(page).and_then(|page| page.as_ref()?.slots.get(at)?.as_ref());
        slot.map_or(0, |slot| hasher.hash_one(&slot.circuit.scope))
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

    #[test]
    fn pages_of_places_that_nobody_uses_are_given_back() {
        let mut slots = Slots::default();
        let scope = |n: usize| Scope(format!("site:{n}"));
        let put =
            |slots: &mut Slots, n| slots.insert(Circuit::new(scope(n), Arc::default(), 1, Timestamp(0)));
        for n in 0..PAGE * 10 {
            put(&mut slots, n);
        }
        let wide = slots.places.capacity();
        for n in 1..PAGE * 10 {
            slots.remove(&scope(n));
        }
        assert_eq!((slots.pages.iter().flatten().count(), slots.len()), (1, 1));
        assert!(slots.places.capacity() * 4 < wide, "{} of {wide}", slots.places.capacity());
        assert_eq!(put(&mut slots, 7).place, 1, "the lowest place is used first");
        slots.remove(&scope(0));
        slots.remove(&scope(7));
        assert_eq!((slots.pages.capacity(), slots.free.len()), (0, 0), "nothing is left of nothing");
        put(&mut slots, 3);
        assert!(slots.contains(&scope(3)) && !slots.contains(&scope(0)));
    }
}
