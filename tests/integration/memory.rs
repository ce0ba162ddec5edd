//! What a burst of output and its reading took of memory is given back once things are quiet.
//!
//! `cargo test --test integration memory_is_given_back -- --ignored --nocapture` prints the figures; `DUMP_MIB` changes how
//! much one dump writes (default 64).

use crate::death::{Daemon, supervise};
use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// What output and its first reading may leave in KiB, however much it was: the newest segment, which grows to 24 MiB on the
/// disk, with what sled keeps of its pages and our list of its chunks. 29 MiB were measured for 770 MB of lines.
const HEAD: u64 = 36 << 10;

/// What more of the same may add to it in KiB: the head has not always grown as far, and glibc keeps some between what is in use.
const AGAIN: u64 = 10 << 10;

/// Things are quiet after two seconds and what readers opened is closed after three; this is generous.
const QUIET: Duration = Duration::from_secs(20);

/// When nearly all of it is back, so that the figure is one.
const SOON: Duration = Duration::from_secs(6);

/// Anonymous memory of the daemon in KiB, by this key of its status: now, or at most.
fn memory(daemon: &Daemon, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A command of ours whose output nobody keeps.
fn asks(daemon: &Daemon, args: &[&str]) {
    let mut command = Command::new(supervise());
    let command = command.args(args).env("SUPERVISE_URL", daemon.url()).current_dir(daemon.folder());
    let status = command.stdout(Stdio::null()).status().expect("it runs");
    assert!(status.success(), "{args:?}: {status:?}");
}

/// Does it, and waits until memory is not much above what it was. What it is then.
fn comes_back(daemon: &Daemon, most: u64, what: &str, act: impl FnOnce()) -> u64 {
    act();
    let (after, begun) = (memory(daemon, "RssAnon"), Instant::now());
    sleep(SOON);
    let mut now = memory(daemon, "RssAnon");
    while now > most && begun.elapsed() < QUIET {
        sleep(Duration::from_millis(200));
        now = memory(daemon, "RssAnon");
    }
    let (hwm, took) = (memory(daemon, "VmHWM"), begun.elapsed().as_secs_f64());
    eprintln!("{what}: {after} KiB at its end, {now} KiB {took:.1} s later; {most} allowed, VmHWM {hwm}");
    assert!(now <= most, "{what}: {now} KiB stay, {most} are allowed");
    now
}

#[test]
#[ignore = "writes and reads some hundred megabytes; prints figures"]
fn memory_is_given_back_after_dumps_and_full_reads() {
    let mib: u64 = std::env::var("DUMP_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(64);
    let folder = tempfile::tempdir().expect("a folder");
    let lines = mib * (1 << 20) / 100;
    let text = "a line of a dump that is as long as lines of programs are, with a number at its end: %010.0f";
    let config = format!(
        "version = 1\n[store]\npath = \"store\"\n[program.small]\ncommand = [\"echo\", \"well\"]\n\
         [program.dump]\ncommand = [\"seq\", \"-f\", \"{text}\", \"{lines}\"]\n"
    );
    std::fs::write(folder.path().join("supervise.toml"), config).expect("written");
    let daemon = Daemon::up(folder.path());
    asks(&daemon, &["run", "small", "--wait"]);
    asks(&daemon, &["logs", "small", "-n", "all"]);
    sleep(Duration::from_secs(5));
    let mut most = memory(&daemon, "RssAnon") + HEAD;
    for round in [1, 2] {
        comes_back(&daemon, most, "three dumps", || {
            (0..3).for_each(|_| asks(&daemon, &["run", "dump", "--wait"]));
        });
        comes_back(&daemon, most, "all output", || {
            asks(&daemon, &["logs", "dump", "-n", "all", "-o", "cat"]);
        });
        comes_back(&daemon, most, "a search of all", || {
            asks(&daemon, &["logs", "dump", "-n", "all", "-g", "end: 0000000001$"]);
        });
        let now = comes_back(&daemon, most, "all output as JSON", || {
            asks(&daemon, &["logs", "dump", "-n", "all", "-o", "json"]);
        });
        if round == 1 {
            most = now + AGAIN;
        }
    }
    daemon.end();
}
