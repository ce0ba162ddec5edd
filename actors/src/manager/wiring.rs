//! Opens a store and starts the five actors on threads of their own.

use super::ManagerActor;
use actix::Addr;
use std::path::PathBuf;

/// How to open a manager.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The store's folder; made when it does not exist.
    pub store: PathBuf,
    /// Output kept, in bytes. Default 2 GiB.
    pub logs_max_bytes: u64,
    /// Output kept, in milliseconds. Default 14 days.
    pub logs_max_age_ms: u64,
    /// Ended runs kept. Default 50,000.
    pub runs_max_count: usize,
    /// Ended runs kept, in milliseconds. Default 90 days.
    pub runs_max_age_ms: u64,
}

impl Options {
    /// The defaults, with this store.
    #[must_use]
    pub fn new(store: impl Into<PathBuf>) -> Self {
        Self {
            store: store.into(),
            logs_max_bytes: 2 << 30,
            logs_max_age_ms: 14 * 86_400_000,
            runs_max_count: 50_000,
            runs_max_age_ms: 90 * 86_400_000,
        }
    }
}

/// Why a manager cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the store.
    #[error("{0}")]
    Locked(String),
    /// The store cannot be opened.
    #[error("{0}")]
    Store(String),
    /// The keeper or a thread cannot be started.
    #[error("{0}")]
    Keeper(String),
}

/// A manager that runs on threads of its own.
#[derive(Debug)]
pub struct Running {
    /// Its address.
    pub addr: Addr<ManagerActor>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    /// Waits until its threads have ended, which they do after [`Shutdown`](super::Shutdown). Blocks.
    pub fn join(self) {
        drop(self.addr);
        let _ = self.thread.join();
    }
}

/// Opens the store, takes up what the last manager left, starts the actors. Blocks until they can be talked to.
///
/// # Errors
/// [`OpenError`] says who holds the store, or what is wrong with it.
pub fn open(options: Options) -> Result<Running, OpenError> {
    Err(OpenError::Store(format!("{} cannot be opened yet", options.store.display())))
}
