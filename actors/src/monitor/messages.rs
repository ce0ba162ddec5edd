//! What the Monitor is told, and what it reports.

use super::machine::{by_exit_alone, silent};
use crate::model::{
    AttemptId, Counts, Evidence, ExitStatus, LogQuery, Loss, Page, Program, Spool, SpoolSizes, Stream,
    Timestamp,
};
use actix::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Takes in the output of an attempt from now on, from the stored position.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The attempt to watch.
    pub attempt: AttemptId,
    /// The program with its rules and limits.
    pub program: Arc<Program>,
    /// Where the attempt's output lies.
    pub spool: Spool,
    /// Values that are stored as `***`.
    pub secrets: Vec<String>,
    /// Whether the Manager wants to be told of the attempt's first output ([`Report::FirstOutput`]).
    pub first_output: bool,
    /// Whether an earlier supervisor judged the attempt's end: its output is stored, and nothing in it is reported.
    pub judged: bool,
}

/// The leader ended: takes in the output up to these sizes, then answers what kind of end it was.
///
/// Bounded by [`Drain::LIMIT_MS`]; beyond it the class is by exit alone and the answer is marked incomplete.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Drained")]
pub struct Drain {
    /// The attempt that ended.
    pub attempt: AttemptId,
    /// How the attempt ended.
    pub exit: ExitStatus,
    /// The bytes that it had written by then.
    pub up_to: SpoolSizes,
    /// Whether it wrote more, which no spool has. Then nothing follows from what was *not* read.
    pub more: bool,
}

/// Output was lost before it reached its spool: puts a line that says so, and how much it was, where the output is
/// missing. The sender counts the loss; it is not in [`Drained::counts`].
#[derive(Clone, Copy, Debug, Eq, Message, PartialEq)]
#[rtype(result = "()")]
pub struct Lose {
    /// The attempt whose output was lost.
    pub attempt: AttemptId,
    /// The stream of the attempt.
    pub stream: Stream,
    /// The place in the spool where the output is missing, in bytes.
    pub at: u64,
    /// The number of bytes there that stand for the loss; 0: none do, and nothing follows.
    pub length: u64,
    /// How much was lost.
    pub loss: Loss,
}

impl Drain {
    /// The longest wait for the output up to an exit, in milliseconds: a store that stalls must not hold a restart
    /// back for longer.
    pub const LIMIT_MS: u64 = 5_000;

    /// The answer for an attempt that wrote nothing until its end. There is nothing to read, so the Monitor need not
    /// be asked, and a restart is two changes of thread cheaper.
    #[must_use]
    pub fn of_silence(&self, program: &Program, now: Timestamp) -> Option<Drained> {
        (self.up_to == SpoolSizes::default() && !self.more).then(|| Drained {
            evidence: silent(program, self.exit, now),
            counts: Counts::default(),
            items: program.success_items.as_ref().map(|_| 0),
            complete: true,
        })
    }
}

/// The answer to [`Drain`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Drained {
    /// The class of the end and what shows it; `None` for success.
    pub evidence: Option<Evidence>,
    /// The counts of what the attempt has written so far.
    pub counts: Counts,
    /// The number of items that the output told of. `None` when the program does not count them, or when part of the
    /// output could not be looked at: it was dropped, or deleted before a Monitor went on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Whether the output up to the exit was read in time. If it was not, `evidence` is by the exit alone where the
    /// Monitor knows the attempt, and `None` where it does not, whatever the exit was.
    pub complete: bool,
}

impl Drained {
    /// The answer when no output of the attempt was read.
    #[must_use]
    pub const fn unread() -> Self {
        Self { evidence: None, counts: Counts { lines: 0, errors: 0, gaps: 0 }, items: None, complete: false }
    }

    /// The class of the end: what the output shows, or what the exit alone shows where the output was not read.
    #[must_use]
    pub fn evidence_of(&self, program: &Program, exit: ExitStatus, now: Timestamp) -> Option<Evidence> {
        match &self.evidence {
            None if !self.complete => by_exit_alone(program, exit, now),
            evidence => evidence.clone(),
        }
    }
}

/// No process of the tree is left: takes in the rest up to these sizes, stores it, and gives the spool back. Answers
/// whether that is done: false when the Monitor ends before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct Close {
    /// The attempt whose tree is empty.
    pub attempt: AttemptId,
    /// The final sizes of its spools.
    pub sizes: SpoolSizes,
}

/// Asks when this attempt last wrote. The answer is the time from which it was watched, if it has not written; `None`
/// when it is not watched.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Timestamp>")]
pub struct LastOutput {
    /// The attempt in question.
    pub attempt: AttemptId,
}

/// Asks for records that match: stored ones, and those that the child wrote a moment ago.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page, QueryError>")]
pub struct Query {
    /// What is asked for.
    pub query: LogQuery,
    /// When reading forwards finds no record yet: how long to wait for one, in milliseconds. 0: answer at once.
    pub wait_ms: u64,
}

/// Why a query failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// `grep` is no regular expression, or too large a one.
    #[error("the pattern cannot be used: {0}")]
    Pattern(String),
    /// The store could not be read.
    #[error("the stored output cannot be read: {0}")]
    Store(String),
    /// The Monitor has ended.
    #[error(transparent)]
    NoAnswer(#[from] crate::clerk::NoAnswer),
}

/// Asks which classification rules are in force for this program, in the order in which they are tried.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<RuleInfo>")]
pub struct GetRules {
    /// The program in question.
    pub program: Arc<Program>,
}

/// One classification rule, as it is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleInfo {
    /// The rule's name: `classify[0]`, `builtin:http_429`.
    pub name: String,
    /// The class that it finds.
    pub class: String,
    /// What it matches: a pattern, `exit_code = 78`, `signal = "SIGKILL"`.
    pub matches: String,
    /// The weight of a failure of its class in a breaker, in thousandths of one failure; 0: it does not count.
    pub weight_permille: u32,
}

/// Stores everything taken in so far, and answers when that is done. False: not all of it is stored, and the rest
/// lies in the spools until the next supervisor takes it in. Part of an orderly end.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct Flush;

/// What the Monitor reports to the Manager.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// Errors were seen in the output of a living attempt; at most one report for each piece of output and class.
    ErrorSeen {
        /// The attempt whose output shows them.
        attempt: AttemptId,
        /// The first line of the piece that shows the class.
        evidence: Evidence,
        /// How many lines of the piece show this class.
        count: u64,
    },
    /// A line matched the program's `ready` rule. Reported once for each attempt, where there is such a rule.
    Ready {
        /// The attempt that is ready.
        attempt: AttemptId,
        /// When the line was written, as far as that can be told.
        at: Timestamp,
    },
    /// An attempt has written something. Reported once for each attempt that was watched for it
    /// ([`Watch::first_output`]).
    FirstOutput {
        /// The attempt that wrote.
        attempt: AttemptId,
    },
}
