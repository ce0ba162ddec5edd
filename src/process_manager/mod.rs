//! [`ProcessManager`]: the one thing that an application holds.

mod builder;
mod configure;
mod listen;
mod shutdown;
mod usage;

pub use self::{builder::ProcessManagerBuilder, usage::Usage};

use crate::{Error, ErrorKind, LogReader, ProgramHandle, Result, RunEnd, RunHandle, RunStatus, StartRequest};
use actix::{Addr, Handler, Message, Recipient, dev::ToEnvelope};
use actix_process_actors::{
    breaker::{BreakerStatus, OperatorAct},
    explain::Explanation,
    manager::{
        GetBreakers, GetClasses, GetEvents, GetInfo, GetMetrics, GetProgram, GetPrograms, GetRun, GetRuns,
        GetSomeBreakers, Info, LookupError, ManagerActor, OperateBreaker, OperateError, ProgramStatus,
        RunError, Subscribe, Why, WhyProgram,
        recording::{GetRecording, Recording},
    },
    model::{JournalRecord, Scope},
    monitor::RuleInfo,
};
use futures_util::future::Either;
use std::{collections::BTreeMap, fmt, future::ready, os::unix::fs::MetadataExt, path::Path, sync::Arc};

/// Starts programs, keeps them up, and knows everything about them. Cheap to clone; clones share one supervisor.
///
/// Works from any actix `System` and any Tokio runtime: the five actors live on threads of their own, and nothing of
/// ours runs on the application's. Dropping it stops nothing; [`shutdown`](Self::shutdown) does.
#[derive(Clone)]
pub struct ProcessManager {
    shared: Arc<Shared>,
}

struct Shared {
    addr: Addr<ManagerActor>,
    threads: shutdown::Threads,
    store: std::path::PathBuf,
    samples: usage::Samples,
    log_advice: bool,
}

/// Everything at a glance.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Of the supervisor itself.
    pub info: Info,
    /// Programs with their living runs and the last one that ended.
    pub programs: Vec<ProgramStatus>,
    /// Breakers.
    pub breakers: Vec<BreakerStatus>,
    /// What the store takes on the disk, in bytes.
    pub store_bytes: Option<u64>,
}

impl Status {
    /// How many breakers are in each state.
    #[must_use]
    pub fn breakers_by_state(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for breaker in &self.breakers {
            *states.entry(breaker.state.name()).or_default() += 1;
        }
        states
    }
}

/// Runs among which the one is looked for that a mistyped id may have meant: the newest, which people ask about.
const RUNS_TO_SUGGEST: usize = 200;

impl ProcessManager {
    fn new(
        addr: Addr<ManagerActor>,
        threads: shutdown::Threads,
        store: std::path::PathBuf,
        log_advice: bool,
    ) -> Self {
        let samples = usage::Samples::default();
        Self { shared: Arc::new(Shared { addr, threads, store, samples, log_advice }) }
    }

    /// A facade without a supervisor behind it: every question is answered by [`ErrorKind::Closed`].
    #[cfg(all(test, feature = "web"))]
    pub(crate) fn of_nobody() -> Self {
        let (sender, _) = actix::dev::channel::channel(1);
        Self::new(Addr::new(sender), shutdown::Threads::none(), "nowhere".into(), false)
    }

    /// A manager to be configured and started.
    pub fn builder() -> ProcessManagerBuilder {
        ProcessManagerBuilder::default()
    }

    /// Starts what a configuration file says: its programs, its rules of shared scopes, its store. For a file and
    /// settings in code see [`ProcessManagerBuilder::config`], for the same file later [`reload`](Self::reload).
    ///
    /// # Errors
    /// All errors of the file at once, each with its place; then as [`ProcessManagerBuilder::start`].
    pub async fn from_config(path: impl AsRef<Path>) -> Result<Self> {
        let config = crate::config::load(path.as_ref()).map_err(|errors| {
            Error::new(ErrorKind::Config, errors.to_string()).with_help("correct the places that are named")
        })?;
        ProcessManagerBuilder::from(config).start().await
    }

    /// Asks for a run of this program. Nothing happens before [`StartRequest::send`].
    pub fn start(&self, program: impl Into<String>) -> StartRequest {
        StartRequest::new(self.clone(), program.into())
    }

    /// The run of this id, or of this unique end of an id of at least 6 characters.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub async fn run(&self, id: impl fmt::Display) -> Result<RunHandle> {
        Ok(RunHandle::new(self.clone(), self.find(id.to_string()).await?.id))
    }

    pub(crate) async fn find(&self, id: String) -> Result<RunStatus> {
        match self.ask(GetRun { id: id.clone() }).await? {
            Ok(run) => Ok(run),
            Err(LookupError::Unknown(_)) => {
                let mut recent = GetRuns::default();
                recent.limit = RUNS_TO_SUGGEST;
                Err(Error::unknown_run(&id, &self.ask(recent).await?))
            }
            Err(ambiguous) => Err(ambiguous.into()),
        }
    }

    /// Runs, newest first, 100 unless the filter says how many.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub async fn runs(&self, filter: GetRuns) -> Result<Vec<RunStatus>> {
        self.ask(filter).await
    }

    /// Every program with its living runs and its last one that ended.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub async fn programs(&self) -> Result<Vec<ProgramStatus>> {
        self.ask(GetPrograms).await
    }

    /// One program with its living runs and its last one that ended.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn program(&self, name: &str) -> Result<ProgramStatus> {
        Ok(self.ask(GetProgram { name: name.to_owned() }).await??)
    }

    /// The verbs on a program: to start it where it waits, to stop or restart all its runs.
    pub fn program_handle(&self, name: impl Into<String>) -> ProgramHandle {
        ProgramHandle::new(self.clone(), name.into())
    }

    /// Everything at a glance.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub async fn status(&self) -> Result<Status> {
        Ok(Status {
            info: self.info().await?,
            programs: self.programs().await?,
            breakers: self.breakers().await?,
            store_bytes: self.store_bytes().await,
        })
    }

    /// What the store takes on the disk now, in bytes; `None` when that cannot be told, because no thread can be started
    /// for it. Looks at every file of it, on a thread of its own.
    pub async fn store_bytes(&self) -> Option<u64> {
        let folder = self.shared.store.clone();
        shutdown::on_a_thread("process-store-size", move || bytes_on_disk(&folder)).await
    }

    /// Facts about the supervisor itself.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub async fn info(&self) -> Result<Info> {
        self.ask(GetInfo).await
    }

    /// Everything that is counted, in the text format of Prometheus (0.0.4), to be served by an application that has a
    /// `/metrics` of its own. `docs/reference/metrics.md` has every metric; the message
    /// [`GetMetrics`] has the same figures as a struct. Counters begin at 0 with each supervisor.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub async fn metrics(&self) -> Result<String> {
        let counted = self.ask(GetMetrics).await?;
        Ok(crate::metrics::text(&counted, &self.breakers().await?, self.store_bytes().await))
    }

    /// The chain of decisions that led to a run's present state, and what happens next and when.
    ///
    /// # Errors
    /// There is no such run, or more than one.
    pub async fn why(&self, run: impl fmt::Display) -> Result<Explanation> {
        let text = run.to_string();
        // The whole id of a run that is there: one question.
        if let Ok(run) = text.to_ascii_uppercase().parse() {
            match self.ask(Why { run }).await? {
                Err(RunError::Unknown(_)) => {}
                answer => return Ok(answer?),
            }
        }
        self.run(text).await?.why().await
    }

    /// The same for a program: its living runs in short, the breakers that gate it, and the story of its newest living
    /// run, else of its last one.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn why_program(&self, name: &str) -> Result<Explanation> {
        Ok(self.ask(WhyProgram { program: name.to_owned() }).await??)
    }

    /// Output of all programs; narrow it by the reader's filters.
    pub fn logs(&self) -> LogReader {
        LogReader::new(self.clone())
    }

    /// Journal records after this number (0: from the oldest kept), oldest first, at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(&self, after: u64) -> Result<Vec<JournalRecord>> {
        self.events_of(GetEvents { after, ..GetEvents::default() }).await
    }

    pub(crate) async fn events_of(&self, question: GetEvents) -> Result<Vec<JournalRecord>> {
        self.ask(question).await?.map_err(|why| Error::new(ErrorKind::Store, why))
    }

    /// Commits of the journal after this place (`(0, 0)`: from the oldest kept), with what led to them: for
    /// [`simulate::Replay`](crate::simulate::Replay). They take so many bytes at most, one commit at least.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recording(&self, after: (u64, u32), max_bytes: usize) -> Result<Recording> {
        let answer = self.ask(GetRecording { after, max_bytes }).await?;
        answer.map_err(|why| Error::new(ErrorKind::Store, why))
    }

    /// Every breaker as it stands now.
    ///
    /// # Errors
    /// The supervisor is gone, or its Breaker is: an absent answer is not "none".
    pub async fn breakers(&self) -> Result<Vec<BreakerStatus>> {
        Ok(self.ask(GetBreakers).await??)
    }

    /// The same in pages: at most so many, after this scope in their order.
    ///
    /// # Errors
    /// As [`breakers`](Self::breakers).
    pub async fn breakers_after(&self, after: Option<Scope>, limit: usize) -> Result<Vec<BreakerStatus>> {
        Ok(self.ask(GetSomeBreakers { after, limit }).await??)
    }

    /// Tells a breaker what to do; who and why stand in the journal. To force open, to switch off and to let only watch
    /// are possible before any run has used the scope.
    ///
    /// # Errors
    /// No run has used the scope, so there is nothing to reset or to end.
    pub async fn operate_breaker(
        &self,
        scope: impl Into<String>,
        act: OperatorAct,
        by: Option<String>,
        reason: Option<String>,
    ) -> Result<BreakerStatus> {
        let scope = Scope(scope.into());
        let answer = self.ask(OperateBreaker { scope: scope.clone(), act, by, reason }).await?;
        match answer {
            Ok(status) => Ok(status),
            Err(OperateError::NoAnswer(error)) => Err(error.into()),
            Err(why) => {
                let known = self.breakers().await?;
                let names = known.iter().map(|breaker| breaker.scope.0.as_str());
                Err(Error::unknown_scope(why.to_string(), &scope.0, names))
            }
        }
    }

    /// The classification rules in force for a program, in the order they are tried; without one the built-in rules.
    ///
    /// # Errors
    /// There is no program of this name.
    pub async fn classes(&self, program: Option<&str>) -> Result<Vec<RuleInfo>> {
        Ok(self.ask(GetClasses { program: program.map(str::to_owned) }).await??)
    }

    /// Sends every journal record from now on to an actor. One that is gone is forgotten.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn subscribe(&self, recipient: Recipient<JournalRecord>) -> Result<()> {
        self.shared.addr.try_send(Subscribe { recipient }).or_else(|error| match error {
            // A full mailbox is no reason to lose a subscriber: what is sent past the bound arrives too.
            actix::prelude::SendError::Full(message) => {
                self.shared.addr.do_send(message);
                Ok(())
            }
            actix::prelude::SendError::Closed(_) => Err(Error::closed()),
        })
    }

    /// Calls this for every journal record from now on, in order and without gaps, on a thread of its own: it may
    /// take its time. Ends with the supervisor.
    ///
    /// ```no_run
    /// # fn log(pm: &actix_process::ProcessManager) -> actix_process::Result<()> {
    /// use actix_process::actors::model::Event;
    /// pm.on_event(|record| {
    ///     if let Event::BreakerChanged { to, why, .. } = record.event {
    ///         eprintln!("breaker {:?} is {to}: {why}", record.scope);
    ///     }
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn on_event(&self, listener: impl FnMut(JournalRecord) + Send + 'static) -> Result<()> {
        listen::spawn(self.clone(), listener)
    }

    /// Calls this for every run that ends from now on, after all its attempts, on a thread of its own, as
    /// [`on_event`](Self::on_event) does: "mail me when it fails", "tell me when it is done".
    ///
    /// ```no_run
    /// # fn send_mail(to: &str, text: &str) {}
    /// # fn tell(pm: &actix_process::ProcessManager) -> actix_process::Result<()> {
    /// pm.on_end(|end| {
    ///     let who = end.requested_by.as_deref().unwrap_or("operators");
    ///     match &end.reason {
    ///         Some(why) if !end.is_success() => {
    ///             send_mail(who, &format!("{} failed ({}): {}", end.program, why.class, why.message))
    ///         }
    ///         _ => send_mail(who, &format!("{} is over: {}", end.program, end.phase.name())),
    ///     }
    /// })
    /// # }
    /// ```
    ///
    /// To wait for one run, use [`RunHandle::wait`].
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn on_end(&self, listener: impl FnMut(RunEnd) + Send + 'static) -> Result<()> {
        listen::spawn_for_ends(self.clone(), listener)
    }

    /// The Manager's address, for those who send its messages themselves; all are public and documented in
    /// [`actors::manager`](crate::actors::manager).
    #[must_use]
    pub fn addr(&self) -> Addr<ManagerActor> {
        self.shared.addr.clone()
    }

    /// The store's folder.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.shared.store
    }

    /// Stops every tree, writes everything down, ends the keeper and joins the supervisor's threads. Runs that are
    /// wanted go on with the next manager on this store. A second call, on any clone, returns once the first is done.
    /// A keeper that does not answer for 6 s meanwhile (it is stopped, or hangs) is killed, and its trees with it; the
    /// journal and the log say so.
    ///
    /// # Errors
    /// None today; a later version may report what could not be written.
    pub async fn shutdown(&self) -> Result<()> {
        self.shared.threads.end(&self.shared.addr).await;
        Ok(())
    }

    /// Asks the Manager. The question is on its way when this returns, not only when the future is polled.
    pub(crate) fn ask<M>(&self, message: M) -> impl Future<Output = Result<M::Result>> + Send + use<M>
    where
        M: Message + Send + Unpin + 'static,
        M::Result: Send,
        ManagerActor: Handler<M>,
        <ManagerActor as actix::Actor>::Context: ToEnvelope<ManagerActor, M>,
    {
        if !self.shared.addr.connected() {
            return Either::Left(ready(Err(Error::closed())));
        }
        let answer = self.shared.addr.send(message);
        Either::Right(async move { answer.await.map_err(|_| Error::closed()) })
    }
}

/// Blocks, not lengths: spools have holes where their output is stored already. What goes away meanwhile counts nothing.
fn bytes_on_disk(path: &Path) -> u64 {
    /// `st_blocks` counts these, whatever the file system's own blocks are.
    const BLOCK: u64 = 512;
    let Ok(facts) = path.symlink_metadata() else { return 0 };
    let own = facts.blocks() * BLOCK;
    let entries = path.read_dir().into_iter().flatten().flatten();
    own + entries.map(|entry| bytes_on_disk(&entry.path())).sum::<u64>()
}

impl fmt::Debug for ProcessManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessManager").field("store", &self.shared.store).finish_non_exhaustive()
    }
}
