//! A program that ends at once and is restarted at once, for long: the disk stays under its cap, memory stays, and a killed
//! supervisor's successor is there at once. `SOAK=500000` makes it long; `cargo bench --bench soak` prints figures.

use crate::death::{Daemon, until};
use std::path::Path;

/// Restarts, unless `SOAK` says otherwise: so many that the journal goes through several segments' worth of records.
const RESTARTS: u64 = 5_000;

/// The smallest journal that there is.
const CAP: u64 = 8 << 20;

/// What is allowed beside the journal: state, the write-ahead file, output and lock files of one run.
const BESIDE: u64 = 32 << 20;

const CONFIG: &str = r#"
version = 1
[store]
path = "store"
[store.retention]
journal = { max_size = "8MiB" }
[program.blink]
command = ["true"]
restart = "always"
autostart = true
breaker = false
retry = { delay = "0s", min_delay = "0s", jitter = "none", intensity = false }
"#;

fn disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk(&entry.path()),
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Anonymous memory in KiB.
fn memory(daemon: &Daemon) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn attempt(daemon: &Daemon) -> u64 {
    let status = daemon.cli(&["status", "blink", "-o", "json"]);
    let number = status.split("\"attempt\":").nth(1).unwrap_or_default().trim_start();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[test]
fn after_many_restarts_disk_and_memory_are_what_they_were() {
    let restarts = std::env::var("SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(RESTARTS);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let store = folder.path().join("store");
    let daemon = Daemon::up(folder.path());
    let mut at_half = 0;
    for tenth in 1..=10 {
        until("more restarts", || attempt(&daemon) >= restarts * tenth / 10);
        let (journal, all) = (disk(&store.join("journal")), disk(&store));
        assert!(journal <= CAP && all <= CAP + BESIDE, "{journal} {all} at {tenth} tenths");
        if tenth == 5 {
            at_half = memory(&daemon);
        }
    }
    let grown = memory(&daemon).saturating_sub(at_half);
    // What is released in between is not always given back at once.
    assert!(grown < 4 << 10, "{grown} KiB more than after half of them");
    let before = attempt(&daemon);
    daemon.kill();
    let daemon = Daemon::up(folder.path());
    assert!(memory(&daemon) < 100 << 10, "{} KiB", memory(&daemon));
    until("it goes on", || attempt(&daemon) > before);
    daemon.end();
}
