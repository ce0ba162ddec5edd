//! Requests on their way to the store's thread.

use super::{answer::StoreError, request::Request};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

/// The sending end. What is pushed is taken: a commit that stands in the write-ahead file must reach the thread.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Request>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// The receiving end.
pub(crate) struct Requests {
    receiver: Receiver<Request>,
    waiting: Arc<AtomicUsize>,
}

/// A queue that is full with so many requests.
pub(super) fn queue(most: usize) -> (Queue, Requests) {
    let (sender, receiver) = channel();
    let waiting = Arc::<AtomicUsize>::default();
    (Queue { sender, waiting: waiting.clone(), most }, Requests { receiver, waiting })
}

impl Queue {
    /// Whether another request is one too many. Whoever asks may be overtaken by another thread, and the queue be a few
    /// requests longer: the bound keeps memory, no promise.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.load(Relaxed) >= self.most
    }

    /// Sends it; it is refused when the thread has ended.
    pub(super) fn push(&self, request: Request) {
        self.waiting.fetch_add(1, Relaxed);
        if let Err(back) = self.sender.send(request) {
            back.0.refuse(StoreError::Closed);
        }
    }
}

impl Requests {
    fn took(&self, request: Request) -> Request {
        self.waiting.fetch_sub(1, Relaxed);
        request
    }

    /// Waits for the next one; `None` when all handles are gone.
    pub(super) fn recv(&self) -> Option<Request> {
        self.receiver.recv().ok().map(|request| self.took(request))
    }

    /// The next one that is there.
    pub(super) fn try_recv(&self) -> Option<Request> {
        self.receiver.try_recv().ok().map(|request| self.took(request))
    }

    /// Waits for so long at most.
    pub(super) fn recv_timeout(&self, most: Duration) -> Result<Request, RecvTimeoutError> {
        self.receiver.recv_timeout(most).map(|request| self.took(request))
    }
}
