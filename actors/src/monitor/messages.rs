//! What the Monitor is told, and what it tells.

use super::machine::{by_exit_alone, silent};
use crate::model::{
    AttemptId, Counts, Evidence, ExitStatus, LogQuery, Loss, Page, Program, Spool, SpoolSizes, Stream,
    Timestamp,
};
use actix::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Take in the output of an attempt from now on, from the stored position.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Its rules and limits.
    pub program: Arc<Program>,
    /// Where the output lies.
    pub spool: Spool,
    /// Values that are stored as `***`.
    pub secrets: Vec<String>,
    /// Whether somebody wants to hear of its first output ([`Report::FirstOutput`]).
    pub first_output: bool,
    /// Whether its end was judged by an earlier supervisor: its output is stored, and nothing in it is reported.
    pub judged: bool,
}

/// The leader ended: take in the output up to these sizes, then say what kind of end it was.
///
/// Bounded by [`Drain::LIMIT_MS`]; beyond it the class is by exit alone and the answer is marked incomplete.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Drained")]
pub struct Drain {
    /// Which attempt.
    pub attempt: AttemptId,
    /// How it ended; nothing when the attempt is stopped for another cause that already has its class.
    pub exit: ExitStatus,
    /// Bytes written until then.
    pub up_to: SpoolSizes,
    /// Whether it wrote more, which no spool has: then nothing follows from what was *not* read.
    pub more: bool,
}

/// Output was lost before it reached its spool: put a line that says so, with how much it was, where it is missing. Counted
/// by who tells, not in [`Drained::counts`].
#[derive(Clone, Copy, Debug, Eq, Message, PartialEq)]
#[rtype(result = "()")]
pub struct Lose {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Which of its streams.
    pub stream: Stream,
    /// The place in the spool where it is missing.
    pub at: u64,
    /// Bytes there that stand for it; 0: none do, and nothing follows.
    pub length: u64,
    /// How much.
    pub loss: Loss,
}

impl Drain {
    /// Longest wait for the output up to an exit: a store that stalls must not hold a restart back for longer.
    pub const LIMIT_MS: u64 = 5_000;

    /// The answer for an attempt that wrote nothing until its end: there is nothing to read, so nobody need be asked, and
    /// a restart is two changes of thread cheaper.
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
    /// The class of the end and what shows it; nothing for success.
    pub evidence: Option<Evidence>,
    /// What the attempt has written so far.
    pub counts: Counts,
    /// Items that it told of; nothing when its program does not count them, or part of the output could not be looked at: it
    /// was dropped, or deleted before a Monitor went on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// False when the output up to the exit could not be read in time. Then `evidence` is by the exit alone where the
    /// Monitor knows the attempt, and `None` where it does not, whatever the exit was.
    pub complete: bool,
}

impl Drained {
    /// The answer where nobody has read anything of the attempt.
    #[must_use]
    pub const fn unread() -> Self {
        Self { evidence: None, counts: Counts { lines: 0, errors: 0, gaps: 0 }, items: None, complete: false }
    }

    /// The class of the end: what the output shows; what the exit alone shows where the output was not read.
    #[must_use]
    pub fn evidence_of(&self, program: &Program, exit: ExitStatus, now: Timestamp) -> Option<Evidence> {
        match &self.evidence {
            None if !self.complete => by_exit_alone(program, exit, now),
            evidence => evidence.clone(),
        }
    }
}

/// Nobody of the tree is left: take in the rest up to these sizes, store it, give the spool back. Answers whether that is
/// done: false when the Monitor ends before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct Close {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Final sizes.
    pub sizes: SpoolSizes,
}

/// When did this attempt write last? The time it was watched from, if it has not; nothing when it is not watched.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Timestamp>")]
pub struct LastOutput {
    /// Which attempt.
    pub attempt: AttemptId,
}

/// Records that match, stored ones and those the child wrote a moment ago.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page, QueryError>")]
pub struct Query {
    /// The question.
    pub query: LogQuery,
    /// Reading forwards and nothing is there yet: wait for it this long. 0: answer at once.
    pub wait_ms: u64,
}

/// Why a query has no answer.
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

/// Which classification rules are in force for this program, in the order they are tried?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<RuleInfo>")]
pub struct GetRules {
    /// The program.
    pub program: Arc<Program>,
}

/// One classification rule, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleInfo {
    /// `classify[0]`, `builtin:http_429`.
    pub name: String,
    /// The class it finds.
    pub class: String,
    /// What it matches: a pattern, `exit_code = 78`, `signal = "SIGKILL"`.
    pub matches: String,
    /// What a failure of its class weighs in a breaker, in thousandths of one; 0: nothing.
    pub weight_permille: u32,
}

/// Store everything taken in so far; answers when that is done. False: not all of it is stored, and what is not lies in the
/// spools until the next supervisor takes it in. Part of an orderly end.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct Flush;

/// What the Monitor tells the Manager.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// Errors were seen in the output of a living attempt; at most one report for each piece of output and class.
    ErrorSeen {
        /// Which attempt.
        attempt: AttemptId,
        /// The first such line of the piece.
        evidence: Evidence,
        /// How many lines of the piece showed this class.
        count: u64,
    },
    /// A line matched the program's `ready` rule. Said once for each attempt, where there is such a rule.
    Ready {
        /// Which attempt.
        attempt: AttemptId,
        /// When the line was written, as far as that can be told.
        at: Timestamp,
    },
    /// An attempt has written something. Said once for each attempt that was watched for it ([`Watch::first_output`]).
    FirstOutput {
        /// Which attempt.
        attempt: AttemptId,
    },
}
