//! Questions about runs, programs, the journal and output.

use super::{RunError, StartError};
use crate::{
    explain::Explanation,
    figures::Figures,
    model::{Attempt, JournalRecord, LogQuery, Page, Phase, Program, Run, RunId},
    monitor::{QueryError, RuleInfo},
};
use actix::{Message, Recipient};
use std::sync::Arc;

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

/// One of [`GetPrograms`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<ProgramStatus, StartError>")]
pub struct GetProgram {
    /// Its name.
    pub name: String,
}

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
