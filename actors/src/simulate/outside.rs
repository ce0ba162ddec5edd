//! What happens from outside: requests, operators, and the supervisor's own death and return.

use super::{
    engine::{SOMETHING, Simulation, Told},
    machines::Machines,
    scenario::{Act, StartAt, Target},
};
use crate::{
    breaker::OperatorAct,
    launcher::Recovered,
    manager::{Restart, Start, machine::Input},
    model::{AttemptId, ClockReading, ExitStatus, Run, RunId, SavedClock, Scope, Spool},
};
use std::collections::BTreeSet;

impl Simulation {
    pub(super) fn start(&mut self, start: &StartAt, n: usize) {
        let asked = Start {
            program: start.program.clone(),
            params: start.params.clone(),
            requested_by: start.requested_by.clone(),
            force: start.force,
            priority: start.priority,
            ..Start::default()
        };
        match self.machines.manager.check_start(&asked) {
            Ok(checked) => {
                let id = start.id.unwrap_or_else(|| RunId::from_parts(self.now.0, n as u128));
                self.names.insert(id, &start.run);
                let effects = self.machines.manager.start(checked, &asked, id, self.now);
                self.machines.effects.extend(effects);
            }
            Err(error) => self.told.push_back(Told::Refused { at: self.now, run: start.run.clone(), error }),
        }
    }

    pub(super) fn operate(&mut self, act: Act) {
        match act {
            Act::Start { target, force } => {
                let mut runs = self.runs(&target, false);
                if force {
                    // A run that a breaker holds back is alive, and is let through.
                    runs.extend(self.runs(&target, true));
                    runs.dedup();
                }
                for run in runs {
                    // A run that is running already needs no start.
                    let again = Restart { force, ..Restart::new(run) };
                    let effects = self.machines.manager.restart(again, self.now).unwrap_or_default();
                    self.machines.effects.extend(effects);
                }
            }
            Act::Stop(target) => {
                for run in self.runs(&target, true) {
                    // A run that is over already needs no stop.
                    let effects = self.machines.manager.stop(run, None, self.now).unwrap_or_default();
                    self.machines.effects.extend(effects);
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
        if let Some(changes) = self.machines.breaker.operate(self.now, scope, act, None, None) {
            self.input(Input::BreakerDue(changes));
        }
    }

    /// The runs that an act applies to, oldest first.
    fn runs(&self, target: &Target, living: bool) -> Vec<RunId> {
        match target {
            Target::Run(name) => self.names.id(name).into_iter().collect(),
            Target::Program(program) => {
                let of = |run: &&Run| run.program == *program && run.phase.is_ended() != living;
                let mut runs: Vec<_> = self.machines.manager.runs().filter(of).map(|run| run.id).collect();
                runs.sort_unstable();
                runs
            }
        }
    }

    // ── dying and coming back ──────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn go_down(&mut self, n: usize) {
        let Some(restart) = self.scenario.restarts.get(n).copied() else { return };
        self.machines.write_out();
        self.carry_out();
        // The live one saves its clocks with what it writes, and may write nothing for a long time before it dies: then a
        // clock that was set back takes more from what has elapsed. Here all is saved at the very end.
        let clocks = self.machines.manager.save_clock(&self.clocks());
        for put in self.machines.breaker.save(self.now).into_iter().chain([clocks]) {
            self.save(put);
        }
        self.down = Some(restart);
    }

    /// The clocks that outlive a process, as they read now.
    pub(super) fn clocks(&self) -> SavedClock {
        let wall_ms = EPOCH_MS.saturating_add(self.now.0).saturating_add_signed(self.wall_ahead_ms);
        let boot_id = u128::from(self.boots) + 1;
        SavedClock { at: self.now, reading: ClockReading { wall_ms, boot_id, boottime_ms: self.now.0 } }
    }

    pub(super) fn come_back(&mut self, n: usize) {
        let Some(restart) = self.scenario.restarts.get(n).copied() else { return };
        self.down = None;
        let now = self.now;
        self.machines = Machines::new(self.machines.manager.last_seq() + 1, self.setup.seed);
        self.configure();
        self.wall_ahead_ms = self.wall_ahead_ms.saturating_add(restart.wall_step_ms);
        self.boots += u64::from(!restart.same_boot);
        // Before anything is written in the new time.
        let state = self.state.clone();
        let shift = self.machines.manager.set_clock(&state, &self.clocks());
        self.carry_out();
        self.machines.manager.restore(&state, now);
        let (mut recovered, mut adopted) = (Vec::new(), BTreeSet::new());
        for orphan in self.machines.manager.orphans() {
            if !restart.same_boot {
                self.processes.lose(orphan.attempt);
            }
            if self.processes.is_alive(orphan.attempt) {
                adopted.insert(orphan.attempt);
            } else {
                recovered.push(lost(orphan.attempt));
            }
        }
        let runs = adopted.iter().map(|attempt| attempt.run).collect();
        self.machines.restore_rooms(&state, &runs, shift, self.clocks().reading, now);
        self.carry_out();
        let down_ms = restart.down_for_ms;
        let effects = self.machines.manager.resume(recovered, &adopted, down_ms, false, now);
        self.machines.effects.extend(effects);
    }
}

/// The wall clock when a scenario begins, in milliseconds: late enough that a step back by years is still after 0.
const EPOCH_MS: u64 = 1_800_000_000_000;

fn lost(attempt: AttemptId) -> Recovered {
    Recovered {
        attempt,
        exit: ExitStatus::Unknown,
        ended_at: None,
        stopped_by_keeper: false,
        spool: Spool { token: 0, stdout: "".into(), stderr: "".into() },
        sizes: SOMETHING,
        losses: Default::default(),
        secrets: Vec::new(),
    }
}
