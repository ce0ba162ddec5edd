//! A stop acts once, on what it was asked for, and outlives the daemon.

use crate::daemon::{Daemon, run};

/// A daemon whose end waits for a file, so that a test decides when it is over.
const SLOW: &str = r#"
version = 1
[store]
path = "store"
[program.svc]
command = ["sh", "-c", "trap 'while [ ! -e gate ]; do sleep 0.05; done; exit 0' TERM; echo up; while :; do sleep 0.05; done"]
restart = "always"
autostart = true
stop_timeout = "100s"
"#;

fn asked_to_stop(daemon: &Daemon) -> usize {
    daemon.ask(&["events"]).out.matches("a stop was asked for").count()
}

#[test]
fn a_stop_leaves_alone_what_was_started_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(SLOW, folder.path());
    daemon.until(&["logs", "svc"], "up");
    let stops: Vec<_> = ["one", "two"]
        .map(|_| {
            let command = daemon.command(&["stop", "svc"]);
            std::thread::spawn(move || run(command))
        })
        .into();
    daemon.until(&["status", "svc"], "stopping");
    daemon.until(&["events"], "a stop was asked for");
    assert_eq!(daemon.ask(&["start", "svc"]).code, 0);
    std::fs::write(folder.path().join("gate"), "").expect("written");
    for stop in stops {
        let said = stop.join().expect("it ends");
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("svc stopped; somebody started it again meanwhile"), "{said:?}");
    }
    daemon.until(&["status", "svc"], "running");
    assert_eq!(asked_to_stop(&daemon), 1, "two are one, and it is asked for once");
    std::fs::remove_file(folder.path().join("gate")).expect("removed");
    assert_eq!(daemon.ask(&["events"]).out.matches("attempt_started").count(), 2);
}

#[test]
fn an_operator_s_stop_outlives_the_daemon_is_shown_and_ends_with_a_start() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("gate"), "").expect("written");
    let daemon = Daemon::of(SLOW, folder.path());
    daemon.until(&["logs", "svc"], "up");
    let said = daemon.ask(&["stop", "svc"]);
    assert!(said.out.contains("until `supervise start svc`"), "{said:?}");
    assert_eq!(daemon.end(), 0);

    let daemon = Daemon::of(SLOW, folder.path());
    let row = daemon.ask(&["ps"]).out;
    assert!(row.contains("stopped by an operator, until `supervise start svc`"), "{row}");
    let why = daemon.ask(&["why", "svc"]).out;
    assert!(why.contains("stopped by an operator, which autostart does not undo"), "{why}");
    assert_eq!(daemon.ask(&["start", "svc"]).code, 0);
    daemon.until(&["status", "svc"], "running");
    assert_eq!(daemon.end(), 0);

    let daemon = Daemon::of(SLOW, folder.path());
    daemon.until(&["status", "svc"], "running");
    assert_eq!(daemon.end(), 0);
}
