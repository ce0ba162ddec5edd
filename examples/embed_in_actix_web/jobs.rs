//! What the handlers need of whatever runs jobs.

use actix_process::actors::model::{Params, Phase};
use futures_util::stream::LocalBoxStream;
use serde::Serialize;
use std::fmt;

/// Runs jobs on behalf of users. Implemented by `ProcessManager`, and by the tests without processes.
///
/// It says who owns a job and leaves it to the handlers to keep that secret, so that the rule is tested with them.
pub(crate) trait Jobs: Clone + Send + 'static {
    /// Starts a job and answers with its id.
    async fn start(&self, user: &str, kind: &str, params: Params) -> Result<String, Refusal>;
    /// How it stands.
    async fn status(&self, id: &str) -> Result<Job, Refusal>;
    /// Everything it has written until now, oldest first, in pieces.
    async fn output(&self, id: &str) -> Result<Output, Refusal>;
    /// Stops it. The answer is its phase right after the decision: a stop takes a moment.
    async fn stop(&self, id: &str) -> Result<Phase, Refusal>;
}

/// Pieces of output as they are read from the store, so that memory stays flat however much there is.
pub(crate) type Output = LocalBoxStream<'static, Result<Vec<u8>, Refusal>>;

/// A job as its user sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// Nobody's business but the handlers'.
    #[serde(skip)]
    pub(crate) owner: Option<String>,
    pub(crate) kind: String,
    pub(crate) phase: Phase,
    /// From 1; 0 before the first.
    pub(crate) attempt: u32,
    /// The newest line of this attempt.
    pub(crate) line: Option<String>,
    /// As the newest lines of this attempt have it.
    pub(crate) percent: Option<u8>,
    /// Why the latest attempt that failed did so.
    pub(crate) failure: Option<Failure>,
    /// Where it stands, in a sentence.
    pub(crate) summary: String,
    /// What happens next and when.
    pub(crate) next: String,
}

/// The reason of a failure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// What kind of failure, in a word.
    pub(crate) class: String,
    /// The line of output that says so, or a sentence where none does.
    pub(crate) line: String,
    /// One thing to do about it, where there is one.
    pub(crate) help: Option<String>,
}

/// Why something is not done.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// There is no such job, or none that this user may know of.
    Unknown,
    /// Nobody says who asks.
    Nobody,
    /// It does not fit; with the parameters concerned and what is wrong with each.
    Invalid { why: String, params: Vec<(String, String)> },
    /// The job's phase does not allow it.
    Conflict(String),
    /// Not now; perhaps after so many seconds.
    Busy { why: String, retry_after_s: u64 },
    /// Something of ours does not work. The text is for the log, not for users.
    Broken(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no such job",
            Self::Nobody => "the header `x-user` has to name the user",
            Self::Invalid { why, .. } | Self::Conflict(why) | Self::Busy { why, .. } => why,
            Self::Broken(_) => "something does not work here; please try again later",
        })
    }
}

impl std::error::Error for Refusal {}
