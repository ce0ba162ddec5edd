//! Files that users name lead anywhere: to pipes that nobody writes, to devices without an end. Nobody waits for them.

use crate::{
    bench_of_one::PATIENCE,
    death::{Daemon, supervise, until},
};
use std::{
    ffi::CString,
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) fn pipe(path: &Path) {
    let name = CString::new(path.to_str().expect("text")).expect("no NUL");
    // SAFETY: the name is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// What a command says to standard error, and its exit code. One that hangs is killed, and fails the test.
#[track_caller]
fn said(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(supervise());
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let begun = Instant::now();
    while child.try_wait().expect("a child of ours").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
            panic!("{args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    (child.wait().expect("it ended").code(), text)
}

#[test]
fn check_and_simulate_answer_at_once_wherever_a_path_leads() {
    let folder = tempfile::tempdir().expect("a folder");
    pipe(&folder.path().join("pipe"));
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("good.toml", "[program.p]\ncommand = [\"true\"]\n");
    for (name, path) in [("a.toml", "pipe"), ("b.toml", "/dev/zero"), ("c.toml", "/proc/kmsg")] {
        write(name, &format!("include = [{path:?}]\n"));
    }
    for (args, word) in [
        (&["check", "pipe"][..], "is a pipe, no regular file"),
        (&["check", "/dev/zero"], "is a device"),
        (&["check", "/dev/tty"], "is a device"),
        (&["check", "/proc/kmsg"], "made by the kernel"),
        (&["check", "a.toml"], "is a pipe"),
        (&["check", "b.toml"], "is a device"),
        (&["check", "c.toml"], "made by the kernel"),
        (&["simulate", "--scenario", "pipe", "--config", "good.toml"], "is a pipe"),
        (&["simulate", "--scenario", "good.toml", "--config", "pipe"], "is a pipe"),
        (&["up", "pipe"], "is a pipe"),
        (&["ps", "--url", "http://127.0.0.1:1", "--file", "pipe"], "no daemon answers"),
    ] {
        let (code, text) = said(folder.path(), args);
        assert!(code.is_some_and(|code| code != 0) && text.contains(word), "{args:?}: {code:?} {text}");
    }
}

#[test]
fn an_env_file_without_an_end_fails_its_own_start_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    pipe(&folder.path().join("pipe"));
    let with = |name: &str, file: &str| {
        format!("[program.{name}]\ncommand = [\"echo\", \"x\"]\nenv_file = {file:?}\n")
    };
    let config =
        [with("pipe", "pipe"), with("zero", "/dev/zero"), with("own", "/proc/self/environ")].concat();
    let config = format!("[store]\npath = \"store\"\n[program.fine]\ncommand = [\"true\"]\n{config}");
    fs::write(folder.path().join("supervise.toml"), config).expect("written");
    let daemon = Daemon::up(folder.path());
    for (name, word) in
        [("pipe", "is a pipe, no regular file"), ("zero", "is a device"), ("own", "made by the kernel")]
    {
        assert_eq!(daemon.answer(&["run", name, "--wait"]).status.code(), Some(1), "{name}");
        let why = daemon.cli(&["why", name]);
        assert!(why.contains(word) && why.contains("spawn_permanent"), "{name}: {why}");
        assert_eq!(daemon.answer(&["run", "fine", "--wait"]).status.code(), Some(0), "after {name}");
    }
    daemon.end();
}

#[test]
fn a_reload_that_includes_a_pipe_changes_nothing_and_an_end_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    pipe(&folder.path().join("pipe"));
    let file = folder.path().join("supervise.toml");
    let good = "[store]\npath = \"store\"\n[program.p]\ncommand = [\"true\"]\n";
    fs::write(&file, good).expect("written");
    let daemon = Daemon::up(folder.path());
    let hang_up = || {
        // SAFETY: the pid is of a child of ours that is not reaped yet.
        assert_eq!(unsafe { libc::kill(daemon.pid() as i32, libc::SIGHUP) }, 0);
    };
    fs::write(&file, format!("include = [\"pipe\"]\n{good}")).expect("written");
    hang_up();
    assert_eq!(daemon.answer(&["run", "p", "--wait"]).status.code(), Some(0));
    fs::write(&file, format!("{good}[program.late]\ncommand = [\"true\"]\n")).expect("written");
    hang_up();
    until("the file that is mended is read", || daemon.answer(&["run", "late", "--wait"]).status.success());
    daemon.end();
}
