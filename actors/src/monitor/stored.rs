//! What the store's thread has to tell the Monitor.

use crate::model::{AttemptId, Stream};
use actix::Message;
use std::sync::{Mutex, PoisonError};

/// What the store says of one chunk: its stream is stored up to here, or why it is not.
pub(crate) type StoreWord = (AttemptId, Stream, Result<u64, String>);

/// Streams whose chunks were stored, or failed to be, since the last look. Filled on the writer's thread.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<Vec<StoreWord>>);

impl Stored {
    /// True when the list was empty: somebody has to be told then.
    pub(crate) fn push(&self, attempt: AttemptId, stream: Stream, to: Result<u64, String>) -> bool {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((attempt, stream, to));
        list.len() == 1
    }

    pub(crate) fn take(&self) -> Vec<StoreWord> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Chunks were stored.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Acked;
