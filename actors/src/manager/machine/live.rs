//! A run that is not over, and what is known of its present attempt.

use super::{
    inline,
    stage::{Stage, StopCause, Wait},
    timers::Timer,
};
use crate::{
    breaker::Permit,
    model::{Attempt, AttemptId, ExitStatus, Program, Run, RunId, SpoolSizes, Timestamp},
};
use std::{cmp::Reverse, sync::Arc};

/// Where a run stands among those that wait for the same thing: the highest priority first, then who waits longest.
pub(super) type InLine = (Reverse<i32>, Timestamp, RunId);

/// A run that is not over, and what we know of its present attempt.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) run: Run,
    pub(super) program: Arc<Program>,
    pub(super) stage: Stage,
    pub(super) permits: Vec<Permit>,
    pub(super) stop: Option<StopCause>,
    /// Whether the attempt being prepared probes a breaker.
    pub(super) probe: bool,
    /// The class of a failed start, which no output can show.
    pub(super) evidence: Option<crate::model::Evidence>,
    pub(super) exit: Option<ExitStatus>,
    /// When the leader ended, where that is known to be before it was heard of: while no supervisor ran.
    pub(super) ended_at: Option<Timestamp>,
    /// Bytes that the present attempt wrote until its end and no spool has.
    pub(super) unspooled: u64,
    /// Nobody of the present attempt's tree is left.
    pub(super) empty: bool,
    /// Its final sizes, when the tree was empty before the end was recorded: its spool is closed after that.
    pub(super) closing: Option<SpoolSizes>,
    /// When a supervisor first found its next start overdue, because none ran when it came due. Until that start.
    pub(super) overdue_since: Option<Timestamp>,
    /// When the last classified error of the present attempt was seen.
    pub(super) error_at: Option<Timestamp>,
    /// Errors of the present attempt by class, of those that act while it lives.
    pub(super) errors: inline::Errors,
    /// Whether tokens of the retry budget are set aside for the start that is being prepared.
    pub(super) promised: bool,
    /// Somebody asked for the next start: it is free.
    pub(super) free: bool,
    /// Since when it waits to be started, whatever held it back meanwhile: its place in every line.
    pub(super) waiting_since: Timestamp,
    pub(super) timers: Vec<(Timestamp, Timer)>,
}

impl Live {
    /// Boxed: a tree of runs that come in order is half empty, and so is a table.
    pub(super) fn boxed(mut run: Run, program: Arc<Program>, now: Timestamp) -> Box<Self> {
        run.priority = run.own_priority.unwrap_or(program.priority);
        Box::new(Self {
            run,
            program,
            stage: Stage::Waits(Wait::Queued),
            permits: Vec::new(),
            stop: None,
            probe: false,
            evidence: None,
            exit: None,
            ended_at: None,
            unspooled: 0,
            empty: true,
            closing: None,
            overdue_since: None,
            error_at: None,
            errors: inline::Errors::default(),
            promised: false,
            free: false,
            waiting_since: now,
            timers: Vec::new(),
        })
    }

    pub(super) fn in_line(&self) -> InLine {
        (Reverse(self.run.priority), self.waiting_since, self.run.id)
    }

    pub(super) fn attempt_id(&self) -> AttemptId {
        AttemptId { run: self.run.id, number: self.run.attempt }
    }

    pub(super) fn attempt(&mut self) -> Option<&mut Attempt> {
        self.run.attempts.back_mut()
    }
}
