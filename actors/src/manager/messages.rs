//! What the Manager is told. Every message is public: an application may talk to `Addr<ManagerActor>` itself.

use super::Figures;
pub use super::{
    again::{Restart, RetryRun},
    configure::{Autostart, Configure, Configured, SetRetryBudget},
    info::{GetInfo, Info},
};

use crate::{
    breaker::{BreakerStatus, OperatorAct},
    model::{
        Attempt, HIGHEST_PRIORITY, IfBlocked, JournalRecord, LogQuery, Page, ParamProblem, Params, Phase,
        Program, Run, RunId, Scope, Timestamp,
    },
    monitor::{QueryError, RuleInfo},
};
use actix::{Message, Recipient};
use std::{collections::BTreeMap, sync::Arc};

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
        /// What the program takes; see [`Program::usage`].
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

/// Stop a run: its whole tree, and no further attempt. Answers when the decision is written; see [`Wait`].
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
    /// A room that has to be asked has ended.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The decision could not be written down, so it was not carried out.
    #[error("the decision could not be stored: {0}")]
    Store(String),
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

/// A run as it is now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, LookupError>")]
pub struct GetRun {
    /// Its id, or a unique end of it of at least [`GetRun::MIN_SUFFIX`] characters.
    pub id: String,
}

impl GetRun {
    /// Shorter ends are refused: they would often mean another run tomorrow.
    pub const MIN_SUFFIX: usize = 6;
}

/// Why a name finds no run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// None.
    #[error("there is no run `{0}`")]
    Unknown(String),
    /// More than one.
    #[error("`{id}` ends the ids of {count} runs")]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// How many it fits.
        count: usize,
    },
}

/// Runs, newest first.
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "Vec<Run>")]
#[non_exhaustive]
pub struct GetRuns {
    /// Of this program.
    pub program: Option<String>,
    /// In this phase.
    pub phase: Option<Phase>,
    /// Whose latest failure has this class.
    pub class: Option<String>,
    /// Only those that are not over.
    pub living: bool,
    /// Older than this one: the next page.
    pub before: Option<RunId>,
    /// At most so many; 0 stands for 100.
    pub limit: usize,
}

/// A run when it is over (or at once, if it is).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Run, RunError>")]
pub struct Wait {
    /// Which run.
    pub run: RunId,
}

/// A run when this attempt of it is over and nobody of its tree is left (or at once, if it is so). What follows it, such as
/// a start that somebody asked for meanwhile, is not waited for.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Run, RunError>")]
pub struct WaitAttempt {
    /// Which run.
    pub run: RunId,
    /// The number of the attempt.
    pub attempt: u32,
}

/// Attempts of a run from the store, oldest first.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Attempt>, RunError>")]
pub struct GetAttempts {
    /// Which run.
    pub run: RunId,
    /// After this number; 0: from the first.
    pub after: u32,
    /// At most so many.
    pub limit: usize,
}

/// Every program and its living runs; also programs that are no longer configured, as long as runs of them live.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<ProgramStatus>")]
pub struct GetPrograms;

/// A program and what it is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProgramStatus {
    /// Its definition.
    pub program: Arc<Program>,
    /// Whether it is no longer configured and listed only because runs of it live: none is started again after its end.
    pub removed: bool,
    /// Its last run, when an operator stopped that and nobody has started the program since: `autostart` waits for him.
    pub stopped_by_hand: Option<RunId>,
    /// Runs that are not over, newest first.
    pub living: Vec<Run>,
    /// The newest run that is over.
    pub last: Option<Run>,
    /// What was counted since the manager started.
    pub figures: Figures,
}

/// The chain of decisions that led to a run's present state, in sentences, and what follows.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Explanation, RunError>")]
pub struct Why {
    /// Which run.
    pub run: RunId,
}

/// The same for a program: its living runs in short, the breakers that gate it, and the story of its newest living run,
/// else of its last one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Explanation, StartError>")]
pub struct WhyProgram {
    /// Its name.
    pub program: String,
}

/// An answer to "why?".
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Where it stands, in one sentence.
    pub summary: String,
    /// Of a program: its living runs in short, newest first, at most [`Explanation::RUNS_MAX`]; then the last one that
    /// ended. Empty for a run.
    pub runs: Vec<RunInShort>,
    /// The breakers that gate it, a sentence each: for a run those that are not simply closed, for a program all.
    pub breakers: Vec<String>,
    /// What happened, oldest first. Of a program: to the first of `runs`.
    pub chain: Vec<Sentence>,
    /// What holds it now, if anything does.
    pub holds: Option<String>,
    /// What happens next and when.
    pub next: String,
    /// What follows if it goes on failing the same way; nothing where nothing would.
    pub forecast: Option<Forecast>,
    /// What to do, where there is something: a sentence on each line.
    pub help: Option<String>,
}

impl Explanation {
    /// Living runs of a program that are told: a screen. How many there are stands in `summary`.
    pub const RUNS_MAX: usize = 10;
}

/// A run in a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunInShort {
    /// Which.
    pub run: RunId,
    /// Where it stands and what comes next.
    pub text: String,
}

/// What follows if a run goes on failing the same way and nobody does anything. Asking changes nothing; delays are drawn
/// as they will be, so that times hold as far as the attempts live as long as the last one did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// What is supposed, as the beginning of a sentence.
    pub given: String,
    /// The next starts, how it ends, and which breakers open on the way.
    pub steps: Vec<Foreseen>,
}

/// One step of a [`Forecast`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Foreseen {
    /// When, where it is a start.
    pub at: Option<Timestamp>,
    /// What.
    pub text: String,
}

/// One step of an [`Explanation`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentence {
    /// When.
    pub at: Timestamp,
    /// Which journal record says it.
    pub seq: u64,
    /// What, which rule, which line.
    pub text: String,
}

/// Journal records, oldest first.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "Result<Vec<JournalRecord>, String>")]
pub struct GetEvents {
    /// After this one; 0: from the oldest kept.
    pub after: u64,
    /// At most so many; 0 stands for 1,000.
    pub limit: usize,
    /// Nothing there yet: wait for it this long.
    pub wait_ms: u64,
}

/// Every record from now on. A recipient that is gone is forgotten.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    /// Who.
    pub recipient: Recipient<JournalRecord>,
}

impl Message for JournalRecord {
    type Result = ();
}

/// Output, as [`monitor::Query`](crate::monitor::Query).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page, QueryError>")]
pub struct Logs {
    /// The question.
    pub query: LogQuery,
    /// Nothing there yet: wait for it this long.
    pub wait_ms: u64,
}

/// Classification rules in force; of the built-in ones alone when no program is named.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<RuleInfo>, StartError>")]
pub struct GetClasses {
    /// The program.
    pub program: Option<String>,
}

/// A room of the supervisor gives no answer, because it has ended: a fault of ours, whose cause the log has. Children and
/// their output go on; whoever starts a supervisor on this store again finds all as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {room} gives no answer: it has ended, and only the next supervisor will have one again")]
pub struct NoAnswer {
    /// Its name.
    pub room: &'static str,
}

/// Every breaker as it stands now, in order of scope.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<BreakerStatus>, NoAnswer>")]
pub struct GetBreakers;

/// The same in pages: there may be a scope for each of a hundred thousand hosts.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<BreakerStatus>, NoAnswer>")]
pub struct GetSomeBreakers {
    /// After this scope; nothing: from the first.
    pub after: Option<Scope>,
    /// At most so many.
    pub limit: usize,
}

/// An operator's word to a breaker.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<BreakerStatus, OperateError>")]
pub struct OperateBreaker {
    /// The scope.
    pub scope: Scope,
    /// What to do.
    pub act: OperatorAct,
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Why an operator's word to a breaker has no effect.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// No run has used the scope.
    #[error("there is no breaker `{0}`")]
    Unknown(Scope),
    /// The Breaker has ended.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// Stop every tree, write everything down, end the keeper. Runs that are wanted go on with the next manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;
