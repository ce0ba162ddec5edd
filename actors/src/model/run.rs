//! A run and its attempts, as data: what is wanted, what is, and why.

use super::{ExitStatus, ParamValue, Params, RunId, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What is wanted of a run. What *is* stands in [`Phase`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The run should run, until it ends by its own rules.
    Up,
    /// The run should stop.
    Down,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The run waits for a slot of `max_concurrent`.
    Queued,
    /// The run's process is being made.
    Starting,
    /// The run's process lives.
    Running,
    /// The run waits for its next attempt.
    Backoff,
    /// A breaker refuses the run's start.
    Blocked,
    /// The run's tree is being stopped.
    Stopping,
    /// The run ended with success.
    Succeeded,
    /// The run gave up.
    Failed,
    /// The run was stopped on request.
    Stopped,
    /// The run was restarted too often in too short a time, and waits for an operator.
    Quarantined,
}

impl Phase {
    /// The name in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Blocked => "blocked",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether the run is over: nothing more happens by itself.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped | Self::Quarantined)
    }

    /// Whether a process may exist.
    #[must_use]
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// What ended a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The run's process ended and no rule wants another attempt.
    Exit,
    /// The run has no retries left.
    MaxRetries,
    /// The run's streak of failures lasted longer than `max_failing`.
    Deadline,
    /// The class of the failure says that trying again cannot help.
    NotRetryable,
    /// The run was restarted too often in too short a time.
    Intensity,
    /// The run was stopped on request.
    Operator,
    /// The retry budget was empty, and its rules end a run then.
    Budget,
    /// The run's program is no longer configured: no more attempts are started.
    ProgramRemoved,
    /// The keeper died each time soon after an attempt's start.
    KeeperLost,
}

/// What a start does when a breaker refuses it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IfBlocked {
    /// The start waits.
    #[default]
    Wait,
    /// The start is refused and no run is created.
    Refuse,
}

/// What holds a start back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// A breaker is open, or its probe is out.
    Breaker,
    /// The retry budget is spent.
    Budget,
    /// The program's `max_concurrent` is reached.
    Concurrency,
}

/// Why a start waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeldBack {
    /// What holds the start back.
    pub reason: HeldReason,
    /// The scope, where a breaker holds the start back.
    pub scope: Option<Scope>,
    /// The latest time at which the start is checked again; `None` when there is no such time.
    pub retry_at: Option<Timestamp>,
    /// The reason, as a sentence.
    pub why: String,
    /// The time since which the start waits.
    pub since: Timestamp,
}

/// The latest failure in one place: what happened, by which rule and line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// The class of the failure.
    pub class: String,
    /// How the process ended; `None` when there was no process.
    pub exit: Option<ExitStatus>,
    /// The output line that decided, or a sentence.
    pub message: String,
    /// The rule that found the class, such as `classify[0]` or `builtin:http_429`.
    pub rule: String,
    /// Why the failure has this class and not another one that was seen too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
    /// One thing to do.
    pub help: String,
}

/// One change of a parameter on its way from the requested value to the one that an attempt gets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ParamReason {
    /// The value before.
    pub from: ParamValue,
    /// The value after.
    pub to: ParamValue,
    /// The reason, as a sentence.
    pub why: String,
}

/// Why an attempt's parameters differ from the requested ones: by name, the chain of changes, oldest first.
pub type ParamReasons = BTreeMap<String, Vec<ParamReason>>;

/// One OS process of a run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the attempt in its run, from 1.
    pub number: u32,
    /// The process id, while the attempt lives and after; `None` when no process is known.
    pub pid: Option<i32>,
    /// The start time of the process, in clock ticks since boot: with `pid` and `boot_id` its identity.
    pub start_ticks: u64,
    /// The effective parameters.
    pub params: Params,
    /// The reasons of the parameters that differ from the requested ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub param_reasons: ParamReasons,
    /// Whether the attempt probed a half-open breaker.
    pub probe: bool,
    /// Whether the attempt was forced past the breakers: no breaker was asked, and none is told of its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// When the decision to start the attempt was written.
    pub started_at: Timestamp,
    /// When the attempt said that it is ready, by its program's `ready` rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When the attempt's leader ended.
    pub ended_at: Option<Timestamp>,
    /// How the attempt's leader ended.
    pub exit: Option<ExitStatus>,
    /// Why the attempt was never started.
    pub spawn_error: Option<String>,
    /// The class of the attempt's end; `None` on success.
    pub class: Option<String>,
    /// The number of lines of output known so far.
    pub lines: u64,
    /// The number of items that its output told of, where its program counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Whether another supervisor started the attempt.
    pub adopted: bool,
    /// The number of its lines that no spool took.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lost: u64,
}

impl Attempt {
    /// Creates an attempt that is about to be started.
    #[must_use]
    pub const fn new(number: u32, params: Params, probe: bool, started_at: Timestamp) -> Self {
        Self {
            number,
            pid: None,
            start_ticks: 0,
            params,
            param_reasons: BTreeMap::new(),
            probe,
            forced: false,
            started_at,
            ready_at: None,
            ended_at: None,
            exit: None,
            spawn_error: None,
            class: None,
            lines: 0,
            items: None,
            adopted: false,
            lost: 0,
        }
    }
}

/// What a run has written, as counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// The number of lines.
    pub lines: u64,
    /// The number of lines that a rule classified.
    pub errors: u64,
    /// The number of lines lost, each gap counted.
    pub gaps: u64,
}

/// One request to run a program.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// The run's identity.
    pub id: RunId,
    /// The program's name.
    pub program: String,
    /// The parameters as requested, with defaults; secrets as `***`.
    pub params: Params,
    /// The name of the caller, where it is known.
    pub requested_by: Option<String>,
    /// Labels for readers and filters.
    pub labels: BTreeMap<String, String>,
    /// When the run was asked for.
    pub created_at: Timestamp,
    /// What is wanted of the run.
    pub wanted: Wanted,
    /// Where the run stands.
    pub phase: Phase,
    /// The number of the latest attempt; 0 before the first.
    pub attempt: u32,
    /// How many attempts the program allows the run, as configured now. The Manager sets it; it is not stored.
    /// `None`: no limit, or a program that is no longer configured.
    #[serde(skip)]
    pub max_attempts: Option<u32>,
    /// When the next attempt is due; `None` when none is.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether the run waits because it was started too often (`quarantine`).
    #[serde(default)]
    pub quarantined: bool,
    /// Order among runs that wait for the same thing: higher first. The run's own priority, else its program's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// The priority that the start asked for; `None`: the program's, also when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_priority: Option<i32>,
    /// Whether the next start is forced past the breakers on request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// What holds the next start back; `None` when nothing does.
    pub held: Option<HeldBack>,
    /// The latest failure; `None` before the first.
    pub reason: Option<Reason>,
    /// The rule or cause that ended the run; `None` while it lives.
    pub end_reason: Option<EndReason>,
    /// When the run ended; `None` while it lives.
    pub ended_at: Option<Timestamp>,
    /// What the run has written.
    pub counts: Counts,
    /// How often the keeper died soon after the start of an attempt of this run, which was the youngest then.
    #[serde(default, skip_serializing_if = "is_zero_times")]
    pub keeper_deaths: u32,
    /// The sequence number of its first record in the journal, where its story begins.
    pub journal_from: u64,
    /// The newest attempts, oldest first; at most [`Run::ATTEMPTS_KEPT`] in memory, [`Run::ATTEMPTS_STORED`] in the store.
    #[serde(skip)]
    pub attempts: VecDeque<Attempt>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) const fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero_times(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) const fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Run {
    /// The number of attempts that a run carries with it: what a page shows without asking again.
    pub const ATTEMPTS_KEPT: usize = 20;

    /// The number of attempts of a run that the store has, the newest ones: days of a daemon that ends every few
    /// minutes, and half a megabyte. Of older attempts remain their number (`attempt`), what they wrote (`counts`),
    /// and what the journal tells.
    pub const ATTEMPTS_STORED: u32 = 1_000;

    /// Creates a run as it is when it was just asked for.
    #[must_use]
    pub const fn new(id: RunId, program: String, params: Params, created_at: Timestamp) -> Self {
        Self {
            id,
            program,
            params,
            requested_by: None,
            labels: BTreeMap::new(),
            created_at,
            wanted: Wanted::Up,
            phase: Phase::Queued,
            attempt: 0,
            max_attempts: None,
            next_attempt_at: None,
            quarantined: false,
            priority: 0,
            own_priority: None,
            forced: false,
            held: None,
            reason: None,
            end_reason: None,
            ended_at: None,
            counts: Counts { lines: 0, errors: 0, gaps: 0 },
            keeper_deaths: 0,
            journal_from: 0,
            attempts: VecDeque::new(),
        }
    }

    /// The latest attempt; `None` before the first.
    #[must_use]
    pub fn current(&self) -> Option<&Attempt> {
        self.attempts.back()
    }
}
