//! Decides again what a live supervisor decided, from the inputs that it recorded.

use super::machines::{Machines, Wanted};
use crate::{
    manager::{
        Configure, Restart, Start,
        machine::Input,
        recording::{Happening, Recorded, Recovered},
    },
    model::{ClockReading, Event, JournalRecord, Program, SavedClock, Timestamp, Written},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A decision that was made live, and the one that the machines came to again.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The record in the live journal; `None` when only the replay decided this.
    pub live: Option<JournalRecord>,
    /// The record as it was decided again; `None` when the replay did not decide it.
    pub again: Option<JournalRecord>,
}

impl Compared {
    /// Whether both records say the same: kind, time, and everything that was decided. Their places in the journals
    /// may differ.
    #[must_use]
    pub fn agrees(&self) -> bool {
        match (&self.live, &self.again) {
            (Some(live), Some(again)) => JournalRecord { seq: live.seq, ..again.clone() } == *live,
            _ => false,
        }
    }
}

/// Replays the commits of a live journal, one after the other.
///
/// It begins where a supervisor opened the store: from there on everything that the machines were told is recorded.
/// Records before that are left out.
#[derive(Debug)]
pub struct Replay {
    seed: u64,
    /// `None` before the first supervisor opens.
    machines: Option<Machines>,
    programs: BTreeMap<String, Program>,
    saved: BTreeMap<String, Vec<u8>>,
    last_at: Timestamp,
    live: VecDeque<JournalRecord>,
    again: VecDeque<JournalRecord>,
}

impl Replay {
    /// Creates a replay for a store with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            machines: None,
            programs: BTreeMap::new(),
            saved: BTreeMap::new(),
            last_at: Timestamp(0),
            live: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    /// Takes the next commit. Returns what can be compared by now. What cannot be read is left out, and shows as a
    /// difference.
    pub fn take(&mut self, commit: &Written) -> Vec<Compared> {
        let mut compared = Vec::new();
        for input in commit.inputs.iter().filter_map(|input| serde_json::from_slice(input).ok()) {
            self.happen(input, &mut compared);
        }
        if self.machines.is_some() {
            let records = commit.records.iter().filter_map(|record| serde_json::from_slice(record).ok());
            self.live.extend(records.filter(is_decided));
        }
        self.compare(&mut compared);
        compared
    }

    /// The journal is over. What the replay decided beyond it was not written yet.
    pub fn finish(&mut self) -> Vec<Compared> {
        let mut compared = Vec::new();
        self.close(&mut compared);
        compared
    }

    fn compare(&mut self, compared: &mut Vec<Compared>) {
        while !self.live.is_empty() && !self.again.is_empty() {
            compared.push(Compared { live: self.live.pop_front(), again: self.again.pop_front() });
        }
    }

    /// The supervisor is gone: what it had decided and not written is treated as not decided.
    fn close(&mut self, compared: &mut Vec<Compared>) {
        if let Some(machines) = &mut self.machines {
            machines.write_out();
        }
        self.settle(self.last_at);
        self.compare(compared);
        self.again.clear();
        compared.extend(self.live.drain(..).map(|live| Compared { live: Some(live), again: None }));
    }

    fn happen(&mut self, Recorded { at, what }: Recorded, compared: &mut Vec<Compared>) {
        self.last_at = at;
        if let Happening::Opened { next_seq } = what {
            self.close(compared);
            self.machines = Some(Machines::new(next_seq, self.seed));
            self.programs.clear();
            self.saved.clear();
            return;
        }
        let Some(machines) = &mut self.machines else { return };
        match what {
            Happening::RetryRang => {
                if let Some(run) = machines.retry.take_due(at) {
                    machines.input(Input::Due(run), at);
                }
            }
            Happening::BreakerRang => {
                let changes = machines.breaker.advance(at);
                machines.input(Input::BreakerDue(changes), at);
            }
            Happening::Operate { scope, act, by, reason } => {
                let changes = machines.breaker.operate(at, &scope, act, by.as_deref(), reason.as_deref());
                machines.input(Input::BreakerDue(changes.unwrap_or_default()), at);
            }
            Happening::Saved { saved } => {
                let value = saved.value();
                self.saved.insert(saved.key, value);
            }
            Happening::Restored { wall_ms, boot_id, boottime_ms } => {
                let boot_id = u128::from_str_radix(&boot_id, 16).unwrap_or_default();
                let reading = ClockReading { wall_ms, boot_id, boottime_ms };
                let saved = std::mem::take(&mut self.saved);
                let shift = machines.manager.set_clock(&saved, &SavedClock { at, reading });
                machines.manager.restore(&saved, at);
                machines.restore_rooms(&saved, &BTreeSet::new(), shift, reading, at);
            }
            of_manager => self.ask_manager(of_manager, at),
        }
        self.settle(at);
    }

    /// Passes an input to the Manager's machine.
    fn ask_manager(&mut self, what: Happening, at: Timestamp) {
        let Some(Machines { manager, effects, .. }) = &mut self.machines else { return };
        effects.extend(match what {
            Happening::Budget { budget } => manager.set_budget(budget, at),
            Happening::Configured { programs, removed, shared_breakers, retry_budget } => {
                self.programs.retain(|name, _| !removed.contains(name));
                self.programs.extend(programs.into_iter().map(|program| (program.name.clone(), program)));
                let programs = self.programs.values().cloned().collect();
                manager.configure(Configure { programs, shared_breakers, retry_budget }, at).1
            }
            Happening::Resumed { recovered, down_ms, clean } => {
                let recovered = recovered.into_iter().map(Recovered::into_report).collect();
                manager.resume(recovered, &BTreeSet::new(), down_ms, clean, at)
            }
            Happening::Started { run, program, params, requested_by, force, priority } => {
                let start = Start { program, params, requested_by, force, priority, ..Start::default() };
                let checked = manager.checked_before(&start);
                checked.map_or_else(Vec::new, |checked| manager.start(checked, &start, run, at))
            }
            Happening::Stop { run, by } => manager.stop(run, by, at).unwrap_or_default(),
            Happening::Restart { run, by, stop_running, force, ended } => {
                if let Some(ended) = ended.filter(|_| manager.run(run).is_none()) {
                    manager.restore(&[(ended.key.clone(), ended.value())].into(), at);
                }
                manager.restart(Restart { run, by, stop_running, force }, at).unwrap_or_default()
            }
            Happening::ClockSet { by_ms } => manager.clock_set(by_ms, at),
            Happening::Shutdown => manager.shutdown(at),
            report => report.into_input().map_or_else(Vec::new, |input| manager.step(input, at)),
        });
    }

    /// Lets the machines decide to the end. What they want from the world has happened, and is recorded.
    fn settle(&mut self, at: Timestamp) {
        let Some(machines) = &mut self.machines else { return };
        while let Some(wanted) = machines.next_wanted(at) {
            if let Wanted::Commit(records, _) = wanted {
                self.again.extend(records.into_iter().filter(is_decided));
            }
        }
    }
}

/// Whether the record is a decision. That a program was configured is none, and a difference in its command alone is
/// not recorded.
fn is_decided(record: &JournalRecord) -> bool {
    !matches!(record.event, Event::ProgramConfigured { .. })
}
