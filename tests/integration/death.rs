//! The supervisor dies: nobody of the trees is left behind, all output is in the store, the journal tells what happened.

use crate::{
    bench_of_one::PATIENCE,
    stop::{mark, marked},
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The example binary, beside this test's own.
pub(crate) fn supervise() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let target = own.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = target.join("examples/supervise");
    assert!(path.exists(), "build it first: cargo build --example supervise");
    path
}

pub(crate) struct Daemon {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Daemon {
    pub(crate) fn up(folder: &Path) -> Self {
        Self::up_limited(folder, ":")
    }

    /// After this line of shell, such as `ulimit -n 64`.
    pub(crate) fn up_limited(folder: &Path, limit: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$@\""), "sh"]).arg(supervise());
        Self::up_by(command, folder)
    }

    /// By a command that lacks the words from `up` on.
    pub(crate) fn up_by(mut command: Command, folder: &Path) -> Self {
        let mut child = command
            .args(["up", "supervise.toml", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = loop {
            let line = lines.next().expect("it says where it listens").expect("text");
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.split_whitespace().next().expect("an address").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop)); // So that it never writes into a full pipe.
        Self { child, url, folder: folder.to_owned() }
    }

    pub(crate) fn cli(&self, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.answer(args).stdout).into_owned()
    }

    pub(crate) fn answer(&self, args: &[&str]) -> Output {
        let run = Command::new(supervise())
            .args(args)
            .current_dir(&self.folder)
            .env("SUPERVISE_URL", &self.url)
            .output();
        run.expect("it runs")
    }

    pub(crate) fn logged(&self, program: &str) -> Vec<String> {
        self.cli(&["logs", program, "-n", "all", "-o", "cat"]).lines().map(str::to_owned).collect()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The answer of `/healthz`, which needs no token.
    pub(crate) fn health(&self) -> String {
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is answered");
        answer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn keeper(&self) -> i32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it has threads");
        let children =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let children: String = children.collect();
        children.split_whitespace().next().expect("the keeper").parse().expect("a pid")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    pub(crate) fn end(mut self) {
        // SAFETY: the pid is of a child of ours that is not reaped yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "an orderly end: {status:?}");
    }
}

/// A test that fails leaves no daemon behind; its keeper stops the rest.
impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes numbered lines into its output and, so that the test knows what was written, as many empty ones into a file.
const WRITER: &str = r#"
n=0
while :; do
    echo "line $$ $n"
    n=$((n + 1))
    echo >>"written.$$"
    [ $((n % 10)) != 0 ] || sleep 0.02
done
"#;

fn configure(folder: &Path, mark: &str) {
    std::fs::write(folder.join("writer.sh"), WRITER).expect("written");
    let config = format!(
        r#"
version = 1
[store]
path = "store"
[program.writer]
command = ["sh", "-c", "setsid sleep 1000 & exec sh writer.sh"]
env = {{ TREE_MARK = "{mark}" }}
autostart = true
stop_timeout = "2s"
"#
    );
    std::fs::write(folder.join("supervise.toml"), config).expect("written");
}

/// What each process of the writer says it wrote.
fn written(folder: &Path) -> Vec<(String, u64)> {
    let files = std::fs::read_dir(folder).expect("a folder").filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid = path.file_name()?.to_str()?.strip_prefix("written.")?.to_owned();
        let count = std::fs::read(&path).ok()?.len() as u64;
        Some((pid, count))
    });
    files.collect()
}

/// Every line that a process counted is stored once and in order. It may have written one more than it counted.
#[track_caller]
fn assert_complete(daemon: &Daemon, folder: &Path, dead: &BTreeSet<String>) {
    let lines = daemon.logged("writer");
    for (pid, count) in written(folder).into_iter().filter(|(pid, _)| dead.contains(pid)) {
        let prefix = format!("line {pid} ");
        let found: Vec<u64> =
            lines.iter().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        let expected: Vec<u64> = (0..found.len() as u64).collect();
        assert_eq!(found, expected, "once and in order");
        let kept = found.len() as u64;
        assert!(kept == count || kept == count + 1, "{pid} wrote {count}, {kept} are kept");
    }
}

#[test]
fn when_the_daemon_is_killed_the_keeper_stops_the_trees_and_keeps_their_output() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("daemon-death"));
    configure(folder.path(), &mark);
    let daemon = Daemon::up(folder.path());
    until("output", || written(folder.path()).iter().any(|(_, count)| *count > 200));
    daemon.kill();
    until("the end of the trees", || marked(&mark).is_empty());
    let dead: BTreeSet<_> = written(folder.path()).into_iter().map(|(pid, _)| pid).collect();

    let daemon = Daemon::up(folder.path());
    assert_complete(&daemon, folder.path(), &dead);
    until("the next attempt", || written(folder.path()).len() > dead.len());
    let events = daemon.cli(&["events"]);
    for part in ["supervisor_restarted", "\"class\":\"lost\"", "attempt_started"] {
        assert!(events.contains(part), "the journal does not tell {part}: {events}");
    }
    daemon.end();
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[test]
fn when_the_keeper_is_killed_the_daemon_stops_the_trees_and_starts_another() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("keeper-death"));
    configure(folder.path(), &mark);
    let daemon = Daemon::up(folder.path());
    until("output", || written(folder.path()).iter().any(|(_, count)| *count > 200));
    let (old, first): (_, BTreeSet<_>) =
        (daemon.keeper(), written(folder.path()).into_iter().map(|(pid, _)| pid).collect());
    // SAFETY: the keeper is a child of the daemon, which has not reaped it.
    unsafe { libc::kill(old, libc::SIGKILL) };
    until("the next attempt", || written(folder.path()).len() > first.len());
    for pid in &first {
        assert!(!marked(&mark).contains(&pid.parse().expect("a pid")), "the old writer is gone");
    }
    assert_complete(&daemon, folder.path(), &first);
    assert!(daemon.cli(&["events"]).contains("keeper_lost"), "the journal tells of it");
    assert_ne!(daemon.keeper(), old);
    daemon.end();
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[test]
fn when_both_are_killed_the_next_daemon_stops_the_trees_and_rescues_their_pipes() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("both-die"));
    configure(folder.path(), &mark);
    let daemon = Daemon::up(folder.path());
    until("output", || written(folder.path()).iter().any(|(_, count)| *count > 200));
    let keeper = daemon.keeper();
    // SAFETY: both are alive: the daemon is our child, the keeper its own.
    unsafe {
        libc::kill(daemon.child.id() as i32, libc::SIGKILL);
        libc::kill(keeper, libc::SIGKILL);
    }
    daemon.kill();
    let first: BTreeSet<_> = written(folder.path()).into_iter().map(|(pid, _)| pid).collect();
    let daemon = Daemon::up(folder.path());
    until("the next attempt", || written(folder.path()).len() > first.len());
    for pid in &first {
        assert!(!marked(&mark).contains(&pid.parse().expect("a pid")), "the old writer is gone");
    }
    assert_complete(&daemon, folder.path(), &first);
    daemon.end();
    assert_eq!(marked(&mark), BTreeSet::new());
}
