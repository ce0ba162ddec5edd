//! A run and its attempts, as data: what is wanted, what is, and why.

use super::{ExitStatus, ParamValue, Params, RunId, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What somebody wants of a run. What *is* stands in [`Phase`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// It should run, until it ends by its own rules.
    Up,
    /// It should stop.
    Down,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for a place.
    Queued,
    /// Its process is being made.
    Starting,
    /// Its process lives.
    Running,
    /// Waits for its next attempt.
    Backoff,
    /// A breaker refuses its start.
    Blocked,
    /// Its tree is being stopped.
    Stopping,
    /// Ended well.
    Succeeded,
    /// Gave up.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Restarted too often in too short a time; waits for an operator.
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

    /// Whether nothing more happens by itself.
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
    /// Its process ended and no rule wants another.
    Exit,
    /// No retries left.
    MaxRetries,
    /// Its streak of failures lasted longer than `max_failing`.
    Deadline,
    /// Its class says that trying again cannot help.
    NotRetryable,
    /// Restarted too often in too short a time.
    Intensity,
    /// Somebody stopped it.
    Operator,
    /// The retry budget was empty, and its rules end a run then.
    Budget,
    /// Its program is no longer configured: nothing more is started for it.
    ProgramRemoved,
    /// The keeper died each time soon after its start.
    KeeperLost,
}

/// What a start does when a breaker refuses it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IfBlocked {
    /// It waits.
    #[default]
    Wait,
    /// It is refused and no run is created.
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
    /// What holds it.
    pub reason: HeldReason,
    /// The scope, for a breaker.
    pub scope: Option<Scope>,
    /// When it is looked at again at the latest.
    pub retry_at: Option<Timestamp>,
    /// A sentence.
    pub why: String,
    /// Waiting since.
    pub since: Timestamp,
}

/// The latest failure in one place: what, which rule, which line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// The class.
    pub class: String,
    /// How the process ended, when it did.
    pub exit: Option<ExitStatus>,
    /// The output line that decided, or a sentence.
    pub message: String,
    /// The rule that found it, such as `classify[0]` or `builtin:http_429`.
    pub rule: String,
    /// Why it is this class and not another one that was seen too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
    /// One thing to do.
    pub help: String,
}

/// One change of a parameter on its way from what was asked for to what an attempt gets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ParamReason {
    /// Its value before.
    pub from: ParamValue,
    /// Its value after.
    pub to: ParamValue,
    /// A sentence.
    pub why: String,
}

/// Why an attempt's parameters are not as asked for: by name, the chain of changes, oldest first.
pub type ParamReasons = BTreeMap<String, Vec<ParamReason>>;

/// One OS process of a run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// While it lives, and after.
    pub pid: Option<i32>,
    /// Start time of the process in clock ticks since boot: with `pid` and `boot_id` its identity.
    pub start_ticks: u64,
    /// Effective parameters.
    pub params: Params,
    /// Why those that differ are not as asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub param_reasons: ParamReasons,
    /// Whether it probed a half-open breaker.
    pub probe: bool,
    /// Whether somebody forced it past the breakers: none was asked, and none hears of its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// When the decision to start it was written.
    pub started_at: Timestamp,
    /// When it said that it is ready, by its program's `ready` rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When its leader ended.
    pub ended_at: Option<Timestamp>,
    /// How.
    pub exit: Option<ExitStatus>,
    /// Why it never came to be.
    pub spawn_error: Option<String>,
    /// Class of its end; none on success.
    pub class: Option<String>,
    /// Lines of output known of.
    pub lines: u64,
    /// Items that its output told of, where its program says how it tells of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Whether another supervisor started it.
    pub adopted: bool,
    /// Lines of it that no spool took.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lost: u64,
}

impl Attempt {
    /// An attempt about to be started.
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

/// What a run has written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Lines.
    pub lines: u64,
    /// Lines that a rule classified.
    pub errors: u64,
    /// Lines lost, each gap counted.
    pub gaps: u64,
}

/// One request to run a program.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// The program's name.
    pub program: String,
    /// As asked for, with defaults; secrets as `***`.
    pub params: Params,
    /// Who asked.
    pub requested_by: Option<String>,
    /// For people and filters.
    pub labels: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// What is wanted.
    pub wanted: Wanted,
    /// What is.
    pub phase: Phase,
    /// Number of the latest attempt; 0 before the first.
    pub attempt: u32,
    /// How many attempts its program allows it, as configured now: told by the Manager and not stored. `None`: no limit, or a
    /// program that is no longer configured.
    #[serde(skip)]
    pub max_attempts: Option<u32>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether it waits so long because it was started too often (`quarantine`).
    #[serde(default)]
    pub quarantined: bool,
    /// Which of those that wait for the same thing goes first: its own, else its program's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// The priority that its start asked for; nothing: its program's, also when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_priority: Option<i32>,
    /// Whether somebody forced its next start past the breakers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// What holds its start back.
    pub held: Option<HeldBack>,
    /// The latest failure.
    pub reason: Option<Reason>,
    /// What ended it.
    pub end_reason: Option<EndReason>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it has written.
    pub counts: Counts,
    /// How often the keeper died soon after the start of an attempt of it, which was the youngest then.
    #[serde(default, skip_serializing_if = "is_zero_times")]
    pub keeper_deaths: u32,
    /// Its first record in the journal: where its story begins.
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
    /// Attempts that a run carries with it: what a page shows without asking again.
    pub const ATTEMPTS_KEPT: usize = 20;

    /// Attempts of a run that the store has, the newest: days of a daemon that ends every few minutes, and half a
    /// megabyte. Of older ones remain their count (`attempt`), what they wrote (`counts`), and what the journal tells.
    pub const ATTEMPTS_STORED: u32 = 1_000;

    /// A run as it is when asked for.
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

    /// The latest attempt.
    #[must_use]
    pub fn current(&self) -> Option<&Attempt> {
        self.attempts.back()
    }
}
