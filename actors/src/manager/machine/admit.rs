//! From the request to the leave to start: checks, places, breakers. Who has to wait is in [`line`](super::line).

use super::{Effect, Live, Machine, Stage, Wait};
use crate::{
    breaker::{self, Admission, Admit, Changes, Gate},
    manager::{Start, StartError, messages::NoRoom},
    model::{
        Event, HeldBack, HeldReason, Params, Phase, ProbeParams, Program, Run, RunId, Scope, Timestamp,
        is_priority, render_key,
    },
    retry,
};
use std::{collections::BTreeMap, sync::Arc};

/// A start whose parameters fit, and what must be done before it is written down.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The definition.
    pub program: Arc<Program>,
    /// With defaults; secrets as `***`.
    pub params: Params,
    /// Values of secrets by parameter name: to be kept by the Launcher.
    pub secrets: BTreeMap<String, String>,
    /// The scopes that gate it.
    pub gates: Vec<Gate>,
}

impl Machine {
    /// Checks a start without changing anything.
    ///
    /// # Errors
    /// [`StartError`], before anything was written.
    pub fn check_start(&self, start: &Start) -> Result<Checked, StartError> {
        if self.shutting_down {
            return Err(StartError::ShuttingDown);
        }
        let Some(program) = self.programs.get(&start.program) else {
            return Err(StartError::UnknownProgram {
                name: start.program.clone(),
                known: self.program_names(),
            });
        };
        let (params, secrets) = program.resolve_params(&start.params).map_err(|problems| {
            StartError::Params { program: start.program.clone(), problems, usage: program.usage() }
        })?;
        let named = start.requested_by.as_ref().map_or(0, String::len);
        let bytes = named + serde_json::to_vec(&(&params, &start.labels)).map_or(0, |json| json.len());
        if bytes > Start::MAX_BYTES {
            return Err(StartError::TooLarge { bytes });
        }
        if let Some(priority) = start.priority.filter(|priority| !is_priority(*priority)) {
            return Err(StartError::Priority { priority });
        }
        self.check_room(program)?;
        let gates = self.programs.gates(program, &params, start.requested_by.as_deref());
        Ok(Checked { program: program.clone(), params, secrets, gates })
    }

    /// A start whose parameters were found to fit before, as a recording has it.
    pub fn checked_before(&self, start: &Start) -> Option<Checked> {
        let program = self.programs.get(&start.program)?.clone();
        let params = start.params.clone();
        let gates = self.programs.gates(&program, &params, start.requested_by.as_deref());
        Some(Checked { program, params, secrets: BTreeMap::new(), gates })
    }

    /// Whether one more run of this program may live or wait.
    pub(super) fn check_room(&self, program: &Program) -> Result<(), NoRoom> {
        if program.is_daemon()
            && program.max_concurrent.is_none()
            && let Some(live) = self.runs.newest_live_of(&program.name)
        {
            return Err(NoRoom::AlreadyRunning { program: program.name.clone(), run: live.run.id });
        }
        let limit = program.queue;
        let waiting = self.lines.queue_length(&program.name);
        if !self.has_place(program) && waiting >= limit as usize {
            return Err(NoRoom::QueueFull { program: program.name.clone(), limit });
        }
        Ok(())
    }

    /// Creates a run for a checked start. The run exists, and is written, before anything is started for it.
    pub fn start(&mut self, checked: Checked, start: &Start, id: RunId, now: Timestamp) -> Vec<Effect> {
        self.settle_time(now);
        let Checked { program, params, .. } = checked;
        let mut run = Run::new(id, program.name.clone(), params.clone(), self.now);
        run.requested_by.clone_from(&start.requested_by);
        run.labels = program.labels.clone();
        run.labels.extend(start.labels.clone());
        run.journal_from = self.ledger.next_seq();
        run.forced = start.force;
        run.own_priority = start.priority;
        run.max_attempts = program.max_attempts();
        self.remember_key(start, id);
        self.programs.start_by_hand(&program.name);
        let live = Live::boxed(run, program, self.now);
        let (requested_by, forced, priority) = (start.requested_by.clone(), start.force, live.run.priority);
        self.runs.begin(live);
        self.record_run(id, false, None, Event::RunQueued { params, requested_by, forced, priority });
        self.enqueue(id);
        self.commit(true);
        self.take_effects()
    }

    /// The scopes that gate a run's starts.
    pub fn scopes_of(&self, run: &Run) -> Vec<Scope> {
        let Some(program) = self.programs.get(&run.program) else { return Vec::new() };
        let gates = self.programs.gates_of(run, program);
        gates.into_iter().map(|gate| gate.scope).collect()
    }

    /// The parameters of a run that siblings change too, by the key that they share and their name.
    #[must_use]
    pub fn shared_params_of(&self, run: &Run) -> Vec<(Scope, String)> {
        let Some(program) = self.programs.get(&run.program) else { return Vec::new() };
        let shared = program.params.iter().filter_map(|(name, spec)| {
            let key = render_key(spec.adjust_scope.as_deref()?, &program.name, &run.params)?;
            Some((Scope(key), name.clone()))
        });
        shared.collect()
    }

    // ── places ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn has_place(&self, program: &Program) -> bool {
        self.lines.places_taken(&program.name) < program.concurrency()
    }

    /// Takes a place and asks the breakers, or waits for one.
    pub(super) fn enqueue(&mut self, id: RunId) {
        let Some(live) = self.runs.live(id) else { return };
        let program = live.program.clone();
        if self.has_place(&program) {
            self.lines.take_place(&program.name);
            self.ask(id);
            return;
        }
        let now = self.now;
        let why = format!(
            "{} has as many living runs as max_concurrent = {} allows",
            program.name,
            program.concurrency()
        );
        if let Some(live) = self.runs.live_mut(id) {
            live.stage = Stage::Waits(Wait::Queued);
            live.run.phase = Phase::Queued;
            live.waiting_since = now;
            live.run.held = Some(HeldBack {
                reason: HeldReason::Concurrency,
                scope: None,
                retry_at: None,
                why: why.clone(),
                since: now,
            });
        }
        if let Some(live) = self.runs.live(id) {
            self.lines.queue(&program.name, live.in_line());
        }
        let event = Event::StartBlocked { reason: HeldReason::Concurrency, retry_at: None, why };
        self.record_run(id, false, None, event);
        self.ask_deadline(id);
    }

    /// Gives a place back, for the first in line.
    pub(super) fn release_place(&mut self, program: &str) {
        self.lines.give_place_back(program);
        self.hand_out_places(program);
    }

    /// Lets runs in line start while there are places. A reload may have made more of them, or fewer.
    pub(super) fn hand_out_places(&mut self, name: &str) {
        while !self.shutting_down
            && let Some(next) = self.lines.first_in_queue(name)
        {
            let own = self.runs.live(next.2).map(|live| &live.program);
            let Some(program) = self.programs.get(name).or(own) else { return };
            if !self.has_place(program) {
                return;
            }
            self.lines.leave_queue(name, &next);
            self.lines.take_place(name);
            self.ask(next.2);
        }
    }

    // ── breakers ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// Asks for leave to start the next attempt. A living run takes up a changed definition here and nowhere else.
    ///
    /// Who comes to a scope in which others wait before him joins their line: what refused the first refuses him too.
    pub(super) fn ask(&mut self, id: RunId) {
        if self.shutting_down {
            return self.suspend(id);
        }
        if !self.is_configured(id) {
            return self.end_removed(id);
        }
        let now = self.now;
        let current = self.runs.live(id).and_then(|live| self.programs.get(&live.run.program)).cloned();
        let Some(live) = self.runs.live_mut(id) else { return };
        // Who waits already keeps the place that he has waited for, whatever held him back until now.
        if live.stage != Stage::Waits(Wait::Blocked) {
            live.waiting_since = now;
        }
        if let Some(program) = current {
            let priority = live.run.own_priority.unwrap_or(program.priority);
            live.program = program;
            self.set_priority(id, priority);
        }
        let Some(live) = self.runs.live(id) else { return };
        // A first start brings tokens and needs none.
        if live.run.attempt > 0 && !live.free {
            let priority = live.run.priority;
            let budgets = self.budgets_of(id);
            if self.programs.needs_tokens(&budgets) {
                if let Some(live) = self.runs.live_mut(id) {
                    live.stage = Stage::Waits(Wait::Reserving);
                }
                self.ask_retry(retry::Ask::Reserve { run: id, priority, budgets });
                return;
            }
        }
        self.ask_breakers(id);
    }

    pub(super) fn ask_breakers(&mut self, id: RunId) {
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Waits(Wait::Asking);
        live.stop = None;
        if live.run.forced {
            // No permit is taken, so no probe is spent on it and no breaker hears how it ends.
            self.disarm(id);
            return self.prepare(id, None);
        }
        let gates = self.gates_of(id);
        if gates.is_empty() {
            return self.prepare(id, None);
        }
        // Behind somebody it only looks: which of its scopes refuses longest is to be told all the same.
        let peek = self.ahead(id, &gates).is_some();
        self.ask_breaker(breaker::Ask::Admit(Admit { run: id, gates, peek }));
    }

    /// The scopes that gate the next start of a living run.
    pub(super) fn gates_of(&self, id: RunId) -> Vec<Gate> {
        let Some(live) = self.runs.live(id) else { return Vec::new() };
        self.programs.gates_of(&live.run, &live.program)
    }

    pub(super) fn admitted(&mut self, id: RunId, peek: bool, admission: Admission) {
        if peek {
            return self.looked(id, admission);
        }
        match admission {
            Admission::Granted { permits, probe, changes } => {
                self.absorb(changes);
                let scopes: Vec<_> = permits.iter().map(|permit| permit.scope.clone()).collect();
                let asks = self.runs.live(id).is_some_and(|live| live.stage == Stage::Waits(Wait::Asking));
                if !asks || self.shutting_down {
                    // Stopped while the breakers were asked, or asked twice: the permits go back unused.
                    self.give_back(id, permits);
                    return if asks { self.suspend(id) } else { self.commit(false) };
                }
                self.hold_permits(id, permits);
                self.disarm(id);
                self.lines.recheck(scopes);
                self.prepare(id, probe);
            }
            Admission::Denied { scope, retry_at, why, changes } => {
                self.absorb(changes);
                if self.refused(id, scope.clone(), retry_at, why.clone()) {
                    self.tell_line(&scope, retry_at, &why);
                }
                self.commit_refusal();
            }
        }
    }

    /// A refusal that follows an end is written with it at once, because acts wait for that; another one can wait.
    pub(super) fn commit_refusal(&mut self) {
        let acts_wait = self.ledger.has_acts();
        self.commit(acts_wait);
    }

    /// A run that fails must not wait beyond its `max_failing`.
    pub(super) fn ask_deadline(&mut self, id: RunId) {
        let Some(live) = self.runs.live(id) else { return };
        if live.program.retry.max_failing_ms.is_some() {
            let program = live.program.clone();
            self.ask_retry(retry::Ask::Deadline { run: id, program });
        }
    }

    pub(super) fn breaker_changed(&mut self, changes: Changes) {
        self.absorb(changes);
        self.commit(true);
    }

    // ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn prepare(&mut self, id: RunId, probe: Option<ProbeParams>) {
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Waits(Wait::Preparing);
        live.evidence = None;
        self.leave_lines(id);
        let Some(live) = self.runs.live_mut(id) else { return };
        // Whoever stood behind it is the first in line now.
        self.lines.recheck(live.run.held.take().and_then(|held| held.scope));
        let (program, base) = (live.program.clone(), live.run.params.clone());
        if base.is_empty() {
            let prepared = retry::Prepared { params: base, ..retry::Prepared::default() };
            self.begin(id, prepared, probe.is_some()); // Nothing that could differ.
            return;
        }
        live.probe = probe.is_some();
        self.ask_retry(retry::Ask::Prepare { run: id, program, base, probe });
    }

    pub(super) fn prepared(&mut self, id: RunId, prepared: retry::Prepared) {
        match self.runs.live(id) {
            Some(live) if live.stage == Stage::Waits(Wait::Preparing) && self.shutting_down => {
                self.give_permits_back(id);
                self.suspend(id);
            }
            Some(live) if live.stage == Stage::Waits(Wait::Preparing) => {
                let probe = live.probe;
                self.begin(id, prepared, probe);
            }
            // Stopped while Retry was asked; whoever stopped it gave the permits back.
            Some(_) | None => {}
        }
    }

    /// No start any more in this manager's life: it is made at once in the next one's, which spreads only what came due
    /// while nobody was there.
    pub(super) fn suspend(&mut self, id: RunId) {
        drop(self.take_permits(id));
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Waits(Wait::Suspended);
        live.run.phase = Phase::Backoff;
        live.run.next_attempt_at = None;
        self.ledger.save_run(id);
        self.commit(true);
    }
}
