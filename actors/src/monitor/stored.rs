//! What the store's thread reports to the Monitor.

use crate::model::{AttemptId, Stream};
use actix::Message;
use std::sync::{Mutex, PoisonError};

/// The store's report about one chunk: the place up to which its stream is stored, or the reason why it is not.
pub(crate) type StoreWord = (AttemptId, Stream, Result<u64, String>);

/// Streams whose chunks were stored, or failed to be, since the last look. Filled on the writer's thread.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<Vec<StoreWord>>);

impl Stored {
    /// Adds a report. Returns true when the list was empty: the Monitor has to be told then.
    pub(crate) fn push(&self, attempt: AttemptId, stream: Stream, to: Result<u64, String>) -> bool {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((attempt, stream, to));
        list.len() == 1
    }

    pub(crate) fn take(&self) -> Vec<StoreWord> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The message that chunks were stored.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Acked;
