//! A full disk: children go on, stops work, decisions are kept; with room again everything is stored as if nothing had been.

use crate::death::{Daemon, until};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A file system of a few megabytes, where we may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir(&path).expect("made");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|run| run.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: only root may mount a small disk, and this test needs one");
        None
    }

    /// Takes all room that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast")).expect("a file");
        for size in [64 << 10, 4 << 10, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Writes so many numbered lines, then waits for a word in `gate`.
fn configure(folder: &Path) {
    let config = "version = 1\n[store]\npath = \"disk/store\"\n[defaults]\nrestart = \"no\"\n\
        [program.writer]\n\
        command = [\"sh\", \"-c\", \"echo up; read word <gate; seq 1 300000; echo end; exit 3\"]\n\
        [program.quick]\ncommand = [\"sh\", \"-c\", \"echo quick; exit 4\"]\n\
        [program.deaf]\nstop_timeout = \"300ms\"\n\
        command = [\"sh\", \"-c\", \"trap '' TERM; echo up; while :; do sleep 1000; done\"]\n";
    std::fs::write(folder.join("supervise.toml"), config).expect("written");
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_with_room_again_all_is_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else { return };
    configure(folder.path());
    let gate = crate::bench_of_one::Gate::new(folder.path());
    let daemon = Daemon::up(folder.path());
    for program in ["writer", "deaf"] {
        daemon.cli(&["run", program]);
        until("its first line", || daemon.logged(program) == ["up"]);
    }
    disk.fill();
    gate.open();
    // Its end cannot be seen by its output, which has no place to be; the supervisor tells it all the same.
    daemon.cli(&["run", "quick"]);
    until("the end of a run", || daemon.cli(&["why", "quick"]).contains("exit 4"));
    let trouble = "its disk is full";
    until("it says what is wrong", || daemon.cli(&["status"]).contains(trouble));
    for args in [&["ps"][..], &["status", "quick"]] {
        let said = daemon.answer(args);
        assert!(String::from_utf8_lossy(&said.stderr).contains(trouble), "{args:?}: {said:?}");
    }
    let health = daemon.health();
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains("degraded") && health.contains(trouble),
        "{health}"
    );
    assert!(!daemon.cli(&["why", "quick"]).contains("outlived"), "bytes that wait are nobody left behind");
    daemon.cli(&["stop", "deaf"]);
    assert!(daemon.cli(&["ps"]).contains("stopped"), "a stop works");
    disk.make_room();
    let mut expected: Vec<String> = (1..=300_000).map(|n| n.to_string()).collect();
    expected.insert(0, "up".into());
    expected.push("end".into());
    until("everything is stored", || daemon.logged("writer").len() >= expected.len());
    assert!(daemon.logged("writer") == expected, "complete, once and in order");
    until("the quick one's line, too", || daemon.logged("quick") == ["quick"]);
    until("nothing is wrong any more", || !daemon.cli(&["status"]).contains("trouble"));
    assert!(daemon.health().contains("\"ok\""), "{}", daemon.health());
    assert!(daemon.answer(&["ps"]).stderr.is_empty());
    until("decisions are stored", || daemon.cli(&["events"]).matches("run_ended").count() >= 3);
    daemon.cli(&["run", "quick", "--wait"]);
    daemon.end();
    // What was answered is there for the next one.
    let daemon = Daemon::up(folder.path());
    assert!(daemon.logged("writer") == expected, "and after a new start");
    let events = daemon.cli(&["events"]);
    assert_eq!(events.matches("run_ended").count(), 4, "{events}");
    assert_eq!(daemon.logged("quick").len(), 2);
    daemon.end();
}

#[test]
fn a_supervisor_that_dies_on_a_full_disk_says_why_it_does_not_come_back_and_then_knows_what_it_decided() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else { return };
    configure(folder.path());
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "deaf"]);
    until("its first line", || daemon.logged("deaf") == ["up"]);
    disk.fill();
    daemon.cli(&["run", "quick"]);
    until("the end of a run", || daemon.cli(&["why", "quick"]).contains("exit 4"));
    daemon.kill();
    let refused = Command::new(crate::death::supervise())
        .args(["up", "supervise.toml", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("its disk takes nothing") && said.contains("No space left"), "{said}");
    assert!(said.contains("help: look at the free space"), "{said}");
    let aside = std::fs::read_dir(disk.0.join("store")).expect("the store").flatten();
    assert!(!aside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("damaged")));
    disk.make_room();
    let daemon = Daemon::up(folder.path());
    assert!(daemon.cli(&["why", "quick"]).contains("exit 4"), "it is known after the death");
    until("what became of the other one", || daemon.cli(&["events"]).contains("\"class\":\"lost\""));
    daemon.cli(&["run", "quick", "--wait"]);
    until("its output", || daemon.logged("quick").last().is_some_and(|line| line == "quick"));
    daemon.end();
}
