//! What follows when a breaker changes: who waits asks again, and who lives is stopped where the rules say so.

use super::{Machine, Stage, StopCause, Wait};
use crate::{
    breaker::{self, Outcome, Permit, Settle},
    model::{Event, OnOpen, Program, RunId, Scope, ScopeKind, StopAct},
};

impl Machine {
    /// At the end of a step, so that one step's own decision is made before those that it leads to.
    pub(super) fn follow_breakers(&mut self) {
        for scope in self.lines.take_opened() {
            self.stop_living(&scope);
        }
        // One that needs no leave any more goes on at once, and stirs those behind it.
        while let Some(scope) = self.lines.next_to_recheck() {
            self.wake(&scope);
        }
    }

    /// The permits of a granted start. Those of scopes that stop it when they open are looked up by scope then.
    pub(super) fn hold_permits(&mut self, id: RunId, permits: Vec<Permit>) {
        let Some(live) = self.runs.live(id) else { return };
        let program = live.program.clone();
        for permit in &permits {
            if self.stops_on_open(&permit.scope, &program) {
                self.lines.stop_on_open(permit.scope.clone(), id);
            }
        }
        if let Some(live) = self.runs.live_mut(id) {
            live.permits = permits;
        }
    }

    /// The permits of a start that is over, or will not be.
    pub(super) fn take_permits(&mut self, id: RunId) -> Vec<Permit> {
        let permits = self.runs.live_mut(id).map(|live| std::mem::take(&mut live.permits));
        let permits = permits.unwrap_or_default();
        for permit in &permits {
            self.lines.keep_on_open(&permit.scope, id);
        }
        permits
    }

    /// Permits of a start that will not be.
    pub(super) fn give_permits_back(&mut self, id: RunId) {
        let permits = self.take_permits(id);
        if !permits.is_empty() {
            self.give_back(id, permits);
        }
    }

    pub(super) fn give_back(&mut self, id: RunId, permits: Vec<Permit>) {
        let outcomes = permits.into_iter().map(|permit| (permit, Outcome::Neutral)).collect();
        let settle = Settle { run: id, class: None, outcomes, keep: false };
        self.ask_breaker(breaker::Ask::Settle(settle));
    }

    fn stops_on_open(&self, scope: &Scope, program: &Program) -> bool {
        let rules = match scope.kind() {
            ScopeKind::Program => program.breaker.as_ref(),
            ScopeKind::Shared | ScopeKind::User | ScopeKind::Global => self.programs.shared_rules(&scope.0),
        };
        rules.is_some_and(|rules| rules.on_open == OnOpen::Stop)
    }

    /// Stops what lives in a scope that opened. That is nobody's failure: each says "neutral" to its breakers, uses up no
    /// retry, and waits in line as `blocked`. One that is being stopped for another cause is left to that.
    fn stop_living(&mut self, scope: &Scope) {
        if self.shutting_down {
            return;
        }
        let runs = self.lines.stopped_on_open(scope);
        for id in runs {
            let Some(live) = self.runs.live_mut(id).filter(|live| live.stop.is_none()) else { continue };
            let stage = live.stage.clone();
            match stage {
                Stage::Running | Stage::Starting => {
                    let why = format!("{scope} opened, and its rules stop what lives there (on_open)");
                    let event = Event::StopRequested { act: Some(StopAct::Rule), by: None, why };
                    self.record_run(id, true, Some(scope.clone()), event);
                    self.stop_starting_or_running(id);
                }
                // Granted a moment ago, and nothing was started yet: it asks again.
                Stage::Waits(Wait::Preparing) => {
                    self.give_permits_back(id);
                    self.ask(id);
                }
                Stage::Waits(_) | Stage::Draining | Stage::Judging | Stage::Emptying(_) => {}
            }
        }
    }

    fn stop_starting_or_running(&mut self, id: RunId) {
        match self.runs.live_mut(id) {
            Some(live) if live.stage == Stage::Starting => {
                live.stop = Some(StopCause::Breaker); // The Launcher's answer finds it.
                self.commit(true);
            }
            Some(_) => self.stop_for(id, StopCause::Breaker),
            None => {}
        }
    }
}
