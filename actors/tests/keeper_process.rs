//! The keeper as a process: this executable, started again, so it has a `main` of its own.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "says which scenario runs")]

mod keeper;

use actix_process_actors::{
    keeper::{Incoming, init, protocol::Request, tree::Process},
    model::ExitStatus,
};
use keeper::{Bench, Patience, Scenario, poll};
use std::{fs, os::fd::AsRawFd};

const PROCESS_ONLY: &[Scenario] = &[
    ("a_daemonised_grandchild_is_found_by_the_keeper", a_daemonised_grandchild_is_found_by_the_keeper),
    ("bytes_survive_the_keepers_death", bytes_survive_the_keepers_death),
    ("signals_of_children_do_not_end_the_keeper", signals_of_children_do_not_end_the_keeper),
];

fn main() {
    init();
    let filter: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, scenario) in keeper::EVERYWHERE.iter().chain(PROCESS_ONLY) {
        if filter.is_empty() || filter.iter().any(|part| name.contains(part.as_str())) {
            println!("test {name}");
            scenario();
        }
    }
}

/// Its environment is cleared and it has left session, group and parents: only the subreaper knows it.
fn a_daemonised_grandchild_is_found_by_the_keeper() {
    let mut bench = Bench::new();
    let (token, _) = bench.shell("(setsid env -i sleep 1000.25 >/dev/null 2>&1 &); exit 0");
    bench.emptied(token);
    bench.keeper.take().unwrap().join();
    let alive = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x001000.25\0")
    });
    assert_eq!(alive.count(), 0);
}

fn bytes_survive_the_keepers_death() {
    let mut bench = Bench::new();
    let script = "seq 1 2000000; echo done > finished";
    let launch = bench.request(&["/bin/sh", "-c", script]);
    let token = launch.token;
    bench.send(&Request::Launch(launch));
    let (_, fds) =
        bench.wait(|event| matches!(event, actix_process_actors::keeper::protocol::Event::Launched { .. }));
    bench.wait_for_output(token, "1");
    let pid = bench.keeper.as_ref().unwrap().pid().unwrap();
    Process::read(pid).unwrap().signal(libc::SIGKILL);
    let mut patience = Patience::new();
    let keeper = bench.keeper.take().unwrap();
    while !matches!(keeper.receive().unwrap(), Incoming::Closed) {
        poll(keeper.as_raw_fd(), libc::POLLIN, 1_000);
        patience.check("the keeper's end");
    }
    keeper.join();
    // Nobody reads any more: we take over where it stopped, until the child has written all.
    let spool = bench.path(token, "out");
    let finished = bench.folder.path().join("finished");
    loop {
        let over = finished.exists();
        actix_process_actors::keeper::rescue(std::os::fd::AsFd::as_fd(&fds[1]), &spool);
        if over {
            break;
        }
        poll(fds[1].as_raw_fd(), libc::POLLIN, 10);
        patience.check("the child");
    }
    keeper::assert_counts_up(&bench.read(token, "out"), 2_000_000);
}

/// `kill -USR1 $PPID` is how many say that they are ready.
fn signals_of_children_do_not_end_the_keeper() {
    let mut bench = Bench::new();
    let stopping = [libc::SIGSTOP, libc::SIGKILL];
    let all =
        (1..=libc::SIGRTMAX()).filter(|signal| !stopping.contains(signal) && ![32, 33].contains(signal));
    let kills: Vec<String> = all.map(|signal| format!("kill -{signal} $PPID || exit 1")).collect();
    let (token, _) = bench.shell(&format!("{}; echo said; read -r word < /dev/zero", kills.join("; ")));
    bench.wait_for_output(token, "said");
    let (other, _) = bench.shell("exit 4");
    assert_eq!(bench.exited(other).0, ExitStatus::Code(4), "it starts and reaps as before");
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 10_000 });
    assert_eq!(bench.exited(token).0, ExitStatus::Signal { number: libc::SIGTERM, core: false });
    bench.keeper.take().unwrap().join();
}
