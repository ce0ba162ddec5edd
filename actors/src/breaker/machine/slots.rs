//! Where the scopes are kept. Callers ask for them by name: a question about several scopes looks up each name once,
//! and uses the slot from then on.
//!
//! The table of names holds slot numbers alone, four bytes for each scope, so that it stays near the processor; the
//! names are stored with their scopes, once.

use super::circuit::Circuit;
use crate::model::{Scope, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::{cmp::Reverse, collections::BinaryHeap, hash::BuildHasher as _};

/// A scope and its entries in the two ordered sets. The fields lie in this order in memory: see [`Circuit`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// The identity by which the holders of the scope's permits are found.
    pub(super) id: SlotId,
    pub(super) deadline: Option<Timestamp>,
    /// When it is checked whether the scope may be forgotten.
    pub(super) idle: Option<Timestamp>,
    pub(super) circuit: Circuit,
}

/// The identity of a scope. It never becomes another scope's, whatever is forgotten, because a slot is used again but
/// a serial number is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SlotId {
    pub(super) place: u32,
    pub(super) serial: u64,
}

/// The number of slots in one piece of memory, which is freed when none of them is used. With fewer there would be
/// more pieces to look through; with more, one used slot would keep more unused ones.
/// and of more one that is used keeps the others.
const PAGE: usize = 64;

/// A piece of memory with neighbouring slots.
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

/// All scopes.
#[derive(Debug, Default)]
pub(super) struct Slots {
    hasher: RandomState,
    places: HashTable<u32>,
    pages: Vec<Option<Page>>,
    /// Slots that can be used again, the lowest first, so that the high pages become empty.
    free: BinaryHeap<Reverse<u32>>,
    /// The first slot that was never used.
    next_place: u32,
    next_serial: u64,
}

/// The page of a slot, and its index there.
fn split(place: u32) -> (usize, usize) {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    (place / PAGE, place % PAGE)
}

impl Slots {
    pub(super) fn contains(&self, scope: &Scope) -> bool {
        self.place(scope).is_some()
    }

    /// The number of scopes.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The slot of a scope, until the scope is removed.
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

    /// Whether this scope is still there, and no other scope in its slot.
    pub(super) fn lives(&self, id: SlotId) -> bool {
        self.at(id.place).is_some_and(|slot| slot.id == id)
    }

    /// Inserts a scope. It replaces one of the same name, and takes over only its entries in the ordered sets.
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
        // A table that is three quarters empty is larger than a burst of new scopes needs.
        if self.places.capacity() / 4 > self.places.len() {
            self.places.shrink_to(0, hash_at(&self.pages, &self.hasher));
        }
    }
}

/// The hash of the name in a slot.
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
