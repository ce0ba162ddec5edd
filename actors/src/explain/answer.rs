//! The parts of an explanation.

use super::Advice;
use crate::model::{RunId, Timestamp};

/// An answer to "why?".
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Where the run or program stands, in one sentence.
    pub summary: String,
    /// Of a program: its living runs in short, newest first, at most [`Explanation::RUNS_MAX`]; then the last run
    /// that ended. Empty for a run.
    pub runs: Vec<RunInShort>,
    /// The breakers that gate it, one sentence each: for a run those that are not simply closed, for a program all.
    pub breakers: Vec<String>,
    /// What happened, oldest first. Of a program: what happened to the first of `runs`.
    pub chain: Vec<Sentence>,
    /// What holds the run back now; `None` when nothing does.
    pub holds: Option<String>,
    /// What happens next, and when.
    pub next: String,
    /// What follows if the run goes on failing the same way; `None` where nothing would.
    pub forecast: Option<Forecast>,
    /// What can be done, the most useful first. Empty where there is nothing to do.
    pub advice: Vec<Advice>,
}

impl Explanation {
    /// The number of living runs of a program that are told: a screen. How many there are stands in `summary`.
    pub const RUNS_MAX: usize = 10;
}

/// A run in a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunInShort {
    /// The id of the run.
    pub run: RunId,
    /// Where the run stands and what comes next.
    pub text: String,
}

/// What follows if a run goes on failing the same way and no operator intervenes. Asking changes nothing. Delays are
/// drawn as they will be, so that times hold as far as the attempts live as long as the last one did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// The assumption, as the beginning of a sentence.
    pub given: String,
    /// The next starts, how the run ends, and which breakers open on the way.
    pub steps: Vec<Foreseen>,
}

/// One step of a [`Forecast`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Foreseen {
    /// When the step happens; `None` where it is no start.
    pub at: Option<Timestamp>,
    /// What happens, as a sentence.
    pub text: String,
}

/// One step of an [`Explanation`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentence {
    /// When it happened.
    pub at: Timestamp,
    /// The sequence number of the journal record that says so.
    pub seq: u64,
    /// What happened, by which rule and line.
    pub text: String,
}
