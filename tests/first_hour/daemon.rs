//! A daemon in a folder of its own, and commands that are given to it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

/// Longest wait for something that must happen. Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An example's binary, beside this test's own.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let target = own.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = target.join("examples").join(name);
    assert!(path.exists(), "build it first: cargo build --example {name}");
    path
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command of the example, without the caller's settings.
pub(crate) fn supervise(folder: &Path) -> Command {
    let mut command = Command::new(example("supervise"));
    command.current_dir(folder).stdin(Stdio::null());
    for name in ["SUPERVISE_URL", "SUPERVISE_TOKEN", "RUST_LOG", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Said {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // What a signal ended has no code; no row expects that.
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A running `supervise up`.
pub(crate) struct Daemon {
    child: Child,
    said: Receiver<String>,
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

impl Daemon {
    /// The command must be an `up` that listens on a free port; it is waited for until it does.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (tell, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        let mut daemon = Self { child, said, url: String::new(), folder: folder.to_owned() };
        let line = daemon.hear("listening on ");
        let (_, url) = line.split_once("listening on ").expect("it was looked for");
        daemon.url = url.trim().to_owned();
        daemon
    }

    /// A daemon for this text of a `supervise.toml`.
    pub(crate) fn of(config: &str, folder: &Path) -> Self {
        std::fs::write(folder.join("supervise.toml"), config).expect("written");
        let mut command = supervise(folder);
        command.args(["up", "--listen", "127.0.0.1:0"]);
        Self::start(command, folder)
    }

    /// The next line of its standard error that has these words.
    pub(crate) fn hear(&self, words: &str) -> String {
        self.hear_all(words).pop().expect("it was heard")
    }

    /// The lines until one has these words.
    pub(crate) fn hear_all(&self, words: &str) -> Vec<String> {
        let begun = Instant::now();
        let mut before = Vec::new();
        loop {
            let line = self.said.recv_timeout(PATIENCE.saturating_sub(begun.elapsed()));
            let Ok(line) = line else { panic!("`{words}` was not said; said was:\n{}", before.join("\n")) };
            let heard = line.contains(words);
            before.push(line);
            if heard {
                return before;
            }
        }
    }

    /// A command to this daemon, as a stranger types it in the daemon's folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = supervise(&self.folder);
        command.args(args).env("SUPERVISE_URL", &self.url);
        command
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Said {
        run(self.command(args))
    }

    /// Asks until the answer has these words.
    pub(crate) fn until(&self, args: &[&str], words: &str) -> Said {
        let begun = Instant::now();
        loop {
            let said = self.ask(args);
            if said.out.contains(words) {
                return said;
            }
            assert!(begun.elapsed() < PATIENCE, "`{words}` does not come to be in {args:?}: {said:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The first line that a command says which goes on for ever, and then its end.
    pub(crate) fn first_line(&self, args: &[&str]) -> String {
        let mut child =
            self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        line
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: the pid is of a child of ours that is not reaped yet.
        let sent = unsafe { libc::kill(i32::try_from(self.child.id()).expect("a pid"), signal) };
        assert_eq!(sent, 0);
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.signal(libc::SIGTERM);
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

/// A test that fails leaves no daemon behind; its keeper stops the rest.
impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
