//! What the store answers.

use std::collections::BTreeMap;

/// Why the store did not do it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Too many requests wait: the store makes no progress.
    #[error("the store is busy: too many requests wait")]
    Busy,
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// The database's word.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What the store held when it was opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// Sequence number of the newest journal record; 0: none yet.
    pub last_seq: u64,
    /// Wall-clock milliseconds of the newest write; 0: none yet.
    pub last_at_ms: u64,
    /// Whether the last owner closed it.
    pub clean: bool,
    /// Whether nobody ever wrote to it.
    pub fresh: bool,
    /// All state, with what the journal knows newer.
    pub state: BTreeMap<String, Vec<u8>>,
    /// What was damaged and what was done about it, in a sentence for people.
    pub damage: Option<String>,
}
