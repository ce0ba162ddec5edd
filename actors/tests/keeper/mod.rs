//! What the keeper promises, as scenarios with real processes; run once against a process and once against a thread.

mod losses;

use actix_process_actors::{
    keeper::{
        ExitRecord, Incoming, Keeper,
        protocol::{Event, Launch, Request},
        tree::{self, Process, Snapshot},
        wake_pair,
    },
    model::{ExitStatus, SpoolSizes, Timestamp},
};
use rustix::net::RecvFlags;
use std::{
    collections::VecDeque,
    fs,
    os::{fd::AsRawFd, fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// Longest wait for anything; a machine under load is slow.
const PATIENCE_MS: u64 = 60_000;

pub(crate) type Scenario = (&'static str, fn());

pub(crate) const EVERYWHERE: &[Scenario] = &[
    ("exit_statuses_and_sizes_are_told_as_they_are", exit_statuses_and_sizes_are_told_as_they_are),
    ("output_reaches_its_file_byte_for_byte", output_reaches_its_file_byte_for_byte),
    ("opening_dev_stdout_anew_loses_nothing", opening_dev_stdout_anew_loses_nothing),
    ("floods_on_both_streams_arrive_whole", floods_on_both_streams_arrive_whole),
    ("a_start_that_fails_gives_the_kernels_word", a_start_that_fails_gives_the_kernels_word),
    ("a_child_has_a_clean_beginning", a_child_has_a_clean_beginning),
    ("a_large_environment_travels_too", a_large_environment_travels_too),
    ("a_stop_is_over_when_the_whole_tree_is", a_stop_is_over_when_the_whole_tree_is),
    (
        "a_tree_that_ignores_sigterm_is_killed_after_the_grace",
        a_tree_that_ignores_sigterm_is_killed_after_the_grace,
    ),
    ("a_paused_child_is_woken_to_hear_its_stop", a_paused_child_is_woken_to_hear_its_stop),
    (
        "a_grandchild_with_the_pipe_does_not_delay_the_exit",
        a_grandchild_with_the_pipe_does_not_delay_the_exit,
    ),
    ("a_held_spool_makes_the_child_wait", a_held_spool_makes_the_child_wait),
    ("a_storm_of_forks_ends", a_storm_of_forks_ends),
    ("many_stops_share_their_looks", many_stops_share_their_looks),
    (
        "without_a_daemon_children_are_stopped_and_recorded",
        without_a_daemon_children_are_stopped_and_recorded,
    ),
    ("a_second_keeper_finds_the_lock_taken", a_second_keeper_finds_the_lock_taken),
    ("a_spool_folder_that_was_removed_is_made_anew", losses::a_spool_folder_that_was_removed_is_made_anew),
    (
        "output_that_waits_at_the_end_is_told_and_kept_until_there_is_a_place",
        losses::output_that_waits_at_the_end_is_told_and_kept_until_there_is_a_place,
    ),
    ("output_that_a_stop_cannot_wait_for_is_counted", losses::output_that_a_stop_cannot_wait_for_is_counted),
    (
        "with_patience_for_ever_a_child_waits_until_its_output_has_a_place",
        losses::with_patience_for_ever_a_child_waits_until_its_output_has_a_place,
    ),
    (
        "without_patience_what_has_no_place_is_dropped_whole_lines_and_counted",
        losses::without_patience_what_has_no_place_is_dropped_whole_lines_and_counted,
    ),
    ("a_held_child_goes_on_at_the_readers_word", losses::a_held_child_goes_on_at_the_readers_word),
    (
        "a_reader_that_stands_still_is_waited_for_as_long_as_the_patience_lasts",
        losses::a_reader_that_stands_still_is_waited_for_as_long_as_the_patience_lasts,
    ),
    ("a_ping_is_answered", losses::a_ping_is_answered),
];

pub(crate) struct Bench {
    pub(crate) keeper: Option<Keeper>,
    pub(crate) folder: tempfile::TempDir,
    events: VecDeque<(Event, Vec<OwnedFd>)>,
    token: u64,
    pub(crate) wake: OwnedFd,
}

#[expect(clippy::unwrap_used, reason = "a scenario that cannot be set up fails")]
impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, wake) = wake_pair().unwrap();
        let keeper = Keeper::start(&sender, &folder.path().join("keeper.lock")).unwrap();
        let mut bench = Self { keeper: Some(keeper), folder, events: VecDeque::new(), token: 0, wake };
        bench.wait(|event| matches!(event, Event::Hello { .. } | Event::Locked));
        bench
    }

    pub(crate) fn path(&self, token: u64, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{token}.{kind}"))
    }

    pub(crate) fn request(&mut self, argv: &[&str]) -> Launch {
        self.token += 1;
        let bytes = |path: PathBuf| path.as_os_str().as_bytes().to_vec();
        let tag = format!("{}{}/{}", tree::TAG, self.folder.path().display(), self.token);
        Launch {
            token: self.token,
            stop_signal: libc::SIGTERM,
            grace_ms: 300,
            program: argv[0].into(),
            argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            env: vec![b"PATH=/usr/bin:/bin".to_vec(), tag.into_bytes()],
            cwd: bytes(self.folder.path().into()),
            stdout: bytes(self.path(self.token, "out")),
            stderr: bytes(self.path(self.token, "err")),
            record: bytes(self.path(self.token, "exit")),
            ..Launch::default()
        }
    }

    pub(crate) fn send(&self, request: &Request) {
        let keeper = self.keeper.as_ref().unwrap();
        while keeper.send(request).is_err() {
            poll(keeper.as_raw_fd(), libc::POLLOUT, 10);
        }
    }

    /// Starts a shell script; its token and process.
    pub(crate) fn shell(&mut self, script: &str) -> (u64, i32) {
        let launch = self.request(&["/bin/sh", "-c", script]);
        self.launch(launch)
    }

    pub(crate) fn launch(&mut self, launch: Launch) -> (u64, i32) {
        let token = launch.token;
        self.send(&Request::Launch(launch));
        let (event, _) = self.wait(|event| matches!(event, Event::Launched { token: t, .. } if *t == token));
        let Event::Launched { pid, .. } = event else { unreachable!() };
        (token, pid)
    }

    pub(crate) fn exited(&mut self, wanted: u64) -> (ExitStatus, SpoolSizes, bool) {
        let (event, _) = self.wait(|event| matches!(event, Event::Exited { token, .. } if *token == wanted));
        let Event::Exited { status, sizes, leftovers, .. } = event else { unreachable!() };
        (status, sizes, leftovers)
    }

    pub(crate) fn emptied(&mut self, wanted: u64) -> SpoolSizes {
        let (event, _) = self.wait(|event| matches!(event, Event::Emptied { token, .. } if *token == wanted));
        let Event::Emptied { sizes, .. } = event else { unreachable!() };
        sizes
    }

    pub(crate) fn wait(&mut self, wanted: impl Fn(&Event) -> bool) -> (Event, Vec<OwnedFd>) {
        let mut patience = Patience::new();
        loop {
            if let Some(at) = self.events.iter().position(|(event, _)| wanted(event)) {
                return self.events.remove(at).unwrap();
            }
            let keeper = self.keeper.as_ref().unwrap();
            match keeper.receive().unwrap() {
                Incoming::Event(event, fds) => self.events.push_back((event, fds)),
                Incoming::Empty => {
                    poll(keeper.as_raw_fd(), libc::POLLIN, 1_000);
                    patience.check("an event");
                }
                other => panic!("the keeper said {other:?}"),
            }
        }
    }

    /// Takes what was told of this kind so far.
    pub(crate) fn heard(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<(Event, Vec<OwnedFd>)> {
        let events = std::mem::take(&mut self.events);
        let (heard, rest): (VecDeque<_>, _) = events.into_iter().partition(|(event, _)| wanted(event));
        self.events = rest;
        heard.into()
    }

    pub(crate) fn read(&self, token: u64, kind: &str) -> Vec<u8> {
        fs::read(self.path(token, kind)).unwrap_or_default()
    }

    /// Waits until a spool has this in it.
    pub(crate) fn wait_for_output(&self, token: u64, text: &str) {
        let mut patience = Patience::new();
        while !String::from_utf8_lossy(&self.read(token, "out")).contains(text) {
            poll(self.wake.as_raw_fd(), libc::POLLIN, 20);
            take_wakes(&self.wake);
            patience.check(text);
        }
    }

    /// Processes that belong to this bench, whoever their parents are.
    pub(crate) fn alive(&self) -> Vec<Process> {
        let mut snapshot = Snapshot::take().unwrap();
        snapshot.read_tags(tree::Strays::Anywhere, &mut tree::TagCache::default(), |_| false);
        let prefix = format!("{}/", self.folder.path().display());
        snapshot.tagged(prefix.as_bytes()).map(|(_, process)| *process).collect()
    }
}

pub(crate) struct Patience(Timestamp);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(Timestamp(actix_process_actors::clock::wall_ms()))
    }

    #[track_caller]
    pub(crate) fn check(&mut self, what: &str) {
        let waited = Timestamp(actix_process_actors::clock::wall_ms()).since(self.0);
        assert!(waited < PATIENCE_MS, "waited in vain for {what}");
    }
}

pub(crate) fn poll(fd: i32, events: i16, timeout_ms: i32) {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one valid entry.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
}

/// Takes the wake-ups that wait, so that a poll waits for the next one.
pub(crate) fn take_wakes(wake: &OwnedFd) {
    let mut datagram = [0; 8 << 10];
    while let Ok((1.., _)) = rustix::net::recv(wake, &mut datagram[..], RecvFlags::empty()) {}
}

fn exit_statuses_and_sizes_are_told_as_they_are() {
    let mut bench = Bench::new();
    for (script, status) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 3", ExitStatus::Code(3)),
        ("kill -9 $$", ExitStatus::Signal { number: libc::SIGKILL, core: false }),
        ("kill -TERM $$", ExitStatus::Signal { number: libc::SIGTERM, core: false }),
    ] {
        let (token, _) = bench.shell(&format!("echo out; echo error >&2; {script}"));
        let sizes = SpoolSizes { stdout: 4, stderr: 6 };
        assert_eq!(bench.exited(token), (status, sizes, false), "{script}");
        assert_eq!(bench.emptied(token), sizes);
        bench.send(&Request::Ack { token });
    }
}

fn output_reaches_its_file_byte_for_byte() {
    let mut bench = Bench::new();
    let launch = bench.request(&["/bin/sh", "-c", "printf 'a\\0b\\n'; printf '\\377' >&2; printf c"]);
    let (token, _) = bench.launch(Launch { merge: true, ..launch });
    bench.exited(token);
    assert_eq!(bench.read(token, "out"), b"a\0b\n\xffc");
    assert!(!bench.path(token, "err").exists());
    let (token, _) = bench.shell("true");
    bench.exited(token);
    assert!(!bench.path(token, "out").exists(), "no output, no file");
}

fn opening_dev_stdout_anew_loses_nothing() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell("echo a; echo b > /dev/stdout; echo c >&2; echo d > /dev/stderr; echo e");
    bench.exited(token);
    assert_eq!(bench.read(token, "out"), b"a\nb\ne\n");
    assert_eq!(bench.read(token, "err"), b"c\nd\n");
}

fn floods_on_both_streams_arrive_whole() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell("seq 1 5000000 & seq 1 4000000 >&2; wait");
    let (status, sizes, _) = bench.exited(token);
    assert_eq!(status, ExitStatus::Code(0));
    for (kind, last, size) in [("out", 5_000_000, sizes.stdout), ("err", 4_000_000, sizes.stderr)] {
        let bytes = bench.read(token, kind);
        assert_eq!(bytes.len() as u64, size);
        assert_counts_up(&bytes, last);
    }
}

#[track_caller]
pub(crate) fn assert_counts_up(bytes: &[u8], last: usize) {
    let mut expected = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        expected += 1;
        assert!(line == expected.to_string().as_bytes(), "line {expected} is {line:?}");
    }
    assert_eq!(expected, last);
}

fn a_start_that_fails_gives_the_kernels_word() {
    let mut bench = Bench::new();
    let script = bench.folder.path().join("script");
    fs::write(&script, "echo").unwrap();
    let script = script.to_str().unwrap().to_owned();
    for (program, cwd, wanted) in [
        ("/no/such/program", None, libc::ENOENT),
        ("/bin/true", Some("/no/such/folder"), libc::ENOENT),
        (script.as_str(), None, libc::EACCES),
        ("/bin/tr\0ue", None, libc::EINVAL),
    ] {
        let mut launch = bench.request(&[program]);
        if let Some(cwd) = cwd {
            launch.cwd = cwd.into();
        }
        bench.send(&Request::Launch(launch));
        let (event, _) = bench.wait(|event| matches!(event, Event::LaunchFailed { .. }));
        assert!(matches!(event, Event::LaunchFailed { errno, .. } if errno == wanted), "{event:?}");
    }
}

fn a_child_has_a_clean_beginning() {
    let mut bench = Bench::new();
    let script = "ls -l /proc/self/fd | grep -c -- '->'; ulimit -Sn; grep -E 'Sig(Blk|Ign)' /proc/self/status; \
                  readlink /proc/self/fd/0; cut -d' ' -f5,6 /proc/$$/stat; echo $$";
    let (token, pid) = bench.shell(script);
    bench.exited(token);
    // SAFETY: `limit` is valid to write to.
    let soft = unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur
    };
    let zero = "0000000000000000";
    // The C library ignores its own two signals, 32 and 33, between the spawn and the exec.
    // `ls` itself opens the folder it lists: 0, 1, 2 and that one.
    let expected =
        format!("4\n{soft}\nSigBlk:\t{zero}\nSigIgn:\t0000000180000000\n/dev/null\n{pid} {pid}\n{pid}\n");
    assert_eq!(String::from_utf8(bench.read(token, "out")).unwrap(), expected);
}

fn a_large_environment_travels_too() {
    let mut bench = Bench::new();
    let mut launch = bench.request(&["/bin/sh", "-c", "echo ${#X0} ${#X9}"]);
    launch.env.extend((0..10).map(|n| format!("X{n}={}", "x".repeat(100_000)).into_bytes()));
    let (token, _) = bench.launch(launch);
    bench.exited(token);
    assert_eq!(bench.read(token, "out"), b"100000 100000\n");
}

/// A tree with members in the group, in a session of their own, and forked away twice.
const TREE: &str = "sleep 1000 & setsid sh -c 'sleep 1001 & sleep 1002' & \
                    (setsid setsid sleep 1003 > /dev/null 2>&1 &) ; (sh -c 'setsid sleep 1004 &' &) ;";

fn wait_for_tree(bench: &Bench, count: usize) {
    let mut patience = Patience::new();
    while bench.alive().iter().filter(|p| sleeps(p.pid)).count() < count {
        poll(-1, 0, 5);
        patience.check("the tree");
    }
}

fn sleeps(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep"))
}

fn a_stop_is_over_when_the_whole_tree_is() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell(&format!("{TREE} echo ready; wait"));
    wait_for_tree(&bench, 5);
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 30_000 });
    let (status, _, _) = bench.exited(token);
    assert_eq!(status, ExitStatus::Signal { number: libc::SIGTERM, core: false });
    bench.emptied(token);
    assert_eq!(bench.alive(), []);
}

fn a_tree_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell(&format!("trap '' TERM; {TREE} echo ready; while :; do sleep 1005; done"));
    wait_for_tree(&bench, 6);
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 200 });
    let (status, _, _) = bench.exited(token);
    assert_eq!(status, ExitStatus::Signal { number: libc::SIGKILL, core: false });
    bench.emptied(token);
    assert_eq!(bench.alive(), []);
}

fn a_paused_child_is_woken_to_hear_its_stop() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell("trap 'echo heard; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    bench.wait_for_output(token, "ready");
    bench.send(&Request::Signal { token, signal: libc::SIGSTOP });
    let mut patience = Patience::new();
    while !bench.alive().iter().any(Process::is_paused) {
        patience.check("the pause");
    }
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 30_000 });
    assert_eq!(bench.exited(token).0, ExitStatus::Code(7));
    bench.emptied(token);
    assert_eq!(bench.read(token, "out"), b"ready\nheard\n");
}

fn a_grandchild_with_the_pipe_does_not_delay_the_exit() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell("(while :; do echo more; sleep 0.01; done) & echo first; exit 4");
    let (status, _, leftovers) = bench.exited(token);
    assert_eq!((status, leftovers), (ExitStatus::Code(4), true));
    bench.wait_for_output(token, "more\nmore\nmore\n");
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 10_000 });
    assert_eq!(bench.emptied(token).stdout, bench.read(token, "out").len() as u64);
    let (token, _) = bench.shell("(sleep 0.1; echo late) & exit 0");
    assert!(bench.exited(token).2);
    assert_eq!(bench.emptied(token).stdout, 5);
}

fn a_held_spool_makes_the_child_wait() {
    const ALL: u64 = 8 << 20;
    let mut bench = Bench::new();
    let mut launch = bench.request(&["/bin/sh", "-c", "head -c 8388608 /dev/zero"]);
    (launch.hold_at, launch.patience_ms) = (1 << 20, u64::MAX);
    let (token, _) = bench.launch(launch);
    let path = bench.path(token, "out");
    let mut patience = Patience::new();
    let mut given_back = 0;
    while given_back < ALL {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        // One visit and a pipe more than the limit, at most.
        assert!(metadata.len() - given_back <= 4 << 20, "{} of {given_back}", metadata.len());
        let file = fs::File::options().write(true).open(&path).unwrap();
        let (from, length) = (given_back.cast_signed(), (metadata.len() - given_back).cast_signed());
        if length > 0 {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: no memory is involved.
            unsafe { libc::fallocate(file.as_raw_fd(), mode, from, length) };
            given_back = metadata.len();
        }
        poll(bench.wake.as_raw_fd(), libc::POLLIN, 20);
        take_wakes(&bench.wake);
        patience.check("the bytes");
    }
    assert_eq!(bench.exited(token).1.stdout, ALL);
}

fn a_storm_of_forks_ends() {
    let mut bench = Bench::new();
    // Each generation leaves its group and is gone before it can be looked at; SIGTERM is ignored.
    let script = "trap '' TERM; next='(setsid sh -c \"sleep 0.01; eval \\\"\\$next\\\"\" &)'; \
                  export next; eval \"$next\"; eval \"$next\"; echo ready; sleep 1000";
    let (token, _) = bench.shell(script);
    bench.wait_for_output(token, "ready");
    let mut patience = Patience::new();
    // Beside the first shell and its long sleep.
    while bench.alive().len() < 3 {
        patience.check("the storm");
    }
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 50 });
    bench.emptied(token);
    poll(-1, 0, 50);
    assert_eq!(bench.alive(), []);
}

fn many_stops_share_their_looks() {
    let mut bench = Bench::new();
    let tokens: Vec<u64> = (0..100).map(|_| bench.shell("exec sleep 1000").0).collect();
    for token in &tokens {
        bench.send(&Request::Stop { token: *token, signal: libc::SIGTERM, grace_ms: 30_000 });
    }
    for token in tokens {
        bench.emptied(token);
    }
    assert_eq!(bench.alive(), []);
}

fn without_a_daemon_children_are_stopped_and_recorded() {
    let mut bench = Bench::new();
    let (unheard, _) = bench.shell("exit 5");
    bench.emptied(unheard);
    let (heard, _) = bench.shell("exit 6");
    bench.emptied(heard);
    bench.send(&Request::Ack { token: heard });
    let (stopped, _) = bench.shell("trap 'echo bye; exit 8' TERM; echo ready; while :; do sleep 0.05; done");
    let (stubborn, _) = bench.shell(&format!("trap '' TERM; {TREE} while :; do sleep 1005; done"));
    bench.wait_for_output(stopped, "ready");
    wait_for_tree(&bench, 6);
    bench.keeper.take().unwrap().join();
    let record = |token| ExitRecord::read(&bench.path(token, "exit"));
    assert_eq!(record(unheard).map(|r| (r.status, r.stopped_by_keeper)), Some((ExitStatus::Code(5), false)));
    assert_eq!(record(heard), None);
    let ended = record(stopped).unwrap();
    assert_eq!((ended.status, ended.stopped_by_keeper), (ExitStatus::Code(8), true));
    assert_eq!((ended.sizes.stdout, bench.read(stopped, "out").as_slice()), (10, &b"ready\nbye\n"[..]));
    let killed = ExitStatus::Signal { number: libc::SIGKILL, core: false };
    assert_eq!(record(stubborn).map(|r| r.status), Some(killed));
    assert_eq!(bench.alive(), []);
}

fn a_second_keeper_finds_the_lock_taken() {
    let bench = Bench::new();
    let (sender, _receiver) = wake_pair().unwrap();
    let second = Keeper::start(&sender, &lock_of(bench.folder.path())).unwrap();
    let mut patience = Patience::new();
    loop {
        match second.receive().unwrap() {
            Incoming::Event(Event::Locked, _) => break,
            Incoming::Empty => poll(second.as_raw_fd(), libc::POLLIN, 1_000),
            other => panic!("the keeper said {other:?}"),
        }
        patience.check("the refusal");
    }
    second.join();
}

pub(crate) fn lock_of(folder: &Path) -> PathBuf {
    folder.join("keeper.lock")
}
