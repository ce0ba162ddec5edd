//! What happens from outside: requests, operators, and the supervisor's own death and return.

use super::{
    engine::{SOMETHING, Simulation, Told},
    scenario::{Act, StartAt, Target},
};
use crate::{
    breaker::{self, OperatorAct},
    launcher::Recovered,
    manager::{
        Start,
        machine::{Input, Limits, Machine},
    },
    model::{AttemptId, ClockReading, ExitStatus, Run, RunId, SavedClock, Scope, Spool},
    retry,
};
use std::collections::BTreeSet;

impl Simulation {
    pub(super) fn start(&mut self, start: &StartAt, n: usize) {
        let asked = Start {
            program: start.program.clone(),
            params: start.params.clone(),
            requested_by: start.requested_by.clone(),
            ..Start::default()
        };
        match self.manager.check_start(&asked) {
            Ok(checked) => {
                let id = start.id.unwrap_or_else(|| RunId::from_parts(self.now.0, n as u128));
                self.names.insert(id, &start.run);
                let effects = self.manager.start(checked, &asked, id, self.now);
                self.effects.extend(effects);
            }
            Err(error) => self.told.push_back(Told::Refused { at: self.now, run: start.run.clone(), error }),
        }
    }

    pub(super) fn operate(&mut self, act: Act) {
        match act {
            Act::Start(target) => {
                for run in self.runs(&target, false) {
                    // What runs already needs no start.
                    let effects = self.manager.restart(run, None, false, self.now).unwrap_or_default();
                    self.effects.extend(effects);
                }
            }
            Act::Stop(target) => {
                for run in self.runs(&target, true) {
                    // What is over already needs no stop.
                    let effects = self.manager.stop(run, None, self.now).unwrap_or_default();
                    self.effects.extend(effects);
                }
            }
            Act::ResetBreaker(scope) => self.operate_breaker(&scope, OperatorAct::Reset),
            Act::OpenBreaker { scope, ttl_ms } => {
                self.operate_breaker(&scope, OperatorAct::ForceOpen { ttl_ms });
            }
            Act::CloseBreaker(scope) => self.operate_breaker(&scope, OperatorAct::EndForcedOpen),
        }
    }

    fn operate_breaker(&mut self, scope: &Scope, act: OperatorAct) {
        if let Some(changes) = self.breaker.operate(self.now, scope, act, None, None) {
            self.input(Input::Breaker(changes));
        }
    }

    /// The runs that an act is about, oldest first.
    fn runs(&self, target: &Target, living: bool) -> Vec<RunId> {
        match target {
            Target::Run(name) => self.names.id(name).into_iter().collect(),
            Target::Program(program) => {
                let of = |run: &&Run| run.program == *program && run.phase.is_ended() != living;
                let mut runs: Vec<_> = self.manager.runs().filter(of).map(|run| run.id).collect();
                runs.sort_unstable();
                runs
            }
        }
    }

    // ── dying and coming back ──────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn go_down(&mut self, n: usize) {
        let Some(restart) = self.scenario.restarts.get(n).copied() else { return };
        let effects = self.manager.write_out();
        self.effects.extend(effects);
        self.carry_out();
        // The live one saves its clocks with what it writes, and may write nothing for a long time before it dies: then a
        // clock that was set back takes more from what has elapsed. Here all is saved at the very end.
        let clocks = self.manager.save_clock(&self.clocks());
        for put in self.breaker.save(self.now).into_iter().chain([clocks]) {
            self.save(put);
        }
        self.down = Some(restart);
    }

    /// The clocks that outlive a process, as they stand now.
    pub(super) fn set_clock(&mut self) {
        self.breaker.set_clock(self.now, self.clocks().reading);
    }

    pub(super) fn clocks(&self) -> SavedClock {
        let wall_ms = EPOCH_MS.saturating_add(self.now.0).saturating_add_signed(self.wall_ahead_ms);
        let boot_id = u128::from(self.boots) + 1;
        SavedClock { at: self.now, reading: ClockReading { wall_ms, boot_id, boottime_ms: self.now.0 } }
    }

    pub(super) fn come_back(&mut self, n: usize) {
        let Some(restart) = self.scenario.restarts.get(n).copied() else { return };
        self.down = None;
        let now = self.now;
        self.manager = Machine::new(self.manager.last_seq() + 1, Limits::default());
        self.retry = retry::Machine::new(self.setup.seed);
        self.breaker = breaker::Machine::new(self.setup.seed);
        self.configure();
        self.wall_ahead_ms = self.wall_ahead_ms.saturating_add(restart.wall_step_ms);
        self.boots += u64::from(!restart.same_boot);
        self.set_clock();
        // Before anything is written in the new time.
        let state = self.state.clone();
        let shift = self.manager.set_clock(&state, &self.clocks());
        self.carry_out();
        self.manager.restore(&state, now);
        let saved: Vec<_> = state.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let of = |room: &[&str]| {
            let mine = |key: &str| room.iter().any(|prefix| key.starts_with(prefix));
            saved.iter().filter(|(key, _)| mine(key)).cloned().collect::<Vec<_>>()
        };
        let (mut recovered, mut adopted) = (Vec::new(), BTreeSet::new());
        for orphan in self.manager.orphans() {
            if !restart.same_boot {
                self.processes.lose(orphan.attempt);
            }
            if self.processes.is_alive(orphan.attempt) {
                adopted.insert(orphan.attempt);
            } else {
                recovered.push(lost(orphan.attempt));
            }
        }
        let (moved, _) = self.retry.restore(now, shift, &of(&["retry/", "param/", "budget/"]));
        self.breaker.adopt(adopted.iter().map(|attempt| attempt.run));
        let (changes, _) = self.breaker.restore(now, &of(&["breaker/"]));
        self.input(Input::Breaker(changes));
        self.input(Input::Saved(moved));
        let effects = self.manager.resume(recovered, &adopted, restart.down_for_ms, false, now);
        self.effects.extend(effects);
    }
}

/// The wall clock when a scenario begins: late enough that a step back by years leaves something.
const EPOCH_MS: u64 = 1_800_000_000_000;

fn lost(attempt: AttemptId) -> Recovered {
    Recovered {
        attempt,
        exit: ExitStatus::Unknown,
        ended_at: None,
        stopped_by_keeper: false,
        spool: Spool { token: 0, stdout: "".into(), stderr: "".into() },
        sizes: SOMETHING,
        secrets: Vec::new(),
    }
}
