//! SIGHUP: a new file is taken up, a broken one changes nothing, and no living run is touched.

use crate::daemon::Daemon;

fn config(word: &str, more: &str) -> String {
    format!(
        "version = 1\n[store]\npath = \"store\"\n[program.daemon]\ncommand = [\"sh\", \"-c\", \"echo {word}; exec sleep 1000\"]\n\
         restart = \"always\"\nautostart = true\n{more}"
    )
}

/// The process id that `ps` shows.
fn pid(daemon: &Daemon) -> i64 {
    let said = daemon.until(&["status", "daemon", "-o", "json"], "\"pid\": ");
    let status: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    status["living"][0]["pid"].as_i64().expect("it lives")
}

#[test]
fn a_reload_changes_what_comes_next_and_touches_nothing_that_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(&config("before", ""), folder.path());
    daemon.until(&["logs", "daemon"], "before");
    let first = pid(&daemon);
    let write = |text: &str| std::fs::write(folder.path().join("supervise.toml"), text).expect("written");

    write(&config("never", "[program.late]\ncomand = [\"true\"]\n"));
    daemon.signal(libc::SIGHUP);
    daemon.hear("configuration not reloaded");
    daemon.hear("did you mean `command`?");
    assert_eq!(pid(&daemon), first, "a broken file changes nothing, and hides no store from the commands");

    write(&config("after", "[program.late]\ncommand = [\"true\"]\n"));
    daemon.signal(libc::SIGHUP);
    daemon.hear("configuration reloaded");
    assert_eq!(daemon.ask(&["run", "late", "--wait"]).code, 0, "what is new can be started");
    assert_eq!(pid(&daemon), first, "what lives is not touched");
    assert!(!daemon.ask(&["logs", "daemon"]).out.contains("after"));
    assert_eq!(daemon.ask(&["restart", "daemon"]).code, 0);
    daemon.until(&["logs", "daemon"], "after");
    assert_ne!(pid(&daemon), first);

    // What lives of a program that is gone goes on, is seen and can be stopped.
    write("version = 1\n[store]\npath = \"store\"\n[program.late]\ncommand = [\"true\"]\n");
    let second = pid(&daemon);
    daemon.signal(libc::SIGHUP);
    daemon.hear("removed=1 (1 run lives of daemon: stop it with `supervise stop daemon`)");
    let living = format!("/proc/{second}");
    assert!(std::path::Path::new(&living).exists(), "the run of a removed program goes on");
    let row = daemon.ask(&["ps"]).out;
    assert!(row.contains("daemon") && row.contains("removed from the configuration"), "{row}");
    assert!(daemon.ask(&["status"]).out.contains("1 run lives of a program that was removed"));
    assert!(daemon.ask(&["status", "daemon"]).out.contains("not started again once it ends"));
    assert!(daemon.ask(&["why", "daemon"]).out.contains("its program is no longer configured"));
    assert_eq!((daemon.ask(&["start", "daemon"]).code, daemon.ask(&["run", "daemon"]).code), (4, 4));
    assert_eq!(daemon.ask(&["stop", "daemon"]).code, 0);
    assert!(!std::path::Path::new(&living).exists(), "it is stopped by its name");
    assert_eq!(daemon.ask(&["stop", "daemon"]).code, 4, "and now it is unknown");
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_removed_program_is_not_restarted_and_the_next_daemon_says_that_it_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let two = config(
        "first",
        "[program.other]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"always\"\nautostart = true\n",
    );
    let daemon = Daemon::of(&two, folder.path());
    daemon.until(&["ps"], "other");
    let write = |text: &str| std::fs::write(folder.path().join("supervise.toml"), text).expect("written");
    write("version = 1\n[store]\npath = \"store\"\n");
    daemon.until(&["logs", "daemon"], "first");
    let first = pid(&daemon);
    daemon.signal(libc::SIGHUP);
    daemon.hear("removed=2 (1 run lives of daemon");
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(i32::try_from(first).expect("a pid"), libc::SIGKILL) }, 0);
    let ended = daemon.until(&["events"], "run_ended").out;
    assert!(ended.contains("program_removed") && !ended.contains("retry_scheduled"), "{ended}");
    assert_eq!(daemon.end(), 0);
    let daemon = Daemon::of("version = 1\n[store]\npath = \"store\"\n", folder.path());
    daemon.until(&["events"], "other is no longer configured");
    assert_eq!(daemon.end(), 0);
}
