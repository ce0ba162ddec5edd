//! The loop: one epoll set, one timer queue, no lock.

use super::{
    attempt::{Attempt, Stop},
    headroom::Headroom,
    protocol::{Event, Launch, Request, VERSION},
    socket::{Received, Socket},
    spawn::{Ends, spawn},
    stream::{Next, Stream, TRICKLE_PAUSE_NS, Terms},
    syscall::{self, Epoll, now_ns, output_pipe, own_pid, pidfd_open},
    tree::{Process, TAG, TagCache, Tree},
    wake::{WakeSender, spool_name},
};
use crate::model::SpoolName;
use rustix::event::epoll::{Event as Ready, EventData, EventFlags};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, VecDeque},
    ffi::OsStr,
    fs::File,
    io::{self, Seek, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// Keys of the epoll set below the attempts' own.
const CONTROL: u64 = 0;
const SIGNALS: u64 = 1;
const READER: u64 = 2;

/// An attempt's key is its token times four plus one of these; tokens begin at 1.
const STDOUT: u64 = 0;
const STDERR: u64 = 1;
const PIDFD: u64 = 2;

/// Requests taken in one turn of the loop, so that a thousand of them do not hold up the pipes.
const REQUESTS: usize = 64;

/// How the keeper lives.
pub(super) enum Mode {
    /// As a process of its own: every orphan of a child becomes its child.
    Process {
        /// Where SIGCHLD arrives.
        signals: OwnedFd,
        /// The soft limit of descriptors that children shall see.
        open_files: u64,
    },
    /// As a thread of the host: it touches neither signals nor limits and waits for its own children alone.
    Thread,
}

pub(super) struct Loop {
    pub(super) mode: Mode,
    pub(super) epoll: Epoll,
    pub(super) control: Option<Socket>,
    pub(super) outbox: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    pub(super) retry_ns: Option<u64>,
    pub(super) attempts: HashMap<u64, Attempt>,
    pub(super) leaders: HashMap<i32, u64>,
    /// Stops on their way.
    pub(super) stopping: BTreeSet<u64>,
    /// Leader gone, somebody left, nobody asked for a stop.
    pub(super) lingering: BTreeSet<u64>,
    pub(super) linger_ns: u64,
    pub(super) next_round_ns: u64,
    pub(super) tags: TagCache,
    visits: BinaryHeap<Reverse<(u64, u64)>>,
    pub(super) wake: Option<WakeSender>,
    pub(super) grown: Vec<SpoolName>,
    pub(super) missed: bool,
    null: File,
    headroom: Headroom,
    lock: Option<File>,
    ending: bool,
    /// The daemon is gone or we were told to end: every tree is stopped and every end recorded.
    pub(super) abandoned: bool,
}

impl Loop {
    pub(super) fn new(mode: Mode, control: Socket) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(control.as_fd(), CONTROL, EventFlags::IN)?;
        if let Mode::Process { signals, .. } = &mode {
            epoll.add(signals.as_fd(), SIGNALS, EventFlags::IN)?;
        }
        Ok(Self {
            mode,
            epoll,
            control: Some(control),
            outbox: VecDeque::new(),
            retry_ns: None,
            attempts: HashMap::new(),
            leaders: HashMap::new(),
            stopping: BTreeSet::new(),
            lingering: BTreeSet::new(),
            linger_ns: u64::MAX,
            next_round_ns: 0,
            tags: TagCache::default(),
            visits: BinaryHeap::new(),
            wake: None,
            grown: Vec::new(),
            missed: false,
            null: File::open("/dev/null")?,
            headroom: Headroom::default(),
            lock: None,
            ending: false,
            abandoned: false,
        })
    }

    /// Goes on until every tree is empty and nobody wants another.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![Ready { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 256];
        while !self.is_over() {
            let timeout = self.timeout(now_ns());
            let ready: Vec<(u64, EventFlags)> = self
                .epoll
                .wait(&mut buffer, timeout)?
                .iter()
                .map(|event| (event.data.u64(), event.flags))
                .collect();
            for (key, events) in ready {
                match key {
                    CONTROL => self.control_ready(events),
                    SIGNALS => self.signals_ready(),
                    READER => self.reader_ready(),
                    key if key & 3 == PIDFD => self.pidfd_ready(key >> 2),
                    key => self.visit(key >> 2, key & 3),
                }
            }
            let now = now_ns();
            self.visit_due(now);
            self.look_at_lingering(now);
            self.stop_round(now);
            if self.retry_ns.is_some_and(|due| due <= now) {
                self.flush();
            }
            self.tell_growth();
        }
        if matches!(self.mode, Mode::Process { .. }) {
            self.end_strays();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        (self.abandoned || self.ending)
            && self.attempts.values().all(|attempt| attempt.empty)
            && (self.control.is_none() || self.outbox.is_empty())
    }

    fn timeout(&self, now: u64) -> Option<u64> {
        let mut due = self.retry_ns.unwrap_or(u64::MAX).min(self.linger_ns);
        if let Some(Reverse((at, _))) = self.visits.peek() {
            due = due.min(*at);
        }
        due = due.min(self.round_due());
        (due != u64::MAX).then(|| due.saturating_sub(now))
    }

    fn control_ready(&mut self, events: EventFlags) {
        if events.contains(EventFlags::OUT) {
            self.flush();
        }
        for _ in 0..REQUESTS {
            let Some(control) = &self.control else { return };
            match control.receive() {
                Ok(Received::Message(bytes, fds)) => {
                    // What a daemon of another version says beyond what we know we cannot do.
                    if let Ok(request) = Request::decode(&bytes) {
                        self.request(request, fds);
                    }
                }
                Ok(Received::Empty) => return,
                Ok(Received::Closed) | Err(_) => return self.daemon_gone(),
            }
        }
    }

    fn request(&mut self, request: Request, fds: Vec<OwnedFd>) {
        match request {
            Request::Hello { lock, .. } => self.hello(&lock, fds),
            Request::Launch(launch) => self.launch(launch),
            Request::Stop { token, signal, grace_ms } => self.ask_stop(token, signal, grace_ms),
            Request::Signal { token, signal } => {
                if let Some(attempt) = self.attempts.get(&token).filter(|attempt| !attempt.empty) {
                    drop(syscall::kill_group(attempt.pid, signal));
                }
            }
            Request::Ack { token } => {
                if let Some(attempt) = self.attempts.get_mut(&token) {
                    attempt.acknowledged = true;
                    if attempt.empty {
                        self.attempts.remove(&token);
                    }
                }
            }
            Request::End => self.ending = true,
            Request::Ping => self.emit(&Event::Pong, &[]),
        }
    }

    fn hello(&mut self, lock: &[u8], fds: Vec<OwnedFd>) {
        self.wake = fds.into_iter().next().map(WakeSender::from);
        if let Some(wake) = &self.wake {
            // Without it a stream that waits for its reader is looked at four times a second.
            drop(self.epoll.add(wake.as_fd(), READER, EventFlags::IN));
        }
        match take_lock(Path::new(OsStr::from_bytes(lock))) {
            Ok(file) => {
                self.lock = Some(file);
                self.emit(&Event::Hello { version: VERSION, pid: own_pid() }, &[]);
            }
            Err(_) => {
                self.emit(&Event::Locked, &[]);
                self.ending = true;
            }
        }
    }

    fn launch(&mut self, launch: Launch) {
        let token = launch.token;
        if let Err(error) = self.try_launch(launch) {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.emit(&Event::LaunchFailed { token, errno }, &[]);
        }
    }

    fn try_launch(&mut self, launch: Launch) -> io::Result<()> {
        let streams = self.attempts.values().flat_map(|attempt| &attempt.streams);
        self.headroom.take(|| streams.filter(|stream| stream.may_open()).count() as u64)?;
        let (stdout, child_stdout) = output_pipe()?;
        let (stderr, child_stderr) = if launch.merge {
            (None, None)
        } else {
            output_pipe().map(|(read, child)| (Some(read), Some(child)))?
        };
        let open_files = match self.mode {
            Mode::Process { open_files, .. } => Some(open_files),
            Mode::Thread => None,
        };
        let ends = Ends {
            null: self.null.as_fd(),
            stdout: child_stdout.as_fd(),
            stderr: child_stderr.as_ref().map_or(child_stdout.as_fd(), AsFd::as_fd),
            open_files,
        };
        let token = launch.token;
        let pid = spawn(&launch, &ends)?;
        drop((child_stdout, child_stderr));
        // Nobody but us reaps it, so the id is its own until then, even when it has ended already.
        let pidfd = match (pidfd_open(pid), &self.mode) {
            (Ok(pidfd), _) => Some(pidfd),
            // SIGCHLD tells its end.
            (Err(_), Mode::Process { .. }) => None,
            (Err(error), Mode::Thread) => {
                drop(syscall::kill_group(pid, libc::SIGKILL));
                syscall::wait_for(pid);
                return Err(error);
            }
        };
        let start_ticks = Process::read(pid).map_or(0, |process| process.start_ticks);
        let own = pidfd.iter().chain([&stdout]).chain(&stderr);
        self.emit(&Event::Launched { token, pid, start_ticks }, &own.map(AsFd::as_fd).collect::<Vec<_>>());
        let tag = launch.env.iter().find_map(|entry| entry.strip_prefix(TAG.as_bytes()));
        let patience_ns = launch.patience_ms.saturating_mul(1_000_000);
        let terms = Terms { hold_at: launch.hold_at, patience_ns };
        let attempt = Attempt {
            pid,
            tree: Tree::new(pid, start_ticks, tag.unwrap_or_default().to_vec()),
            streams: [
                Stream::new(Some(stdout), launch.stdout, terms),
                Stream::new(stderr, launch.stderr, terms),
            ],
            default_stop: (launch.stop_signal, launch.grace_ms),
            record: OsStr::from_bytes(&launch.record).into(),
            end: None,
            empty: false,
            acknowledged: false,
            stuck: 0,
            stop: None,
            pidfd,
        };
        self.register(token, attempt);
        if self.abandoned {
            self.stop_by_itself(token);
        }
        Ok(())
    }

    fn register(&mut self, token: u64, attempt: Attempt) {
        for (stream, kind) in attempt.streams.iter().zip([STDOUT, STDERR]) {
            if let Some(pipe) = stream.pipe() {
                // Failing here means no memory for a watch: the stream is visited by time instead.
                let events = EventFlags::IN | EventFlags::ONESHOT;
                if self.epoll.add(pipe, token << 2 | kind, events).is_err() {
                    self.visits.push(Reverse((now_ns(), token << 2 | kind)));
                }
            }
        }
        if let (Mode::Thread, Some(pidfd)) = (&self.mode, &attempt.pidfd) {
            drop(self.epoll.add(pidfd.as_fd(), token << 2 | PIDFD, EventFlags::IN));
        }
        self.leaders.insert(attempt.pid, token);
        self.attempts.insert(token, attempt);
    }

    pub(super) fn visit(&mut self, token: u64, kind: u64) {
        let Some(attempt) = self.attempts.get_mut(&token) else { return };
        let index = usize::from(kind == STDERR);
        let stream = &mut attempt.streams[index];
        let before = stream.size();
        stream.due_ns = None;
        let now = now_ns();
        let next = stream.visit(now);
        let grown = stream.size() > before;
        let key = token << 2 | kind;
        match next {
            Next::Armed => {
                if let Some(pipe) = stream.pipe() {
                    drop(self.epoll.modify(pipe, key, EventFlags::IN | EventFlags::ONESHOT));
                }
            }
            Next::After(pause) => {
                let due = due_at(now_ns(), pause);
                stream.due_ns = Some(due);
                self.visits.push(Reverse((due, key)));
            }
            Next::Ended => {}
        }
        let (waits, told) = (attempt.waits_for(now), attempt.stuck);
        if grown {
            self.grown.push(spool_name(token, index));
            self.tell_losses(token, false);
        }
        if waits != told {
            self.tell_stuck(token, waits);
        }
        match next {
            Next::Armed | Next::After(_) => {}
            Next::Ended => {
                self.close_stream(token, index);
                if self.lingering.contains(&token) {
                    self.linger_ns = 0;
                }
            }
        }
    }

    fn visit_due(&mut self, now: u64) {
        while let Some(Reverse((due, key))) = self.visits.peek().copied()
            && due <= now
        {
            self.visits.pop();
            let index = usize::from(key & 3 == STDERR);
            let stream = self.attempts.get(&(key >> 2)).map(|attempt| &attempt.streams[index]);
            // Another visit may have come in between and made its own date.
            if stream.is_some_and(|stream| stream.due_ns.is_none_or(|at| at == due)) {
                self.visit(key >> 2, key & 3);
            }
        }
    }

    /// Lets go of a pipe. The watch is ended by name: the daemon holds the same pipe, so closing our end would not do it.
    pub(super) fn close_stream(&mut self, token: u64, index: usize) {
        if let Some(stream) = self.attempts.get_mut(&token).and_then(|attempt| attempt.streams.get_mut(index))
        {
            if let Some(pipe) = stream.pipe() {
                self.epoll.remove(pipe);
            }
            stream.close();
        }
    }

    /// The daemon is gone, or wants us to be: from now on we act on our own.
    pub(super) fn daemon_gone(&mut self) {
        if let Some(control) = self.control.take() {
            self.epoll.remove(control.as_fd());
        }
        self.outbox.clear();
        self.abandon();
    }

    /// Stops every tree by its own rule and records the ends nobody acknowledged.
    pub(super) fn abandon(&mut self) {
        if self.abandoned {
            return;
        }
        // Whoever has ended by now did so by itself.
        self.reap_ended();
        self.abandoned = true;
        let tokens: Vec<u64> = self.attempts.keys().copied().collect();
        for token in tokens {
            self.write_record(token);
            self.stop_by_itself(token);
        }
    }

    fn stop_by_itself(&mut self, token: u64) {
        if let Some(attempt) = self.attempts.get(&token) {
            let (signal, grace_ms) = attempt.default_stop;
            self.ask_stop(token, signal, grace_ms);
        }
    }

    fn ask_stop(&mut self, token: u64, signal: i32, grace_ms: u64) {
        let Some(attempt) = self.attempts.get_mut(&token).filter(|attempt| !attempt.empty) else { return };
        let now = now_ns();
        let deadline_ns = now.saturating_add(grace_ms.saturating_mul(1_000_000));
        match &mut attempt.stop {
            Some(stop) if deadline_ns < stop.deadline_ns => {
                stop.deadline_ns = deadline_ns;
                stop.look_ns = stop.look_ns.min(deadline_ns);
            }
            Some(_) => {}
            None => {
                attempt.stop = Some(Stop {
                    signal,
                    deadline_ns,
                    signalled: false,
                    handled: false,
                    look_ns: now,
                    pause_ns: 0,
                    unsure_ns: None,
                });
            }
        }
        self.lingering.remove(&token);
        self.stopping.insert(token);
    }
}

/// When a visit is due. Visits that are not in a hurry fall on common dates, so that a hundred slow writers are one
/// wake-up and not a hundred.
const fn due_at(now: u64, pause: u64) -> u64 {
    now + pause - if pause < TRICKLE_PAUSE_NS { 0 } else { (now + pause) % TRICKLE_PAUSE_NS }
}

/// Takes the keeper's lock and leaves our process id in the file, for people and for the next daemon's log.
fn take_lock(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.try_lock()?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_streams_are_visited_together_and_busy_ones_at_their_own_time() {
        for now in [0, 1, TRICKLE_PAUSE_NS - 1, TRICKLE_PAUSE_NS, 7 * TRICKLE_PAUSE_NS + 3] {
            let due = due_at(now, TRICKLE_PAUSE_NS);
            assert!(due > now && due <= now + TRICKLE_PAUSE_NS, "{now}: soon, and not at once");
            assert_eq!(due % TRICKLE_PAUSE_NS, 0, "{now}: a common date");
            assert_eq!(due_at(now, 1_000_000), now + 1_000_000);
        }
    }
}
