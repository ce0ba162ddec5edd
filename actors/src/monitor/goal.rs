//! Questions and drains that wait for output to be taken in or stored.

use super::{
    attempt::Watched,
    messages::{Drained, QueryError},
};
use crate::model::{AttemptId, ExitStatus, LogQuery, Page, SpoolSizes, Timestamp};
use regex::bytes::Regex;
use std::collections::HashMap;
use tokio::sync::oneshot::Sender;

/// A question that may wait for an answer.
pub(crate) struct Follower {
    pub(crate) query: LogQuery,
    pub(crate) grep: Option<Regex>,
    pub(crate) deadline: Timestamp,
    pub(crate) waits: bool,
    /// Whether output came that may match the question.
    pub(crate) due: bool,
    /// Whether not all that was written before the question could be taken in.
    pub(crate) behind: bool,
    pub(crate) newest_at_start: u64,
    pub(crate) reply: Sender<Result<Page, QueryError>>,
}

impl Follower {
    /// Whether this answer is worth giving before the time is up.
    pub(crate) fn is_final(&self, answer: &Result<Page, QueryError>) -> bool {
        !self.waits || self.reply.is_closed() || answer.as_ref().map_or(true, |page| !page.is_empty())
    }

    pub(crate) fn reply(self, answer: Result<Page, QueryError>) {
        // The asker may be gone.
        let _ = self.reply.send(answer.map(|page| Page { behind: self.behind, ..page }));
    }
}

pub(crate) enum Wait {
    Drain { attempt: AttemptId, exit: ExitStatus, more: bool, reply: Sender<Drained> },
    Query(Box<Follower>),
    Close { attempt: AttemptId, reply: Sender<()> },
}

/// How far one attempt must be read.
pub(crate) struct Target {
    attempt: AttemptId,
    sizes: SpoolSizes,
}

impl Target {
    /// Whether all of it was read.
    pub(crate) fn read(&self, watched: &HashMap<AttemptId, Box<Watched>>) -> bool {
        watched.get(&self.attempt).is_some_and(|watched| watched.has_read(self.sizes))
    }

    /// Whether waiting is of no more use: the output was read, or the attempt is not watched.
    fn done(&self, watched: &HashMap<AttemptId, Box<Watched>>) -> bool {
        watched.get(&self.attempt).is_none_or(|watched| watched.has_read(self.sizes) || watched.exhausted)
    }
}

/// What a question, a drain or a close waits for.
pub(crate) struct Goal {
    pub(crate) targets: Vec<Target>,
    stored: Option<AttemptId>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) wait: Wait,
}

impl Goal {
    pub(crate) fn read(
        targets: Vec<(AttemptId, SpoolSizes)>,
        deadline: Option<Timestamp>,
        wait: Wait,
    ) -> Self {
        let targets = targets.into_iter().map(|(attempt, sizes)| Target { attempt, sizes }).collect();
        Self { targets, stored: None, deadline, wait }
    }

    pub(crate) fn stored(attempt: AttemptId, wait: Wait) -> Self {
        Self { targets: Vec::new(), stored: Some(attempt), deadline: None, wait }
    }

    pub(crate) fn reached(&self, watched: &HashMap<AttemptId, Box<Watched>>) -> bool {
        let stored = |id: &AttemptId| watched.get(id).is_none_or(|watched| watched.is_closed());
        self.targets.iter().all(|target| target.done(watched)) && self.stored.iter().all(stored)
    }

    /// The attempts that are not read far enough.
    pub(crate) fn missing(
        &self,
        watched: &HashMap<AttemptId, Box<Watched>>,
    ) -> impl Iterator<Item = AttemptId> {
        self.targets.iter().filter(|target| !target.read(watched)).map(|target| target.attempt)
    }
}
