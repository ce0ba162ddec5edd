//! Acts on runs: start, stop, signal, restart, another run like it.

use super::NoAnswer;
use crate::model::{HIGHEST_PRIORITY, IfBlocked, ParamProblem, Params, Phase, Run, RunId, Scope, Timestamp};
use actix::Message;
use std::collections::BTreeMap;

/// Run a program. The run is stored before this answers.
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "Result<Run, StartError>")]
#[non_exhaustive]
pub struct Start {
    /// The program's name.
    pub program: String,
    /// Parameters; the rest get their defaults.
    pub params: Params,
    /// Who asks.
    pub requested_by: Option<String>,
    /// For people and filters, beside the program's own.
    pub labels: BTreeMap<String, String>,
    /// What to do when a breaker refuses.
    pub if_blocked: IfBlocked,
    /// Whether its first attempt passes the breakers: none is asked, whatever [`Start::if_blocked`] says, and none hears how
    /// the attempt ends, so that it neither spends a probe nor proves anything. Later attempts ask. Default false.
    pub force: bool,
    /// Which of those that wait for the same place, breaker or tokens goes first: the highest, from -1,000 to 1,000, of equal
    /// ones who waits longest. Nothing: the program's.
    pub priority: Option<i32>,
    /// The same key within [`Start::KEY_LIFE_MS`] answers with the run of the first request, and is refused
    /// ([`StartError::KeyReused`]) when anything else of the request differs; values of secrets are not compared.
    pub idempotency_key: Option<String>,
}

impl Start {
    /// Longest parameters and labels of one start together, in bytes of JSON: they travel with every record of the run.
    pub const MAX_BYTES: usize = 4 << 10;
    /// How long an idempotency key is remembered: longer than any sensible client retries.
    pub const KEY_LIFE_MS: u64 = 24 * 3_600_000;
}

/// Why a start is refused. No run was created.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No program of this name.
    #[error("there is no program `{name}`")]
    UnknownProgram {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The parameters do not fit.
    #[error("`{program}` refuses these parameters: {}", list(problems))]
    Params {
        /// The program.
        program: String,
        /// Every problem at once.
        problems: Vec<ParamProblem>,
        /// What the program takes; see [`Program::usage`](crate::model::Program::usage).
        usage: String,
    },
    /// Parameters, labels and the name of who asks are over [`Start::MAX_BYTES`].
    #[error("parameters, labels and requested_by take {bytes} bytes, {max} are allowed", max = Start::MAX_BYTES)]
    TooLarge {
        /// What they take.
        bytes: usize,
    },
    /// The priority is out of its range.
    #[error(
        "a priority is a whole number from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}, and {priority} is none"
    )]
    Priority {
        /// As asked for.
        priority: i32,
    },
    /// As many runs wait as the program's `queue` allows.
    #[error("as many runs of `{program}` wait as its queue takes ({limit})")]
    QueueFull {
        /// The program.
        program: String,
        /// Its `queue`.
        limit: u32,
    },
    /// A breaker is open, and the start asked to be refused then.
    #[error("`{program}` is not started: {why}")]
    Blocked {
        /// The program.
        program: String,
        /// The scope that refuses.
        scope: Scope,
        /// When asking again may help.
        retry_at: Option<Timestamp>,
        /// A sentence.
        why: String,
    },
    /// A daemon has one living run, and it is this one.
    #[error("`{program}` runs already, as {run}")]
    AlreadyRunning {
        /// The program.
        program: String,
        /// Its run.
        run: RunId,
    },
    /// The idempotency key stands for another request, which made this run.
    #[error("the idempotency key `{key}` was used for another request, which started {run}")]
    KeyReused {
        /// The key.
        key: String,
        /// The run of the first request.
        run: RunId,
    },
    /// The manager is being shut down.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The supervisor ended before the run was written, or its end was heard of: ask the next one for it.
    #[error("the supervisor ended before the run was written")]
    Closed,
    /// A room that has to be asked has ended.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The run could not be written down, so it was not started.
    #[error("the run could not be stored: {0}")]
    Store(String),
}

fn list(problems: &[ParamProblem]) -> String {
    let texts: Vec<_> =
        problems.iter().map(|problem| format!("{} {}", problem.name, problem.detail)).collect();
    texts.join(" · ")
}

/// Stop a run: its whole tree, and no further attempt. Answers when the decision is written; see [`Wait`](super::Wait).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, RunError>")]
pub struct Stop {
    /// Which run.
    pub run: RunId,
    /// Who asks.
    pub by: Option<String>,
}

/// Send a signal to the group of the run's process.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), RunError>")]
pub struct SignalRun {
    /// Which run.
    pub run: RunId,
    /// Which signal.
    pub signal: i32,
}

/// Why an act on a run is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No such run.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// The run has no process, or is over.
    #[error("run {run} {}", without_process(*phase))]
    NotRunning {
        /// Which.
        run: RunId,
        /// Where it is.
        phase: Phase,
    },
    /// It is over, and another run of its daemon lives.
    #[error("`{program}` runs already, as {run}")]
    AlreadyRunning {
        /// The program.
        program: String,
        /// The run that lives.
        run: RunId,
    },
    /// It is over, and its program has as many waiting runs as `queue` allows.
    #[error("as many runs of `{program}` wait as its queue takes ({limit})")]
    QueueFull {
        /// The program.
        program: String,
        /// Its `queue`.
        limit: u32,
    },
    /// Its program is no longer configured.
    #[error("the program `{0}` of this run is no longer configured")]
    ProgramGone(String),
    /// The manager is being shut down.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The supervisor ended before the decision was written, or its end was heard of.
    #[error("the supervisor ended before the decision was written")]
    Closed,
    /// A room that has to be asked has ended.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The decision could not be written down, so it was not carried out.
    #[error("the decision could not be stored: {0}")]
    Store(String),
}

/// What a start hears when its run could not be told.
impl From<RunError> for StartError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Closed => Self::Closed,
            RunError::ShuttingDown => Self::ShuttingDown,
            RunError::NoAnswer(error) => Self::NoAnswer(error),
            RunError::AlreadyRunning { program, run } => Self::AlreadyRunning { program, run },
            RunError::QueueFull { program, limit } => Self::QueueFull { program, limit },
            RunError::ProgramGone(name) => Self::UnknownProgram { name, known: Vec::new() },
            RunError::Store(error) => Self::Store(error),
            RunError::Unknown(_) | RunError::NotRunning { .. } => Self::Store(error.to_string()),
        }
    }
}

/// Why one more run of a program may neither live nor wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::manager) enum NoRoom {
    AlreadyRunning { program: String, run: RunId },
    QueueFull { program: String, limit: u32 },
}

impl From<NoRoom> for RunError {
    fn from(refusal: NoRoom) -> Self {
        match refusal {
            NoRoom::AlreadyRunning { program, run } => Self::AlreadyRunning { program, run },
            NoRoom::QueueFull { program, limit } => Self::QueueFull { program, limit },
        }
    }
}

impl From<NoRoom> for StartError {
    fn from(refusal: NoRoom) -> Self {
        RunError::from(refusal).into()
    }
}

fn without_process(phase: Phase) -> String {
    let word = phase.name();
    if phase.is_ended() { format!("is over ({word})") } else { format!("has no process now ({word})") }
}

/// Why a run cannot be run again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RetryRunError {
    /// The run itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The start of the new one.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Stop the attempt and start the next one at once; a run that waits is started now; an ended run goes on with its
/// next attempt and forgets its failures. Breakers are asked as always, unless it is forced.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, RunError>")]
pub struct Restart {
    /// Which run.
    pub run: RunId,
    /// Who asks.
    pub by: Option<String>,
    /// Whether a running attempt is stopped; false: only start what does not run.
    pub stop_running: bool,
    /// Whether the next attempt passes the breakers, as with [`Start::force`].
    pub force: bool,
}

impl Restart {
    /// Starts what does not run, asked for by nobody in particular.
    #[must_use]
    pub const fn new(run: RunId) -> Self {
        Self { run, by: None, stop_running: false, force: false }
    }
}

/// A new run of the same program with the same, or changed, parameters. Secrets must be given again once the old run ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, RetryRunError>")]
pub struct RetryRun {
    /// Which run.
    pub run: RunId,
    /// Parameters that differ.
    pub params: Params,
    /// Who asks.
    pub by: Option<String>,
}
