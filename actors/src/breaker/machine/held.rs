//! Which runs hold permits and have not made their last report: each last report counts once.
//!
//! Kept by run and not by scope: a start that needs four scopes then touches one entry and not four, and a scope that
//! every run needs has no list that grows with all runs. Not saved, which would be one more write for each start: the
//! processes do not outlive the supervisor, and those that do are named to [`Machine::adopt`](super::Machine::adopt).

use super::slots::SlotId;
use crate::model::{RunId, RunMap};

/// The permits of one run under one scope and epoch. Those of an epoch that is over are void, and are kept only until
/// the last report takes them away.
#[derive(Clone, Copy, Debug)]
struct Share {
    place: u32,
    /// The number of permits. A run that asked twice gives one back unused.
    permits: u32,
    serial: u64,
    epoch: u64,
}

impl Share {
    /// The scope. Its parts are separate fields above, so that a run's entry is as long as a line of the processor's
    /// cache.
    const fn id(&self) -> SlotId {
        SlotId { place: self.place, serial: self.serial }
    }
}

/// The permits of one run. Most runs have one scope, which then needs no memory of its own.
#[derive(Debug)]
struct Shares {
    first: Share,
    more: Vec<Share>,
}

/// All permits that are out.
#[derive(Debug, Default)]
pub(super) struct Held(RunMap<Shares>);

impl Held {
    /// Adds one permit.
    pub(super) fn add(&mut self, run: RunId, id: SlotId, epoch: u64) {
        let one = Share { place: id.place, permits: 1, serial: id.serial, epoch };
        let Some(shares) = self.0.get_mut(&run) else {
            self.0.insert(run, Shares { first: one, more: Vec::new() });
            return;
        };
        match shares.find(id, epoch) {
            Some(share) => share.permits += 1,
            None => shares.more.push(one),
        }
    }

    /// Whether the run holds a permit of this epoch.
    pub(super) fn has(&mut self, run: RunId, id: SlotId, epoch: u64) -> bool {
        self.0.get_mut(&run).is_some_and(|shares| shares.find(id, epoch).is_some())
    }

    /// Takes back one permit. Returns whether there was one.
    pub(super) fn take(&mut self, run: RunId, id: SlotId, epoch: u64) -> bool {
        let Some(share) = self.0.get_mut(&run).and_then(|shares| shares.find(id, epoch)) else {
            return false;
        };
        share.permits -= 1;
        if share.permits == 0 {
            self.drop_where(run, |share| share.permits == 0);
        }
        true
    }

    /// Takes the last report under a scope that was forgotten meanwhile: removes what the run holds of this epoch in
    /// scopes that do not live.
    pub(super) fn forget(&mut self, run: RunId, epoch: u64, lives: impl Fn(SlotId) -> bool) {
        self.drop_where(run, |share| share.epoch == epoch && !lives(share.id()));
    }

    fn drop_where(&mut self, run: RunId, over: impl Fn(&Share) -> bool) {
        let Some(shares) = self.0.get_mut(&run) else { return };
        shares.more.retain(|share| !over(share));
        if over(&shares.first) {
            match shares.more.pop() {
                Some(share) => shares.first = share,
                None => drop(self.0.remove(&run)),
            }
        }
    }
}

impl Shares {
    fn find(&mut self, id: SlotId, epoch: u64) -> Option<&mut Share> {
        let mut all = std::iter::once(&mut self.first).chain(&mut self.more);
        all.find(|share| share.id() == id && share.epoch == epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_over_once_and_what_is_void_leaves_nothing_behind() {
        let (mut held, run) = (Held::default(), RunId::from_parts(1, 2));
        let id = |serial| SlotId { place: 0, serial };
        for (serial, epoch) in [(1, 5), (2, 5), (2, 5), (1, 6)] {
            held.add(run, id(serial), epoch);
        }
        assert!(held.take(run, id(1), 5) && !held.take(run, id(1), 5));
        assert!(held.has(run, id(1), 6) && !held.has(run, id(1), 5), "epochs are apart");
        assert!(held.take(run, id(2), 5) && held.has(run, id(2), 5), "it asked twice");
        held.forget(run, 5, |id| id.serial == 2);
        assert!(held.has(run, id(2), 5), "a scope that lives keeps its permits");
        held.forget(run, 5, |_| false);
        assert!(held.take(run, id(1), 6));
        assert!(held.0.is_empty());
    }
}
