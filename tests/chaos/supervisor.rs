//! A life of the daemon: the example `supervise` as a real process, and what is asked of it over HTTP.

use crate::ledger::monotonic_ns;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Longest wait for something that must happen. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An example's binary, beside this test's own.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let target = own.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = target.join("examples").join(name);
    assert!(path.exists(), "build it first: cargo build --examples");
    path
}

pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

pub(crate) fn send(pid: u32, signal: i32) {
    // SAFETY: a plain system call. Who is gone already is the business of the caller.
    unsafe { libc::kill(i32::try_from(pid).expect("a pid"), signal) };
}

/// A process is there and no zombie.
pub(crate) fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Those that have this text in their environment.
pub(crate) fn with_environment(text: &str) -> BTreeSet<u64> {
    let pids = std::fs::read_dir("/proc").expect("proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let holds = |pid: &u64| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text.as_bytes())
    };
    pids.filter(|pid| holds(pid) && lives(*pid)).collect()
}

/// A daemon that was started, and may be on its way up.
pub(crate) struct Starting {
    child: Child,
    lines: Receiver<String>,
    folder: PathBuf,
}

/// A daemon that listens.
pub(crate) struct Supervisor {
    child: Child,
    url: String,
    token: String,
    agent: ureq::Agent,
    /// When it said that it listens, by the monotonic clock.
    pub(crate) listening_ns: u64,
}

/// Nobody answered.
#[derive(Debug)]
pub(crate) struct Gone;

impl Starting {
    /// `clock` are the settings of a moved wall clock, if any.
    pub(crate) fn begin(folder: &Path, clock: &[(String, String)]) -> Self {
        let mut child = Command::new(example("supervise"))
            .args(["up", "supervise.toml", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .envs(clock.iter().cloned())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (tell, heard) = channel();
        let log = std::fs::File::options().create(true).append(true).open(folder.join("supervise.log"));
        let mut log = log.expect("a log");
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
                let _ = tell.send(line);
            }
        });
        Self { child, lines: heard, folder: folder.to_owned() }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    pub(crate) fn listening(self) -> Supervisor {
        let mut before = String::new();
        let url = loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match line.split_once("listening on ") {
                    Some((_, url)) => break url.trim().to_owned(),
                    None => before.push_str(&format!("{line}\n")),
                },
                Err(_) => panic!("it does not come up; it said:\n{before}"),
            }
        };
        let listening_ns = monotonic_ns();
        let token = std::fs::read_to_string(self.folder.join("store/token")).expect("a token");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_idle_connections(1)
            .build()
            .new_agent();
        Supervisor { child: self.child, url, token: token.trim().to_owned(), agent, listening_ns }
    }
}

/// The first child of any of its threads.
fn keeper_of(daemon: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).ok()?;
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children: String = children.collect();
    children.split_whitespace().next()?.parse().ok()
}

impl Supervisor {
    pub(crate) fn up(folder: &Path) -> Self {
        Starting::begin(folder, &[]).listening()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Which is started with the first child; another one than this, if one is given.
    pub(crate) fn keeper(&self, old: Option<u32>) -> u32 {
        let mut found = None;
        // The kernel's list may miss one while another child of the daemon goes.
        let there = within(PATIENCE, || {
            found = keeper_of(self.pid()).filter(|pid| Some(*pid) != old);
            found.is_some()
        });
        assert!(there, "it has no keeper");
        found.unwrap_or(0)
    }

    /// A command of the example to this daemon.
    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(example("supervise"));
        command.args(args).current_dir(folder).env("SUPERVISE_URL", &self.url);
        command.output().expect("it runs")
    }

    fn answer(asked: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String, Gone> {
        let mut answer = asked.map_err(|_| Gone)?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(4 << 30).read_to_vec().map_err(|_| Gone)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(status.is_success() || status.as_u16() == 409, "{status}: {text}");
        Ok(text)
    }

    fn get(&self, path: &str, accept: &str) -> Result<String, Gone> {
        let request = self.agent.get(format!("{}/api/v1{path}", self.url));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        Self::answer(request.header("accept", accept).call())
    }

    pub(crate) fn json(&self, path: &str) -> Result<Value, Gone> {
        Ok(serde_json::from_str(&self.get(path, "application/json")?).expect("JSON"))
    }

    /// What an attempt wrote to a stream, as it was written.
    pub(crate) fn output(&self, run: &str, attempt: u64, stream: &str) -> Result<String, Gone> {
        let path = format!("/logs?run={run}&attempt={attempt}&stream={stream}&dir=fwd&limit=all");
        self.get(&path, "text/plain")
    }

    /// The key makes it one run, however often it is asked for.
    pub(crate) fn run(&self, program: &str, params: &Value, key: &str) -> Result<String, Gone> {
        let request = self.agent.post(format!("{}/api/v1/programs/{program}/runs", self.url));
        let request = request
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", key)
            .content_type("application/json");
        let answer = Self::answer(request.send(json!({ "params": params }).to_string()))?;
        let run: Value = serde_json::from_str(&answer).expect("JSON");
        Ok(run["id"].as_str().unwrap_or_else(|| panic!("no run: {answer}")).to_owned())
    }

    /// Ended at once, and reaped.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    pub(crate) fn end(mut self) {
        send(self.child.id(), libc::SIGTERM);
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "an orderly end: {status:?}");
    }
}

/// A test that fails leaves no daemon behind; its keeper stops the rest.
impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it holds; `false` when it does not within this time.
pub(crate) fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = monotonic_ns() + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    while !holds() {
        if monotonic_ns() > end {
            return false;
        }
        pause(Duration::from_millis(10));
    }
    true
}
