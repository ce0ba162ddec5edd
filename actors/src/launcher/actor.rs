//! Carries messages between the Manager and the keeper.

use super::{
    compose::{Composed, Places, compose, env_file_of, own_environment},
    env_files::{EnvFile, EnvFiles},
    link::{Heard, Link},
    machine::{Pulse, Variables, out_of_descriptors, scarce},
    messages::{
        Acknowledge, Ending, ForgetSecrets, KeepSecrets, Launch, Recover, Recovery, Report, Shutdown, Signal,
        Stop,
    },
    recover::{self, Bereaved, Settled},
    secrets::Secrets,
};
use crate::{
    keeper::{EACH, Headroom, Keeper, WakeSender, protocol::Request, who_holds},
    model::{AttemptId, ExitStatus, SpawnFailure, SpawnProblem, Stream, Timestamp},
    owned,
};
use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient,
    ResponseActFuture, ResponseFuture, SpawnHandle, WrapFuture,
};
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};
use tokio::sync::oneshot;

/// The configuration of a [`LauncherActor`].
#[derive(Debug)]
#[non_exhaustive]
pub struct LauncherConfig {
    /// The store's folder; created with mode 0700 if it is missing.
    pub store: PathBuf,
    /// The manager's identity, the same for every supervisor of this store. Part of each child's tag.
    pub manager: u128,
    /// Whether the store lies where its identity was made. In a copy, processes that look like left ones belong to
    /// the original's supervisor: they are not touched. Default true.
    pub at_home: bool,
    /// The receiver of [`Report`]s.
    pub reports: Recipient<Report>,
    /// Sends word of grown spools; given to every keeper.
    pub wake: WakeSender,
}

impl LauncherConfig {
    /// A configuration from all required values; `at_home` is true.
    #[must_use]
    pub const fn new(store: PathBuf, manager: u128, reports: Recipient<Report>, wake: WakeSender) -> Self {
        Self { store, manager, at_home: true, reports, wake }
    }
}

/// The Launcher. See the [room](crate::launcher).
pub struct LauncherActor {
    pub(super) places: Places,
    secrets: Secrets,
    reports: Recipient<Report>,
    wake: WakeSender,
    inherited: Variables,
    pub(super) keeper: KeeperState,
    pub(super) watch: Watch,
    /// Whether the supervisor is about to end.
    pub(super) ending: bool,
    /// Counts keepers, so that reports of an earlier one are known as such.
    generation: u64,
    /// Boxed, because a table has twice the room that it needs.
    pub(super) living: HashMap<u64, Box<Living>>,
    pub(super) tokens: HashMap<AttemptId, u64>,
    next_token: u64,
    headroom: Headroom,
    /// Starts that came while no keeper could take them.
    waiting: Vec<Launch>,
    pub(super) env_files: EnvFiles,
    /// Starts whose env file is being read.
    reading: HashSet<AttemptId>,
    /// Attempts whose exit records are removed once they are journalled.
    recovered: HashSet<AttemptId>,
    enders: Vec<oneshot::Sender<()>>,
}

/// Whether the keeper answers, as far as this is checked.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) pulse: Pulse,
    /// The time of the next check, and its alarm.
    pub(super) alarm: Option<(Timestamp, SpawnHandle)>,
    /// Whether the Launcher killed the keeper because it was silent.
    pub(super) killed: bool,
}

pub(super) enum KeeperState {
    /// There is no keeper; the next start makes one.
    None,
    /// The keeper is there; it has said hello, or has not yet.
    Up { link: Link, hello: bool },
    /// An earlier keeper is waited for, or cleaned up after.
    Busy,
}

/// What is known of an attempt from its request until its tree is empty.
pub(super) struct Living {
    pub(super) attempt: AttemptId,
    pub(super) secrets: Vec<String>,
    pub(super) facts: Option<Box<(String, PathBuf, PathBuf)>>,
    pub(super) pid: i32,
    pub(super) start_ticks: u64,
    pub(super) pidfd: Option<OwnedFd>,
    /// Copies of the keeper's reading ends, in case it dies.
    pub(super) pipes: Vec<OwnedFd>,
    /// The exit that was reported already.
    pub(super) exit: Option<ExitStatus>,
}

/// What a keeper had reported of an attempt when it died.
#[derive(Default)]
struct Told {
    launched: bool,
    exited: bool,
    /// Whether the keeper had said hello: one that had not has made no process.
    keeper_was_up: bool,
    /// Secrets that the Monitor has not been told yet.
    secrets: Vec<String>,
}

/// The message that a keeper of this generation reported something.
#[derive(Message)]
#[rtype(result = "()")]
struct Word(u64, Heard);

impl LauncherActor {
    /// Creates a Launcher without a keeper; the first [`Launch`] starts one.
    ///
    /// # Errors
    /// The store's folders cannot be created.
    pub fn new(config: LauncherConfig) -> io::Result<Self> {
        owned::make_folder(&config.store)?;
        let LauncherConfig { manager, at_home, .. } = config;
        let places = Places { store: std::fs::canonicalize(&config.store)?, manager, at_home };
        owned::make_folder(&places.spool_folder())?;
        Ok(Self {
            secrets: Secrets::of(&places.store),
            places,
            reports: config.reports,
            wake: config.wake,
            inherited: own_environment(),
            keeper: KeeperState::None,
            watch: Watch::default(),
            ending: false,
            generation: 0,
            living: HashMap::new(),
            tokens: HashMap::new(),
            next_token: 1,
            headroom: Headroom::default(),
            waiting: Vec::new(),
            env_files: EnvFiles::default(),
            reading: HashSet::new(),
            recovered: HashSet::new(),
            enders: Vec::new(),
        })
    }

    pub(super) fn report(&self, report: Report) {
        self.reports.do_send(report);
    }

    pub(super) fn fail(&self, attempt: AttemptId, failure: SpawnFailure) {
        self.report(Report::LaunchFailed { attempt, failure });
    }

    fn link(&mut self, ctx: &mut Context<Self>) -> io::Result<Option<&Link>> {
        if matches!(self.keeper, KeeperState::None) {
            recover::save_boot(&self.places);
            let keeper = Keeper::start(&self.wake, &self.places.lock())?;
            match keeper.pid() {
                Some(pid) => log::info!("keeper started; pid={pid}"),
                None => log::info!("keeper started on a thread"),
            }
            self.generation += 1;
            let (generation, me) = (self.generation, ctx.address());
            let link = Link::open(keeper, move |heard| me.do_send(Word(generation, heard)))?;
            self.keeper = KeeperState::Up { link, hello: false };
        }
        Ok(match &self.keeper {
            KeeperState::Up { link, .. } => Some(link),
            KeeperState::None | KeeperState::Busy => None,
        })
    }

    /// The process id of the keeper; `None` unless it has a process of its own.
    pub(super) fn keeper_pid(&self) -> Option<i32> {
        match &self.keeper {
            KeeperState::Up { link, .. } => link.pid(),
            KeeperState::None | KeeperState::Busy => None,
        }
    }

    /// Whether the keeper has any attempt to keep.
    pub(super) fn has_living(&self) -> bool {
        !self.living.is_empty()
    }

    /// Sends the keeper a request that is about no attempt. Returns false when there is no keeper.
    pub(super) fn ask_keeper(&self, request: &Request) -> bool {
        let KeeperState::Up { link, .. } = &self.keeper else { return false };
        link.send(request);
        true
    }

    fn send(&self, attempt: AttemptId, request: impl FnOnce(u64) -> Request) {
        if let (Some(token), KeeperState::Up { link, .. }) = (self.tokens.get(&attempt), &self.keeper) {
            link.send(&request(*token));
        }
    }

    fn launch(&mut self, launch: Launch, ctx: &mut Context<Self>) {
        if matches!(self.keeper, KeeperState::Busy) {
            self.waiting.push(launch);
            return;
        }
        let attempt = launch.attempt;
        match env_file_of(&launch.program) {
            Ok(None) => self.launch_with(launch, None, ctx),
            Ok(Some(path)) => {
                self.reading.insert(attempt);
                let read = self.env_files.read(Arc::clone(&launch.program), path).into_actor(self);
                ctx.spawn(read.map(move |read, this, ctx| match read {
                    // The attempt was stopped meanwhile, and answered then.
                    _ if !this.reading.remove(&attempt) => {}
                    Ok(file) => this.launch_with(launch, Some(&file), ctx),
                    Err(failure) => this.fail(attempt, failure),
                }));
            }
            Err(failure) => self.fail(attempt, failure),
        }
    }

    fn launch_with(&mut self, launch: Launch, env_file: Option<&EnvFile>, ctx: &mut Context<Self>) {
        if matches!(self.keeper, KeeperState::Busy) {
            self.waiting.push(launch);
            return;
        }
        let token = self.next_token;
        let attempt = launch.attempt;
        let living = &self.living;
        // An attempt that is on its way has no file open yet; one that is here may still open its spools, and the
        // Monitor reads them.
        let promised = || living.values().map(|one| if one.pid == 0 { EACH } else { 2 }).sum();
        if let Err(error) = self.headroom.take(promised) {
            let name = &launch.program.name;
            let failure = match error.raw_os_error() {
                Some(libc::EMFILE) | None => out_of_descriptors(name, &who_holds()),
                Some(errno) => scarce(name, errno),
            };
            return self.fail(attempt, failure);
        }
        let composed = match compose(&launch, env_file, token, &self.places, &self.inherited) {
            Ok(composed) => composed,
            Err(failure) => return self.fail(attempt, failure),
        };
        let Composed { request, secrets, program, cwd } = composed;
        match self.link(ctx) {
            Ok(Some(link)) => {
                link.send(&Request::Launch(request));
                self.expect_answer(ctx);
            }
            Ok(None) => return self.waiting.push(launch),
            Err(error) => return self.fail(attempt, no_keeper(&error.to_string())),
        }
        self.next_token += 1;
        self.tokens.insert(attempt, token);
        let living = Living {
            attempt,
            secrets,
            facts: Some(Box::new((launch.program.name.clone(), program, cwd))),
            pid: 0,
            start_ticks: 0,
            pidfd: None,
            pipes: Vec::new(),
            exit: None,
        };
        self.living.insert(token, Box::new(living));
    }

    /// The keeper is gone: the Launcher ended it, another holds the lock, or it died.
    fn keeper_gone(&mut self, ctx: &mut Context<Self>) {
        let KeeperState::Up { link, hello } = std::mem::replace(&mut self.keeper, KeeperState::Busy) else {
            return;
        };
        let killed = self.forget_pulse(ctx);
        let keeper = link.into_keeper();
        let orderly = !self.enders.is_empty() && self.living.is_empty();
        let (mut lost, mut told) = (Vec::new(), HashMap::new());
        for (token, living) in self.living.drain() {
            let by_then = Told {
                launched: living.pid != 0,
                exited: living.exit.is_some(),
                keeper_was_up: hello,
                secrets: living.secrets,
            };
            told.insert(token, by_then);
            lost.push(Bereaved {
                attempt: living.attempt,
                token,
                pid: living.pid,
                start_ticks: living.start_ticks,
                pidfd: living.pidfd,
                pipes: living.pipes,
                spool: self.places.spool(living.attempt, token),
                exit: living.exit,
            });
        }
        let attempts = u32::try_from(told.values().filter(|by_then| by_then.launched).count());
        let attempts = attempts.unwrap_or(u32::MAX);
        let unsettled = lost.iter().map(Settled::unseen).collect();
        let places = self.places.clone();
        let work = tokio::task::spawn_blocking(move || {
            if let Some(keeper) = keeper {
                keeper.join();
            }
            if lost.is_empty() { Vec::new() } else { recover::settle(&places, lost) }
        });
        ctx.spawn(work.into_actor(self).map(move |settled, this, ctx| {
            this.keeper = KeeperState::None;
            if hello && !orderly {
                log::error!("keeper lost; attempts={attempts}");
                let why = match killed {
                    true => "it did not answer while the supervisor ended, and was killed",
                    false => "the keeper ended without being told to",
                };
                this.report(Report::KeeperLost { attempts, why: why.to_owned() });
            }
            let settled = settled.unwrap_or_else(|error| {
                log::error!("what a keeper left could not be settled; error={error}");
                unsettled
            });
            for one in settled {
                this.tell_settled(&one, told.remove(&one.token).unwrap_or_default());
            }
            for ender in this.enders.drain(..) {
                // The asker may be gone.
                let _ = ender.send(());
            }
            for launch in std::mem::take(&mut this.waiting) {
                // A keeper that never came up would not come up at once either: the Manager tries again later.
                if hello {
                    this.launch(launch, ctx)
                } else {
                    this.fail(launch.attempt, no_keeper("it ended at once"))
                }
            }
        }));
    }

    fn tell_settled(&mut self, one: &Settled, told: Told) {
        let Settled { token, attempt, exit, sizes, losses } = *one;
        if !told.launched {
            self.tokens.remove(&attempt);
            if !told.keeper_was_up {
                return self.fail(attempt, no_keeper("it ended at once"));
            }
            let spool = self.places.spool(attempt, token);
            return self.report(Report::Unheard { attempt, spool, sizes, secrets: told.secrets });
        }
        let streams = [(Stream::Stdout, sizes.stdout), (Stream::Stderr, sizes.stderr)];
        for ((stream, at), loss) in streams.into_iter().zip(losses).filter(|(_, loss)| !loss.is_none()) {
            self.report(Report::OutputLost { attempt, stream, at, length: 0, loss });
        }
        if !told.exited {
            let bytes = losses.iter().map(|loss| loss.bytes).sum();
            if bytes > 0 {
                self.report(Report::Unspooled { attempt, bytes });
            }
            self.report(Report::Exited { attempt, exit, sizes, leftovers: false });
        }
        self.report(Report::Emptied { attempt, sizes });
    }
}

fn no_keeper(why: &str) -> SpawnFailure {
    SpawnFailure {
        problem: SpawnProblem::Keeper,
        errno: String::new(),
        message: format!("no keeper took the start: {why}"),
        help: "it is tried again with a new keeper".into(),
    }
}

impl Actor for LauncherActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // A burst of starts and ends must not be refused by the mailbox's default of 16.
        ctx.set_mailbox_capacity(1_024);
    }
}

impl Handler<Word> for LauncherActor {
    type Result = ();

    fn handle(&mut self, Word(generation, heard): Word, ctx: &mut Self::Context) {
        match heard {
            _ if generation != self.generation => {}
            Heard::Event(event, fds) => {
                self.keeper_lives();
                self.hear(event, fds);
            }
            Heard::Closed => self.keeper_gone(ctx),
        }
    }
}

impl Handler<Launch> for LauncherActor {
    type Result = ();

    fn handle(&mut self, launch: Launch, ctx: &mut Self::Context) {
        self.launch(launch, ctx);
    }
}

impl Handler<Stop> for LauncherActor {
    type Result = ();

    fn handle(&mut self, Stop { attempt, signal, timeout_ms }: Stop, ctx: &mut Self::Context) {
        if let Some(at) = self.waiting.iter().position(|launch| launch.attempt == attempt) {
            self.waiting.remove(at);
            return self.fail(attempt, no_keeper("it was stopped while it waited for one"));
        }
        if self.reading.remove(&attempt) {
            return self.fail(attempt, no_keeper("it was stopped while its env_file was read"));
        }
        self.send(attempt, |token| Request::Stop { token, signal, grace_ms: timeout_ms });
        // A tree may take its time to end; the keeper itself may not.
        if self.ask_keeper(&Request::Ping) {
            self.expect_answer(ctx);
        }
    }
}

impl Handler<Signal> for LauncherActor {
    type Result = ();

    fn handle(&mut self, Signal { attempt, signal }: Signal, _: &mut Self::Context) {
        self.send(attempt, |token| Request::Signal { token, signal });
    }
}

impl Handler<Acknowledge> for LauncherActor {
    type Result = ();

    fn handle(&mut self, Acknowledge { attempt }: Acknowledge, _: &mut Self::Context) {
        self.send(attempt, |token| Request::Ack { token });
        self.tokens.remove(&attempt);
        if self.recovered.remove(&attempt) {
            drop(std::fs::remove_file(self.places.record(attempt)));
        }
    }
}

impl Handler<KeepSecrets> for LauncherActor {
    type Result = MessageResult<KeepSecrets>;

    fn handle(&mut self, KeepSecrets { run, values }: KeepSecrets, _: &mut Self::Context) -> Self::Result {
        let kept = self.secrets.keep(run, &values);
        MessageResult(kept.map_err(|error| format!("the secrets cannot be kept: {error}")))
    }
}

impl Handler<ForgetSecrets> for LauncherActor {
    type Result = ();

    fn handle(&mut self, ForgetSecrets { run }: ForgetSecrets, _: &mut Self::Context) {
        self.secrets.forget(run);
    }
}

impl Handler<Recover> for LauncherActor {
    type Result = ResponseActFuture<Self, Recovery>;

    fn handle(&mut self, Recover { orphans }: Recover, _: &mut Self::Context) -> Self::Result {
        self.keeper = KeeperState::Busy;
        let places = self.places.clone();
        let first = self.next_token;
        let work = async move {
            recover::wait_for_old_keeper(&places).await;
            let work = tokio::task::spawn_blocking(move || recover::recover(&places, orphans, first));
            work.await.unwrap_or_else(|error| {
                log::error!("what an earlier supervisor left could not be looked at; error={error}");
                Recovery::default() // Every orphan counts as lost then.
            })
        };
        Box::pin(work.into_actor(self).map(|recovered, this, ctx| {
            this.keeper = KeeperState::None;
            let spools = recovered.ends.len() + recovered.left.len();
            // Nothing is launched while the keeper is busy, so these are the only names that were given meanwhile.
            this.next_token += u64::try_from(spools).unwrap_or(0);
            this.recovered.extend(recovered.ends.iter().map(|one| one.attempt));
            for launch in std::mem::take(&mut this.waiting) {
                this.launch(launch, ctx);
            }
            recovered
        }))
    }
}

impl Handler<Ending> for LauncherActor {
    type Result = ();

    fn handle(&mut self, _: Ending, ctx: &mut Self::Context) {
        self.end_with_keeper(ctx);
    }
}

impl Handler<Shutdown> for LauncherActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shutdown, ctx: &mut Self::Context) -> Self::Result {
        if !self.ask_keeper(&Request::End) {
            return Box::pin(async {});
        }
        self.end_with_keeper(ctx);
        let (sender, receiver) = oneshot::channel();
        self.enders.push(sender);
        Box::pin(async move {
            // The actor may end first, and the keeper with it.
            let _ = receiver.await;
        })
    }
}
