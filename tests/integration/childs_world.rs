//! What a child finds: the limits, variables, folder and signals that a program started by hand would have, and nothing of ours.

use crate::death::{Daemon, supervise};
use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

/// A user without rights.
const NOBODY: u32 = 65_534;

fn write(folder: &Path, programs: &str) {
    let text = format!("version = 1\n[store]\npath = \"store\"\n{programs}");
    fs::write(folder.join("supervise.toml"), text).expect("written");
}

/// A program `p` that runs this line of shell.
fn shell(line: &str) -> String {
    format!("[program.p]\ncommand = [\"sh\", \"-c\", {:?}]\n", line.replace('{', "{{").replace('}', "}}"))
}

fn lines(daemon: &Daemon) -> Vec<String> {
    let said = daemon.answer(&["run", "p", "--wait"]);
    assert!(said.status.success(), "{said:?}");
    daemon.logged("p")
}

#[test]
fn children_get_the_limit_of_descriptors_that_the_daemon_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &shell("ulimit -Sn; ulimit -Hn"));
    let daemon = Daemon::up_limited(folder.path(), "ulimit -Sn 777 && ulimit -Hn 900");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it lives");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is listed");
    assert!(files.contains(" 900 "), "the daemon raises its own: {files}");
    assert_eq!(lines(&daemon), ["777", "900"]);
    daemon.end();
}

#[test]
fn what_was_said_to_the_daemon_is_not_said_to_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "env | cut -d= -f1 | grep -E '^(NOTIFY|WATCHDOG|LISTEN|MAINPID|INVOCATION|JOURNAL|SUPERVISE_TOKEN|OLDPWD|ACTIX)'";
    let own = "[program.p.env]\nLISTEN_FDS = \"0\"\n";
    write(folder.path(), &(shell(line) + own));
    let daemon = Daemon::up_limited(
        folder.path(),
        "export NOTIFY_SOCKET=/nowhere WATCHDOG_USEC=1 WATCHDOG_PID=1 LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=x \
         MAINPID=1 INVOCATION_ID=x JOURNAL_STREAM=1:2 SUPERVISE_TOKEN=x OLDPWD=/",
    );
    let mut found = lines(&daemon);
    found.sort();
    assert_eq!(found, ["ACTIX_PROCESS", "LISTEN_FDS"], "the tag, and what the program itself is given");
    daemon.end();
}

#[test]
fn pwd_is_the_folder_that_the_child_is_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there");
    fs::create_dir_all(real.join("sub/deep")).expect("made");
    std::os::unix::fs::symlink("sub", real.join("link")).expect("linked");
    let program = |name: &str, cwd: &str| {
        format!("[program.{name}]\ncommand = [\"printenv\", \"PWD\"]\ncwd = {cwd:?}\n")
    };
    write(&real, &[program("plain", "sub"), program("up", "sub/deep/.."), program("by", "link")].concat());
    let daemon = Daemon::up_limited(&real, "export PWD=/somewhere/else");
    for (name, expected) in [("plain", "sub"), ("up", "sub"), ("by", "link")] {
        assert!(daemon.answer(&["run", name, "--wait"]).status.success(), "{name}");
        assert_eq!(daemon.logged(name), [real.join(expected).display().to_string()], "{name}");
    }
    daemon.end();
}

#[test]
fn a_daemon_that_was_started_with_signals_blocked_hears_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &shell("grep SigBlk /proc/self/status | tr -d '[:space:]'; echo"));
    let mut command = Command::new(supervise());
    // SAFETY: between fork and exec only functions are called that may be called there.
    unsafe {
        command.pre_exec(|| {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            Ok(())
        });
    }
    let daemon = Daemon::up_by(command, folder.path());
    let none = "0".repeat(16);
    assert_eq!(lines(&daemon), [format!("SigBlk:{none}")]);
    daemon.end();
}

#[test]
fn children_go_before_us_when_memory_runs_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let rank = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("it lives");
        text.trim().parse::<i64>().expect("a number")
    };
    // The keeper says it right after the child has begun.
    let line = "read own < /proc/$PPID/oom_score_adj; while read rank < /proc/$$/oom_score_adj; [ $rank = $own ]; do \
                sleep 0.01; done; echo $own $rank";
    write(folder.path(), &shell(line));
    let daemon = Daemon::up(folder.path());
    let ours = rank(daemon.pid());
    assert_eq!(lines(&daemon), [format!("{ours} {}", (ours + 200).min(1_000))], "its keeper, and itself");
    daemon.end();
}

#[test]
fn a_child_of_the_same_user_cannot_look_into_daemon_or_keeper() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "cat /proc/$PPID/environ >/dev/null 2>&1 && echo keeper; ls /proc/$PPID/fd >/dev/null 2>&1 && echo descriptors; \
                read status < /proc/$PPID/stat; set -- $status; cat /proc/$4/environ >/dev/null 2>&1 && echo daemon; \
                cat /proc/$$/environ >/dev/null && echo itself";
    write(folder.path(), &shell(line));
    // Root may look into everybody: only somebody else can show it.
    // SAFETY: no memory is involved.
    let root = unsafe { libc::geteuid() } == 0;
    let binary = folder.path().join("supervise");
    fs::copy(supervise(), &binary).expect("copied");
    let mut command = Command::new(&binary);
    if root {
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("set");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        command.uid(NOBODY).gid(NOBODY);
    }
    let daemon = Daemon::up_by(command, folder.path());
    assert_eq!(lines(&daemon), ["itself"], "and a child may be looked into, as any program");
    daemon.end();
}

#[test]
fn a_real_time_signal_has_a_name_and_an_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        &(shell("kill -$1 $$")
            + "args = [\"sh\", \"{n}\"]\n[program.p.params.n]\ntype = \"integer\"\n[program.p.retry]\nmax_retries = 0\n"),
    );
    let daemon = Daemon::up(folder.path());
    for (number, name) in [(34, "SIGRTMIN"), (40, "SIGRTMIN+6"), (64, "SIGRTMIN+30")] {
        let said = daemon.answer(&["run", "p", &format!("n={number}"), "--wait"]);
        assert_eq!(said.status.code(), Some(128 + number), "{said:?}");
        let why = daemon.cli(&["why", "p"]);
        assert!(why.contains(&format!("was ended by {name} after")), "{why}");
    }
    daemon.end();
}
