//! What an explanation is made of.

use super::Advice;
use crate::model::{RunId, Timestamp};

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
    /// What somebody can do, the most useful first. Empty where there is nothing to do.
    pub advice: Vec<Advice>,
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
