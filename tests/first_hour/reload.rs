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

    // A program that is gone finishes its runs.
    write("version = 1\n[store]\npath = \"store\"\n[program.late]\ncommand = [\"true\"]\n");
    let second = pid(&daemon);
    daemon.signal(libc::SIGHUP);
    daemon.hear("configuration reloaded");
    let living = format!("/proc/{second}");
    assert!(std::path::Path::new(&living).exists(), "the run of a removed program goes on");
    assert_eq!(daemon.end(), 0);
    assert!(!std::path::Path::new(&living).exists(), "and is stopped with the daemon");
}
