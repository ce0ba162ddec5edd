//! What the Manager says of itself.

use crate::model::Timestamp;
use actix::Message;
use std::collections::BTreeMap;

/// Facts about the manager itself.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Info")]
pub struct GetInfo;

/// See [`GetInfo`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// Since when this manager runs.
    pub started_at: Timestamp,
    /// Programs configured.
    pub programs: usize,
    /// Living runs of programs that are no longer configured.
    pub removed: usize,
    /// Runs by phase, living ones.
    pub living: BTreeMap<&'static str, usize>,
    /// Runs by phase, those that are over and still kept.
    pub ended: BTreeMap<&'static str, usize>,
    /// Attempts started since this manager runs.
    pub attempts_started: u64,
    /// Of these, those that were not the first of their run.
    pub restarts: u64,
    /// Runs kept, with those that are over.
    pub runs: usize,
    /// The newest journal record.
    pub last_seq: u64,
    /// What is wrong with the store while something is: a sentence, and what to do. A full disk, as a rule; or what damage
    /// took, from when it was found until this manager ends.
    pub store_trouble: Option<String>,
    /// What is wrong with the keeper while something is: a sentence, and what to do.
    pub keeper_trouble: Option<String>,
    /// Which room of the supervisor has ended, if one has: a sentence, and what to do.
    pub room_trouble: Option<String>,
}

impl Info {
    /// All that is wrong, in one sentence; nothing when all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let told: Vec<&str> = [&self.room_trouble, &self.keeper_trouble, &self.store_trouble]
            .into_iter()
            .flatten()
            .map(|t| &**t)
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}
