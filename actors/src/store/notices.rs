//! What the store has to say by itself: found by its threads, told to whoever listens.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Notices that wait for a listener. Beyond it the newest are left out: the log has them all.
const WAITING: usize = 64;

/// Something to be said of the store.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// Its folder is not where it was: a copy, or moved from another file system. A sentence.
    Moved(String),
    /// Something of it was damaged.
    Damaged {
        /// What, and what was done about it: a sentence.
        what: String,
        /// Whether something is lost by it, as far as anybody can tell.
        lost: bool,
    },
}

/// Notices, and who is told that there are some.
#[derive(Default)]
pub(crate) struct Notices {
    waiting: Mutex<Vec<Notice>>,
    listener: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Notices {
    pub(crate) fn say(&self, notice: Notice) {
        match &notice {
            Notice::Moved(what) => log::warn!("store moved; what={what}"),
            Notice::Damaged { what, lost: true } => log::error!("store damaged; what={what}"),
            Notice::Damaged { what, lost: false } => log::warn!("store damaged, nothing lost; what={what}"),
        }
        {
            let mut waiting = held(&self.waiting);
            if waiting.len() >= WAITING {
                return;
            }
            waiting.push(notice);
        }
        if let Some(listener) = &*held(&self.listener) {
            listener();
        }
    }

    pub(crate) fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *held(&self.waiting))
    }

    pub(crate) fn listen(&self, listener: impl Fn() + Send + 'static) {
        *held(&self.listener) = Some(Box::new(listener));
    }
}

/// Whoever panicked with it had finished or not begun: all changes are single.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
