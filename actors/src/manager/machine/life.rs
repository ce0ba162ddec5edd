//! From the decision to start an attempt to the decision what its end means.

use super::{About, Effect, Machine, Stage, StopCause};
use crate::{
    launcher::{self, Report},
    model::{
        Attempt, AttemptId, Class, Event, Evidence, ExitStatus, Leftovers, Phase, Reason, RunId,
        SpawnFailure, SpoolSizes, class_help, rule_help, signal_name,
    },
    monitor::{self, Drained},
    retry::Prepared,
};

impl Machine {
    // ── starting ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// Writes the start down; the process is made after that.
    pub(super) fn begin(&mut self, id: RunId, prepared: Prepared, probe: bool) {
        let (now, Prepared { params, reasons }) = (self.now, prepared);
        let Some(live) = self.runs.live_mut(id) else { return };
        let number = live.run.attempt + 1;
        live.run.attempt = number;
        if live.run.attempts.is_empty() {
            // Most runs have one attempt, and room for four would be half of what a run takes.
            live.run.attempts.reserve_exact(1);
        }
        let mut attempt = Attempt::new(number, params.clone(), probe, now);
        attempt.param_reasons.clone_from(&reasons);
        let forced = std::mem::take(&mut live.run.forced);
        attempt.forced = forced;
        live.run.attempts.push_back(attempt);
        while live.run.attempts.len() > crate::model::Run::ATTEMPTS_KEPT {
            live.run.attempts.pop_front();
        }
        live.stage = Stage::Starting;
        live.run.phase = Phase::Starting;
        live.run.next_attempt_at = None;
        live.run.quarantined = false;
        live.run.held = None;
        live.stop = None;
        live.exit = None;
        live.ended_at = None;
        live.closing = None;
        live.overdue_since = None;
        live.unspooled = 0;
        live.error_at = None;
        live.errors = super::inline::Errors::default();
        live.free = false;
        live.empty = false;
        let attempt = live.attempt_id();
        let launch = launcher::Launch { attempt, program: live.program.clone(), params: params.clone() };
        self.ledger.save_attempt(attempt);
        self.ledger.save(super::trim::forget_attempt_before(attempt));
        self.account(id, number);
        let event = Event::AttemptStarted { params, probe, forced, param_reasons: reasons };
        self.record_run(id, true, None, event);
        self.ledger.act(Effect::Launch(launch));
        self.commit(true);
    }

    pub(super) fn launcher(&mut self, report: Report) {
        let Some(report) = self.carriage(report) else { return };
        match report {
            Report::Launched { attempt, pid, start_ticks, spool, secrets } => {
                self.launched(attempt, pid, start_ticks);
                if let Some(live) = self.runs.live(attempt.run) {
                    let (program, first_output) = (live.program.clone(), live.wants_first_output());
                    self.ledger.emit(Effect::Watch(monitor::Watch {
                        attempt,
                        program,
                        spool,
                        secrets,
                        first_output,
                        judged: false,
                    }));
                }
                self.commit(false);
            }
            Report::LaunchFailed { attempt, failure } => self.launch_failed(attempt, failure),
            Report::Unheard { attempt, spool, sizes, secrets } => {
                if let Some(live) = self.runs.live(attempt.run) {
                    let program = live.program.clone();
                    let (first_output, judged) = (false, false);
                    let watch = monitor::Watch { attempt, program, spool, secrets, first_output, judged };
                    self.ledger.emit(Effect::Watch(watch));
                }
                self.exited(attempt, ExitStatus::Unknown, sizes, false);
                self.emptied(attempt, sizes);
            }
            Report::Exited { attempt, exit, sizes, leftovers } => {
                self.exited(attempt, exit, sizes, leftovers)
            }
            Report::Emptied { attempt, sizes } => self.emptied(attempt, sizes),
            Report::KeeperLost { attempts, why } => {
                // What became of each is told with its end: lost is who ended unseen.
                self.ledger.record(self.now, About::default(), Event::KeeperLost { attempts, why });
                self.commit(false);
                self.keeper_died();
            }
            // Taken before.
            Report::OutputLost { .. }
            | Report::OutputWaits { .. }
            | Report::Unspooled { .. }
            | Report::KeeperSilent { .. }
            | Report::KeeperAnswers => {}
        }
    }

    fn launched(&mut self, attempt: AttemptId, pid: i32, start_ticks: u64) {
        let Some(live) = self.runs.attempt_mut(attempt).filter(|live| live.stage == Stage::Starting) else {
            return; // Told twice, or of an attempt that was stopped or given up meanwhile.
        };
        if let Some(current) = live.attempt() {
            current.pid = Some(pid);
            current.start_ticks = start_ticks;
        }
        live.stage = Stage::Running;
        let cause = live.stop.take();
        live.run.phase = Phase::Running;
        self.ledger.save_attempt(attempt);
        self.record_run(attempt.run, true, None, Event::AttemptSpawned { pid, start_ticks });
        self.arm_attempt(attempt.run);
        if let Some(cause) = cause {
            self.stop_for(attempt.run, cause); // Asked for while the process was being made.
        }
    }

    fn launch_failed(&mut self, attempt: AttemptId, failure: SpawnFailure) {
        let now = self.now;
        let Some(live) = self.runs.attempt_mut(attempt).filter(|live| live.stage == Stage::Starting) else {
            return; // Told twice, or of an attempt that was stopped or given up meanwhile.
        };
        let class =
            if failure.problem.is_transient() { Class::SPAWN_TRANSIENT } else { Class::SPAWN_PERMANENT };
        let spawn_error = if failure.errno.is_empty() {
            serde_json::to_value(failure.problem)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default()
        } else {
            failure.errno
        };
        live.empty = true;
        live.evidence = Some(Evidence {
            class: class.to_owned(),
            rule: "spawn".to_owned(),
            line: failure.message.clone(),
            stream: None,
            seq: 0,
            at: now,
            retry_after_ms: None,
            preferred: None,
        });
        live.run.reason = Some(Reason {
            class: class.to_owned(),
            exit: None,
            message: failure.message.clone(),
            rule: "spawn".to_owned(),
            preferred: None,
            help: if failure.help.is_empty() {
                class_help(class).unwrap_or_default().to_owned()
            } else {
                failure.help
            },
        });
        if let Some(current) = live.attempt() {
            current.ended_at = Some(now);
            current.spawn_error = Some(failure.message.clone());
            current.class = Some(class.to_owned());
        }
        self.ledger.save_attempt(attempt);
        let event = Event::AttemptEnded {
            exit: None,
            signal: None,
            spawn_error: Some(spawn_error),
            class: Some(class.to_owned()),
            rule: Some("spawn".to_owned()),
            line: Some(failure.message),
            preferred: None,
            retry_after_ms: None,
            lasted_ms: 0,
            ended_at: None,
            output_complete: true,
            lines_lost: 0,
            unspooled: 0,
        };
        self.ledger.begin_end(attempt.run);
        self.record_run(attempt.run, true, None, event);
        self.settle(attempt.run, Some(class));
    }

    // ── ending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn exited(
        &mut self,
        attempt: AttemptId,
        exit: ExitStatus,
        sizes: SpoolSizes,
        leftovers: bool,
    ) {
        let Some(live) = self.runs.attempt_mut(attempt).filter(|live| live.stage.has_process()) else {
            return; // Told twice, or of an attempt that is behind us.
        };
        live.stage = Stage::Draining;
        live.exit = Some(exit);
        if exit == ExitStatus::Unknown {
            live.stop.get_or_insert(StopCause::Lost);
        }
        let by_itself = live.stop.is_none();
        let keep = live.program.leftovers == Leftovers::Keep && by_itself;
        let stop = launcher::Stop {
            attempt,
            signal: live.program.stop_signal,
            timeout_ms: live.program.stop_timeout_ms,
        };
        let known_empty = !leftovers;
        live.empty = live.empty || keep || known_empty;
        self.trees.insert(attempt, stop);
        self.disarm(attempt.run);
        if leftovers {
            let action = if keep { Leftovers::Keep } else { Leftovers::Stop };
            // A stop is for all of them: that its leader was not the last to go is no news.
            if by_itself {
                self.record_run(attempt.run, true, None, Event::LeftoversFound { action });
            }
            if !keep {
                self.ledger.emit(Effect::StopTree(stop));
            }
        }
        let live = self.runs.live(attempt.run);
        let more = live.is_some_and(|live| live.unspooled > 0);
        let drain = monitor::Drain { attempt, exit, up_to: sizes, more };
        let program = live.map(|live| live.program.clone());
        match program.and_then(|program| drain.of_silence(&program, self.now)) {
            Some(drained) => self.drained(attempt, drained),
            None => self.ledger.emit(Effect::Drain(drain)),
        }
    }

    fn emptied(&mut self, attempt: AttemptId, sizes: SpoolSizes) {
        self.trees.remove(&attempt);
        self.carried(attempt);
        let Some(live) = self.runs.attempt_mut(attempt) else {
            self.close(attempt, sizes);
            self.commit(false);
            return;
        };
        live.empty = true;
        match live.stage.clone() {
            // An end must be written before the keeper, and the next supervisor, may forget it.
            Stage::Draining => live.closing = Some(sizes),
            Stage::Emptying(next) => {
                self.close(attempt, sizes);
                self.go_on(attempt.run, next);
            }
            // Goes out with the decision that is on its way.
            Stage::Judging => self.close(attempt, sizes),
            Stage::Waits(_) | Stage::Starting | Stage::Running => {
                self.close(attempt, sizes);
                self.commit(false);
            }
        }
    }

    /// Gives back what an attempt had whose end is recorded and whose tree is empty.
    pub(super) fn close(&mut self, attempt: AttemptId, sizes: SpoolSizes) {
        self.ledger.act(Effect::Close(monitor::Close { attempt, sizes }));
        self.ledger.act(Effect::Acknowledge(attempt));
    }

    pub(super) fn drained(&mut self, attempt: AttemptId, drained: Drained) {
        let now = self.now;
        let Some(live) = self.runs.attempt_mut(attempt).filter(|live| live.stage == Stage::Draining) else {
            return; // The Monitor's answer came after a restart of the run, or twice.
        };
        let exit = live.exit.unwrap_or(ExitStatus::Unknown);
        let started = live.run.current().map_or(now, |current| current.started_at);
        let ended = live.ended_at.map_or(now, |at| at.clamp(started.min(now), now));
        let lasted_ms = ended.since(started);
        let found = drained.evidence_of(&live.program, exit, now);
        let evidence = end_class(live, exit, found, lasted_ms, now);
        let class = evidence.as_ref().map(|evidence| evidence.class.clone());
        let lines_lost = drained.counts.gaps + live.run.current().map_or(0, |current| current.lost);
        let before = live.run.current().map_or(0, |current| current.lines);
        live.run.counts.lines += drained.counts.lines.saturating_sub(before);
        live.run.counts.gaps += drained.counts.gaps;
        if let Some(current) = live.attempt() {
            current.ended_at = Some(ended);
            current.exit = Some(exit);
            current.class.clone_from(&class);
            current.lines = drained.counts.lines;
            current.items = drained.items;
        }
        if let Some(evidence) = &evidence
            && !Class::is_ours(&evidence.class)
        {
            live.run.reason = Some(Reason {
                class: evidence.class.clone(),
                exit: Some(exit),
                message: if evidence.line.is_empty() { exit.to_string() } else { evidence.line.clone() },
                rule: evidence.rule.clone(),
                preferred: evidence.preferred.clone(),
                help: help_of(evidence),
            });
        }
        let (code, signal) = match exit {
            ExitStatus::Code(code) => (Some(code), None),
            ExitStatus::Signal { number, .. } => {
                (None, Some(signal_name(number).map_or_else(|| number.to_string(), str::to_owned)))
            }
            ExitStatus::Unknown => (None, None),
        };
        let event = Event::AttemptEnded {
            exit: code,
            signal,
            spawn_error: None,
            class: class.clone(),
            rule: evidence.as_ref().map(|evidence| evidence.rule.clone()),
            line: evidence.as_ref().map(|evidence| evidence.line.clone()).filter(|line| !line.is_empty()),
            preferred: evidence.as_ref().and_then(|evidence| evidence.preferred.clone()),
            retry_after_ms: evidence.as_ref().and_then(|evidence| evidence.retry_after_ms),
            lasted_ms,
            ended_at: live.ended_at.map(|_| ended),
            output_complete: drained.complete && lines_lost == 0 && live.unspooled == 0,
            lines_lost,
            unspooled: live.unspooled,
        };
        live.evidence = evidence;
        let closing = live.closing.take();
        self.ledger.save_attempt(attempt);
        self.ledger.begin_end(attempt.run);
        self.record_run(attempt.run, true, None, event);
        if let Some(sizes) = closing {
            self.close(attempt, sizes);
        }
        self.settle(attempt.run, class.as_deref());
    }
}

/// A built-in rule may say more than its class.
fn help_of(evidence: &Evidence) -> String {
    let help = rule_help(&evidence.rule).or_else(|| class_help(&evidence.class));
    help.unwrap_or_default().to_owned()
}

/// The class of an end: ours when we caused it, a daemon's own rules, else what the Monitor found.
fn end_class(
    live: &super::Live,
    exit: ExitStatus,
    found: Option<Evidence>,
    lasted_ms: u64,
    now: crate::model::Timestamp,
) -> Option<Evidence> {
    let own = |class: &str, rule: &str, line: String| {
        Some(Evidence {
            class: class.to_owned(),
            rule: rule.to_owned(),
            line,
            stream: None,
            seq: 0,
            at: now,
            retry_after_ms: None,
            preferred: None,
        })
    };
    match live.stop {
        Some(StopCause::Operator | StopCause::Restart) => {
            return own(Class::OPERATOR_STOP, "stop", String::new());
        }
        Some(StopCause::Timeout) => {
            return own(Class::TIMEOUT_RUN, "timeout", "ran longer than its timeout".into());
        }
        Some(StopCause::Idle) => {
            return own(Class::STALLED, "idle_timeout", "wrote nothing for its idle_timeout".into());
        }
        Some(StopCause::Shutdown) => return own(Class::SHUTDOWN, "shutdown", String::new()),
        Some(StopCause::Lost) => return own(Class::LOST, "lost", String::new()),
        // The errors that ended it.
        Some(StopCause::Errors | StopCause::TooManyErrors) => return live.evidence.clone(),
        Some(StopCause::Breaker) => return own(Class::BREAKER_STOP, "on_open", String::new()),
        None => {}
    }
    if found.is_none() && live.program.is_daemon() {
        return if lasted_ms >= live.program.retry.reset_after_ms() {
            own(Class::CLEAN_EXIT, "restart = \"always\"", String::new())
        } else {
            own(Class::EARLY_EXIT, "restart = \"always\"", format!("a daemon ended with {exit}"))
        };
    }
    found
}
