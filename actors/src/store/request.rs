//! What the store's thread is asked.

use super::{
    answer::{Loaded, StoreError},
    front::Sealed,
    segments::JournalRetention,
};
use crate::model::{Place, Written};

/// Called with the answer, on the store's thread.
pub(super) type Done<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// What the thread is asked.
pub(crate) enum Request {
    Load(Done<Loaded>),
    Commit(Sealed),
    ReadJournal { after: u64, limit: usize, done: Done<Vec<Vec<u8>>> },
    ReadCommits { after: Place, max_bytes: usize, done: Done<Vec<Written>> },
    Scan(String, Done<Vec<(String, Vec<u8>)>>),
    Retain(JournalRetention),
    Close(Done<()>),
}

impl Request {
    /// Answers without doing it.
    pub(crate) fn refuse(self, error: StoreError) {
        match self {
            Self::Load(done) => done(Err(error)),
            // The next owner of the store finds it in the write-ahead file.
            Self::Commit(_) => log::error!("a commit came to no thread; error={error}"),
            Self::Close(done) => done(Err(error)),
            Self::ReadJournal { done, .. } => done(Err(error)),
            Self::ReadCommits { done, .. } => done(Err(error)),
            Self::Scan(_, done) => done(Err(error)),
            Self::Retain(_) => log::warn!("the journal's limits were not taken; error={error}"),
        }
    }
}
