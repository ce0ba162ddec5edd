//! Opens a store and starts the five actors on threads of their own.

use super::{ManagerActor, Rooms, ToLauncher, ToMonitor, machine::Limits};
use crate::{
    breaker::{self, BreakerActor},
    clerk::Door,
    keeper::wake_pair,
    launcher::{LauncherActor, LauncherConfig},
    monitor::MonitorActor,
    retry::{self, RetryActor},
    store::{self, JournalRetention, Loaded, Output, Retention, Store},
};
use actix::{Actor, Addr, Arbiter, AsyncContext, Context};
use std::{path::PathBuf, sync::mpsc};

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
    /// Decisions kept, in bytes of the journal on the disk; 8 MiB at least. Default 512 MiB.
    pub journal_max_bytes: u64,
    /// Decisions kept, in milliseconds. Default 90 days.
    pub journal_max_age_ms: u64,
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
            journal_max_bytes: 512 << 20,
            journal_max_age_ms: 90 * 86_400_000,
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
    /// The folder of the store is not ours to take.
    #[error("{message}")]
    Folder {
        /// What and why.
        message: String,
        /// One thing to do.
        help: String,
    },
    /// The store cannot be opened.
    #[error("{0}")]
    Store(String),
    /// The system is short of descriptors, processes or memory.
    #[error("{0}")]
    Scarce(String),
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

/// Opens the store and starts the actors. Blocks until they can be talked to.
///
/// What the last manager left is taken up by the first [`Configure`](super::Configure), which knows the programs.
///
/// # Errors
/// [`OpenError`] says who holds the store, or what is wrong with it.
pub fn open(options: Options) -> Result<Running, OpenError> {
    let store = Store::open(&options.store).map_err(not_opened)?;
    store.set_journal_retention(JournalRetention::new(options.journal_max_bytes, options.journal_max_age_ms));
    let saved = store.load().map_err(|error| OpenError::Store(error.to_string()))?;
    let retention = Retention { max_bytes: options.logs_max_bytes, max_age_ms: options.logs_max_age_ms };
    let output = Output::open(&store, retention).map_err(|error| OpenError::Store(error.to_string()))?;
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|error| OpenError::Keeper(format!("no randomness: {error}")))?;
    let limits = Limits { runs_max_count: options.runs_max_count, runs_max_age_ms: options.runs_max_age_ms };
    let parts = Parts { store, saved, output, seed: u128::from_ne_bytes(seed), limits };
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("process-manager".into())
        .spawn(move || live(parts, &tell))
        .map_err(|error| OpenError::Keeper(format!("no thread: {error}")))?;
    match told.recv() {
        Ok(Ok(addr)) => Ok(Running { addr, thread }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(OpenError::Keeper("the manager's thread panicked at its start".into())),
    }
}

fn not_opened(error: store::OpenError) -> OpenError {
    let text = error.to_string();
    match error {
        store::OpenError::Held { .. } => OpenError::Locked(text),
        store::OpenError::Folder(refused) => {
            OpenError::Folder { message: refused.message, help: refused.help }
        }
        store::OpenError::Io { error, .. }
            if matches!(
                error.raw_os_error(),
                Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM)
            ) =>
        {
            OpenError::Scarce(text)
        }
        _ => OpenError::Store(text),
    }
}

/// What the manager's thread takes with it.
struct Parts {
    store: Store,
    saved: Loaded,
    output: Output,
    seed: u128,
    limits: Limits,
}

/// The manager's thread: an actix system of its own, whatever runtime the application has.
fn live(parts: Parts, tell: &mpsc::Sender<Result<Addr<ManagerActor>, OpenError>>) {
    let system = actix::System::new();
    let (started, monitor) = match system.block_on(async { start(parts) }) {
        Ok((addr, monitor)) => (Ok(addr), Some(monitor)),
        Err(error) => (Err(error), None),
    };
    let heard = tell.send(started).is_ok();
    if heard && monitor.is_some() {
        // An error here means a non-zero exit code, which nobody sets.
        let _ = system.run();
    }
    // It has the store too: who joins this thread may open the store again.
    if let Some(monitor) = monitor {
        monitor.stop();
        if monitor.join().is_err() {
            log::error!("the monitor's thread panicked");
        }
    }
}

fn start(parts: Parts) -> Result<(Addr<ManagerActor>, Arbiter), OpenError> {
    let keeper = |error: std::io::Error| OpenError::Keeper(error.to_string());
    let (wake, woken) = wake_pair().map_err(keeper)?;
    let Parts { store, saved, output, seed, limits } = parts;
    let (dir, manager_id, chance) = (store.dir().to_owned(), store.manager_id(), store.seed());
    let context = Context::<ManagerActor>::new();
    let addr = context.address();
    let mut config = LauncherConfig::new(dir, manager_id, addr.clone().recipient(), wake);
    config.at_home = store.is_at_home();
    let launcher = LauncherActor::new(config).map_err(keeper)?.start();
    let retry = RetryActor::new(retry::Machine::new(chance), addr.clone().recipient()).start();
    let breaker = BreakerActor::new(breaker::Machine::new(chance), addr.clone().recipient()).start();
    let reports = addr.clone().recipient();
    // A thread of its own: it reads and classifies while decisions are made here.
    let arbiter = Arbiter::new();
    let monitor =
        MonitorActor::start_in_arbiter(&arbiter.handle(), move |_| MonitorActor::new(output, woken, reports));
    let rooms = Rooms {
        launcher: ToLauncher::new(&launcher),
        monitor: ToMonitor::new(&monitor),
        retry: Door::new(&retry),
        breaker: Door::new(&breaker),
    };
    Ok((context.run(ManagerActor::new(store, saved, rooms, limits, seed)), arbiter))
}
