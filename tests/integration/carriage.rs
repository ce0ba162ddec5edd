//! The keeper and the way of the output: what no spool takes, who signals the keeper, a keeper that stands still, floods.

use crate::death::{Daemon, until};
use std::{fs, path::Path};

fn configure(folder: &Path, programs: &str) {
    let config = format!("version = 1\n[store]\npath = \"store\"\n[defaults]\nrestart = \"no\"\n{programs}");
    fs::write(folder.join("supervise.toml"), config).expect("written");
}

/// A spool folder that is a file: nothing can be written there, by whomever.
fn block(folder: &Path) {
    let spool = folder.join("store/spool");
    fs::remove_dir_all(&spool).expect("removed");
    fs::write(&spool, "in the way").expect("written");
}

fn unblock(folder: &Path) {
    fs::remove_file(folder.join("store/spool")).expect("removed");
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: the keeper is a child of the daemon, which has not reaped it.
    unsafe { libc::kill(pid, signal) };
}

const LIMITED: &str = "[program.q]\ncommand = [\"sh\", \"-c\", \"echo HTTP 429; exit 1\"]\n";

#[test]
fn a_spool_folder_that_a_cleaner_removed_costs_no_line() {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), LIMITED);
    let daemon = Daemon::up(folder.path());
    fs::remove_dir_all(folder.path().join("store/spool")).expect("removed");
    daemon.cli(&["run", "q", "--wait"]);
    assert!(daemon.cli(&["events"]).contains("\"class\":\"rate_limited\""));
    assert_eq!(daemon.logged("q"), ["HTTP 429"]);
    daemon.end();
}

#[test]
fn output_without_a_place_is_never_called_complete_and_is_kept_until_there_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let flood =
        "[program.flood]\ncommand = [\"seq\", \"1\", \"300000\"]\noutput = { on_backlog = \"block\" }\n";
    configure(folder.path(), &format!("{LIMITED}{flood}"));
    let daemon = Daemon::up(folder.path());
    block(folder.path());
    daemon.cli(&["run", "flood"]);
    until("it says what the output waits for", || {
        daemon.cli(&["why", "flood"]).contains("its output waits") && daemon.health().contains("degraded")
    });
    assert!(daemon.cli(&["status"]).contains("its spool takes nothing: Not a directory"));
    daemon.cli(&["run", "q"]);
    let end = |events: &str| events.lines().find(|line| line.contains("\"exit\":1")).map(str::to_owned);
    until("its end", || end(&daemon.cli(&["events"])).is_some());
    let ended = end(&daemon.cli(&["events"])).expect("seen");
    assert!(ended.contains("\"output_complete\":false") && ended.contains("\"unspooled\":9"), "{ended}");
    assert!(daemon.cli(&["why", "q"]).contains("(no disk took 9 bytes of its output)"));
    unblock(folder.path());
    until("the line", || daemon.logged("q") == ["HTTP 429"]);
    until("the flood", || daemon.logged("flood").len() == 300_000);
    until("all is well", || daemon.health().contains("\"ok\""));
    daemon.end();
}

#[test]
fn output_that_is_given_up_is_a_counted_gap_and_an_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let talk = "[program.talk]\ncommand = [\"sh\", \"-c\", \"echo one; read -r word <gate; echo two; echo three; \
                exec sleep 1000\"]\n[program.after]\ncommand = [\"true\"]\n";
    configure(folder.path(), talk);
    let gate = crate::bench_of_one::Gate::new(folder.path());
    let daemon = Daemon::up(folder.path());
    block(folder.path());
    daemon.cli(&["run", "talk"]);
    until("what it waits for", || daemon.cli(&["why", "talk"]).contains("its output waits"));
    gate.open();
    daemon.cli(&["stop", "talk"]);
    until("the loss", || daemon.cli(&["events"]).contains("output_lost"));
    let said = daemon.logged("talk");
    let lost = |lines: &str| said.len() == 1 && said.iter().all(|line| line.starts_with(lines));
    // It may have been stopped before it said the rest.
    assert!(lost("[3 lines (14 bytes) are lost") || lost("[1 lines (4 bytes) are lost"), "{said:?}");
    daemon.end();
}

#[test]
fn a_run_that_kills_the_keeper_each_time_is_left_alone_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = "[program.tick]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"always\"\n\
        [program.killer]\ncommand = [\"sh\", \"-c\", \"kill -KILL $PPID; sleep 1000\"]\n\
        restart = \"on-failure\"\nretry = { max_retries = 0, delay = \"2s\", min_delay = \"2s\", jitter = \"none\" }\n";
    configure(folder.path(), programs);
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "tick"]);
    daemon.cli(&["run", "killer"]);
    until("the quarantine", || daemon.cli(&["why", "killer"]).contains("is quarantined"));
    let events = daemon.cli(&["events"]);
    assert!(events.contains("\"end_reason\":\"keeper_lost\""), "{events}");
    until("the other one", || daemon.cli(&["ps"]).contains("running"));
    daemon.end();
}

#[test]
fn a_keeper_that_stands_still_is_told_of_until_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    configure(
        folder.path(),
        "[program.quick]\ncommand = [\"true\"]\n[program.tick]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "tick"]);
    until("a keeper", || daemon.cli(&["ps"]).contains("running"));
    let keeper = daemon.keeper();
    signal(keeper, libc::SIGSTOP);
    daemon.cli(&["run", "quick"]);
    let words = "the keeper does not answer since";
    until("it is noticed", || daemon.health().contains("degraded") && daemon.health().contains(words));
    assert!(daemon.cli(&["status"]).contains(words));
    assert!(daemon.cli(&["why", "quick"]).contains(words));
    signal(keeper, libc::SIGCONT);
    until("all is well", || daemon.health().contains("\"ok\""));
    until("the run", || daemon.cli(&["why", "quick"]).contains("succeeded"));
    let events = daemon.cli(&["events"]);
    assert!(events.contains("\"keeper_silent\"") && events.contains("\"keeper_answers\""), "{events}");
    daemon.end();
}

#[test]
fn a_flood_is_kept_to_the_last_line_by_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let flood = "[program.flood]\ncommand = [\"seq\", \"1\", \"200000\"]\noutput = { backlog = \"64KiB\" }\n";
    configure(folder.path(), flood);
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "flood"]);
    until("all lines", || daemon.cli(&["logs", "flood", "-n", "1", "-o", "cat"]) == "200000\n");
    let lines = daemon.logged("flood");
    assert!(lines.iter().enumerate().all(|(n, line)| *line == (n + 1).to_string()), "every line");
    assert_eq!(lines.len(), 200_000);
    daemon.end();
}

#[test]
fn an_end_does_not_wait_for_a_keeper_that_stands_still() {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), "[program.tick]\ncommand = [\"sh\", \"-c\", \"echo up; exec sleep 1000\"]\n");
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "tick"]);
    until("its output", || daemon.cli(&["logs", "tick", "-o", "cat"]) == "up\n");
    signal(daemon.keeper(), libc::SIGSTOP);
    daemon.end(); // It would wait for ever.
    let daemon = Daemon::up(folder.path());
    let events = daemon.cli(&["events"]);
    assert!(events.contains("\"keeper_silent\""), "{events}");
    assert!(events.contains("it did not answer while the supervisor ended, and was killed"), "{events}");
    // Nobody is left of the tree, and the run goes on with the next attempt.
    until("the next attempt", || daemon.logged("tick") == ["up", "up"]);
    daemon.end();
}

#[test]
fn an_unfinished_line_is_an_error_that_inline_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let asks = "[program.asks]\nrestart = \"on-failure\"\ncommand = [\"sh\", \"-c\", \"printf 'HTTP 429 again? '; exec sleep 1000\"]\n\
        [[program.asks.classify]]\nclass = \"rate_limited\"\npattern = 'HTTP 429'\n\
        [program.asks.classes.rate_limited]\ninline = { count = 1, per = \"1m\", action = \"stop\" }\n";
    configure(folder.path(), asks);
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "asks"]);
    until("its end", || daemon.cli(&["why", "asks"]).contains("its errors ended it"));
    daemon.end();
}
