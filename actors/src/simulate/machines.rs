//! The three machines, and what goes between them. Both the scripted world and a recorded one drive these.

use crate::{
    breaker,
    manager::{
        Configure,
        machine::{Effect, Input, Limits, Machine},
    },
    model::{ClockReading, ClockShift, JournalRecord, Put, RetryBudget, RunId, Timestamp},
    retry,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the machines want of the world.
pub(super) enum Wanted {
    /// Write this down.
    Commit(Vec<JournalRecord>, Vec<Put>),
    /// Anything else that is no question between the machines.
    Other(Effect),
}

/// What an effect leads to at once.
enum Answer {
    /// It was a question.
    Input(Input),
    /// It was a word that needs no answer.
    None,
    /// It is for the world.
    Wanted(Wanted),
}

/// Manager, Retry and Breaker as one machine: told something from outside, they decide until nobody has a question left,
/// as the live clerk lets them.
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

    pub(super) fn configure(&mut self, budget: Option<RetryBudget>, configure: Configure, now: Timestamp) {
        let effects = self.manager.set_budget(budget, now);
        self.effects.extend(effects);
        let (_, effects) = self.manager.configure(configure, now);
        self.effects.extend(effects);
    }

    pub(super) fn input(&mut self, input: Input, now: Timestamp) {
        let effects = self.manager.step(input, now);
        self.effects.extend(effects);
    }

    /// What waits for company is written now.
    pub(super) fn write_out(&mut self) {
        let effects = self.manager.write_out();
        self.effects.extend(effects);
    }

    /// Lets them ask each other until somebody wants something of the world.
    pub(super) fn next_wanted(&mut self, now: Timestamp) -> Option<Wanted> {
        loop {
            let effect = self.effects.pop_front()?;
            match self.answer(effect, now) {
                Answer::Input(answer) => self.input(answer, now),
                Answer::None => {}
                Answer::Wanted(wanted) => return Some(wanted),
            }
        }
    }

    fn answer(&mut self, effect: Effect, now: Timestamp) -> Answer {
        Answer::Input(match effect {
            Effect::Admit(ask) => {
                let admission = self.breaker.admit(now, ask.run, ask.gates, ask.peek);
                Input::Admitted { run: ask.run, peek: ask.peek, admission }
            }
            Effect::Settle(said) => {
                let changes =
                    self.breaker.settle(now, said.run, said.class.as_deref(), &said.outcomes, said.keep);
                Input::Settled { run: said.run, keep: said.keep, changes }
            }
            Effect::Prepare(ask) => {
                let params = self.retry.prepare(ask.run, &ask.program, &ask.base, ask.probe);
                let reasons = self.retry.reasons(ask.run, &ask.program, &ask.base, &params, ask.probe);
                Input::Prepared { run: ask.run, prepared: retry::Prepared { params, reasons } }
            }
            Effect::Judge(ended) => {
                Input::Judged { run: ended.run, verdict: self.retry.ended(now, ended.as_end()) }
            }
            Effect::AskDeadline(ask) => {
                Input::FailsUntil { run: ask.run, at: self.retry.deadline(ask.run, &ask.program) }
            }
            Effect::Healthy(well) => {
                let change = self.retry.healthy(now, well.run, &well.program, &well.base);
                Input::Changed { run: well.run, change }
            }
            Effect::Adjust(ask) => {
                let change = self.retry.adjust(now, ask.run, &ask.program, &ask.base, &ask.class);
                Input::Changed { run: ask.run, change }
            }
            Effect::Reserve(ask) => {
                let leave = self.retry.reserve(now, ask.run, ask.priority, &ask.budgets);
                Input::Reserved { run: ask.run, leave }
            }
            Effect::Pay(run) => Input::Saved(self.retry.pay(now, run)),
            Effect::Deposit(ask) => Input::Saved(self.retry.deposit(now, &ask.budgets)),
            Effect::Forgive(run) => Input::Saved(self.retry.forgive(run)),
            Effect::Overrule(run) => Input::Saved(self.retry.cancel(run)),
            Effect::Forget(run) => Input::Saved(self.retry.forget(run)),
            told => return self.tell(told, now),
        })
    }

    /// What Retry is told without an answer; anything else comes back.
    fn tell(&mut self, effect: Effect, now: Timestamp) -> Answer {
        match effect {
            Effect::Schedule(schedule) => self.retry.schedule(schedule.run, schedule.at),
            Effect::Cancel(run) => drop(self.retry.cancel(run)),
            Effect::Release(run) => self.retry.release(run),
            Effect::SetBudget(budget) => self.retry.set_budget(now, budget),
            Effect::Commit { records, puts } => return Answer::Wanted(Wanted::Commit(records, puts)),
            other => return Answer::Wanted(Wanted::Other(other)),
        }
        Answer::None
    }

    /// What Retry and the Breaker saved. The Manager has restored, and its orphans are known.
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
        self.input(Input::Breaker(changes), now);
        self.input(Input::Saved(moved), now);
    }
}
