//! No file descriptors left: starts wait, what runs goes on, the supervisor answers, and all is well when some are free.

use crate::{
    bench_of_one::Gate,
    death::{Daemon, until},
};

/// Enough for the supervisor, its clients and a few children.
const LIMIT: &str = "ulimit -n 100";

/// More than fit.
const RUNS: usize = 12;

#[test]
fn without_descriptors_starts_wait_and_the_supervisor_stays_in_reach() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let config = format!(
        "version = 1\n[store]\npath = \"store\"\n[program.job]\nmax_concurrent = 100\nqueue = 100\n\
         command = [\"sh\", \"-c\", {:?}]\n",
        format!("echo up; {}; echo end", gate.wait())
    );
    std::fs::write(folder.path().join("supervise.toml"), config).expect("written");
    let daemon = Daemon::up_limited(folder.path(), LIMIT);
    for _ in 0..RUNS {
        daemon.cli(&["run", "job"]);
    }
    until("some runs wait", || daemon.cli(&["events"]).contains("spawn_transient"));
    let why = daemon.cli(&["ps"]);
    assert!(why.contains("the supervisor's limit of open files leaves no room for another child"), "{why}");
    assert!(why.contains("of 100 it holds ") && why.contains("pipes and processes of children"), "{why}");
    assert!(why.contains("running"), "some children fit: {why}");
    let pid = daemon.pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count();
    assert!(open < 100, "{open} descriptors are open");
    for _ in 0..RUNS {
        gate.open();
    }
    until("every run has ended well", || {
        daemon.logged("job").iter().filter(|line| *line == "end").count() == RUNS
    });
    until("nobody waits", || !daemon.cli(&["ps"]).contains("backoff"));
    daemon.end();
}
