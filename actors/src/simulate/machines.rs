//! The three machines, and what goes between them. Both the scripted world and a recorded one drive these.

use crate::{
    breaker,
    clerk::Rules,
    manager::{
        Configure,
        machine::{Effect, Input, Limits, Machine},
    },
    model::{ClockReading, ClockShift, JournalRecord, Put, RunId, Timestamp},
    retry,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the machines want from the world.
pub(super) enum Wanted {
    /// Write these records and this state.
    Commit(Vec<JournalRecord>, Vec<Put>),
    /// Any other effect that is no question between the machines.
    Other(Effect),
}

/// Manager, Retry and Breaker as one machine. Told something from outside, they decide until none of them has a
/// question left, as the live clerk lets them.
#[derive(Debug)]
pub(super) struct Machines {
    pub(super) manager: Machine,
    pub(super) retry: retry::Machine,
    pub(super) breaker: breaker::Machine,
    pub(super) effects: VecDeque<Effect>,
}

impl Machines {
    pub(super) fn new(next_seq: u64, seed: u64) -> Self {
        Self {
            manager: Machine::new(next_seq, Limits::default()),
            retry: retry::Machine::new(seed),
            breaker: breaker::Machine::new(seed),
            effects: VecDeque::new(),
        }
    }

    pub(super) fn configure(&mut self, configure: Configure, now: Timestamp) {
        let (_, effects) = self.manager.configure(configure, now);
        self.effects.extend(effects);
    }

    pub(super) fn input(&mut self, input: Input, now: Timestamp) {
        let effects = self.manager.step(input, now);
        self.effects.extend(effects);
    }

    /// Writes what waits for other records to be written with.
    pub(super) fn write_out(&mut self) {
        let effects = self.manager.write_out();
        self.effects.extend(effects);
    }

    /// Lets the machines ask each other until they want something from the world.
    pub(super) fn next_wanted(&mut self, now: Timestamp) -> Option<Wanted> {
        loop {
            match self.effects.pop_front()? {
                Effect::AskRetry(ask) => {
                    let answer = self.retry.answer(now, ask);
                    self.input(Input::Retry(answer), now);
                }
                Effect::AskBreaker(ask) => {
                    let answer = self.breaker.answer(now, ask);
                    self.input(Input::Breaker(answer), now);
                }
                Effect::Commit { records, puts } => return Some(Wanted::Commit(records, puts)),
                other => return Some(Wanted::Other(other)),
            }
        }
    }

    /// Restores Retry and Breaker from what they saved. The Manager has restored, and its orphans are known.
    pub(super) fn restore_rooms(
        &mut self,
        state: &BTreeMap<String, Vec<u8>>,
        adopted: &BTreeSet<RunId>,
        shift: ClockShift,
        clock: ClockReading,
        now: Timestamp,
    ) {
        let of = |room: &[&str]| {
            let mine = |key: &str| room.iter().any(|prefix| key.starts_with(prefix));
            let own = state.iter().filter(|(key, _)| mine(key));
            own.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        self.breaker.set_clock(now, clock);
        let (moved, _) = self.retry.restore(now, shift, &of(&["retry/", "param/", "budget/"]));
        self.breaker.adopt(adopted.iter().copied());
        let (changes, _) = self.breaker.restore(now, &of(&["breaker/"]));
        self.input(Input::BreakerDue(changes), now);
        self.input(Input::Retry(retry::Answer::Saved(moved)), now);
    }
}
