//! Colours: on a terminal, and nowhere else.

use crate::daemon::Daemon;
use std::{
    fs::File,
    io::Read,
    os::fd::{FromRawFd, OwnedFd},
    process::{Command, Stdio},
};

/// Both ends of a terminal that nobody looks at.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: both numbers are written by the call, which takes nothing else of ours.
    let opened = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null, null.cast(), null.cast()) };
    assert_eq!(opened, 0, "a terminal");
    // SAFETY: both descriptors were just made and belong to nobody else.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// What a command writes to a terminal.
fn seen(mut command: Command) -> String {
    let (mut ours, theirs) = terminal();
    let mut child = command.stdout(theirs).stderr(Stdio::null()).spawn().expect("it starts");
    drop(command); // Our copy of their end: reading ends when the last one is closed.
    let mut bytes = Vec::new();
    let _ = ours.read_to_end(&mut bytes); // The end of a terminal is an error, EIO.
    assert!(child.wait().expect("it ends").success());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_terminal_gets_colours_unless_it_is_dumb_or_somebody_wants_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(
        "version = 1\n[store]\npath = \"store\"\n[program.job]\ncommand = [\"echo\", \"hello\"]\n",
        folder.path(),
    );
    assert_eq!(daemon.ask(&["run", "job", "--wait"]).code, 0);
    for verb in [&["ps"][..], &["status", "job"], &["why", "job"], &["logs", "job"], &["breaker"]] {
        let with = |settings: &[(&str, &str)]| {
            let mut command = daemon.command(verb);
            command.envs(settings.iter().copied());
            seen(command).contains('\u{1b}')
        };
        assert!(with(&[("TERM", "xterm")]), "{verb:?} on a terminal");
        assert!(!with(&[("TERM", "xterm"), ("NO_COLOR", "1")]), "{verb:?} with NO_COLOR");
        assert!(!with(&[("TERM", "dumb")]), "{verb:?} on a dumb terminal");
        assert!(!daemon.ask(verb).out.contains('\u{1b}'), "{verb:?} through a pipe");
    }
    assert_eq!(daemon.end(), 0);
}
