//! What half a million restarts leave behind: disk, memory, and how long the next open takes.
//!
//! - `cargo bench --bench soak`: the store alone, which is given what restarts give it: seconds.
//! - `cargo bench --bench soak -- restarts`: real restarts of `true`; the supervisor is killed at the end (`kill -9`), and
//!   another one opens its store.
//!
//! `RESTARTS` changes the number (default 500,000), `CAP` the journal's `max_size` in MiB (default 64). Prints what the store
//! takes at each tenth, how memory grows for each 100,000 over the second half (a hundred samples in all), and what the next
//! open takes; every line with a limit says PASS or FAIL. Memory reaches its level after some 200,000: a shorter run says
//! FAIL there.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, prints its figures, reads the clock and starts itself again"
)]

use actix_process::{
    Jitter, ProcessManager, Program, Restart, RetryPolicy,
    actors::{
        manager::GetRuns,
        model::Put,
        store::{Commit, JournalRetention, Store},
    },
};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What the state and everything beside the journal may take: the state of one run is some megabytes in sled.
const BESIDE_MIB: f64 = 32.0;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Anonymous memory of a process, in MiB.
fn memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn disk(path: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(path) else { return 0.0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk(&entry.path()),
        Ok(meta) => meta.blocks() as f64 * 512.0 / f64::from(1 << 20),
        Err(_) => 0.0,
    };
    entries.flatten().map(size).sum()
}

fn verdict(holds: bool) -> &'static str {
    if holds { "PASS" } else { "FAIL" }
}

/// So many are taken.
const SAMPLES: u64 = 100;

/// Of so many one is printed.
const PRINTED: usize = 10;

/// Restarts, MiB that count against the cap, MiB of memory.
#[derive(Default)]
struct Samples(Vec<(u64, f64, f64)>);

impl Samples {
    fn take(&mut self, restarts: u64, store: &Path, pid: u32, begun: Instant) {
        let (journal, all, memory) = (disk(&store.join("journal")), disk(store), memory(pid));
        let state = disk(&store.join("state"));
        self.0.push((restarts, journal.max(all - BESIDE_MIB), memory));
        if self.0.len().is_multiple_of(PRINTED) {
            println!(
                "{restarts:9} | {:7.1} s | journal {journal:7.1} MiB | state {state:6.1} | store {all:7.1} | memory {memory:6.1} MiB",
                begun.elapsed().as_secs_f64()
            );
        }
    }

    /// The line through the samples of the second half: by then everything that fills up once is full.
    fn conclude(&self, cap: u64) {
        let most = self.0.iter().map(|sample| sample.1).fold(0.0, f64::max);
        println!("store: journal {most:.1} MiB at most, {cap} allowed: {}", verdict(most <= cap as f64));
        let late = &self.0[self.0.len() / 2..];
        let mean = |of: fn(&(u64, f64, f64)) -> f64| late.iter().map(of).sum::<f64>() / late.len() as f64;
        let (x, y) = (mean(|sample| sample.0 as f64), mean(|sample| sample.2));
        let over: f64 = late.iter().map(|(n, _, memory)| (*n as f64 - x) * (memory - y)).sum();
        let under: f64 = late.iter().map(|(n, _, _)| (*n as f64 - x).powi(2)).sum();
        let slope = over / under * 100_000.0;
        println!("memory: {slope:+.2} MiB for each 100,000 in the second half: {}", verdict(slope < 0.5));
    }
}

fn main() {
    actix_process::init(); // In the keeper it does not return.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--supervise", folder] => supervise(Path::new(folder)),
        ["--open", folder] => open(Path::new(folder)),
        ["restarts"] => restarts(),
        _ => store_alone(),
    }
}

// ── the store alone ────────────────────────────────────────────────────────────────────────────────────────────────

/// What one restart gives the store: two commits with their records, inputs and state.
fn commits(n: u64, seq: &mut u64) -> [Commit; 2] {
    let (at, pid) = (1_790_000_000_000 + n * 3, 1_000 + n * 7 % 30_000);
    let run = "01KB5R3N6E8C9W2M4T7Y0ZQXVA";
    let input = |what: &str| {
        format!(r#"{{"at_ms":{at},"input":"{what}","attempt":{{"run":"{run}","number":{n}}},"pid":{pid},"start_ticks":{at},"sizes":{{"stdout":0,"stderr":0}}}}"#).into_bytes()
    };
    let attempt = |ended: bool| {
        Put {
        key: format!("attempt/{run}/{n:010}"),
        value: Some(format!("\u{1}{{\"number\":{n},\"pid\":{pid},\"start_ticks\":{at},\"params\":{{}},\"probe\":false,\"started_at\":{at},\"ended_at\":{at},\"exit\":{ended},\"class\":null,\"lines\":0,\"items\":null,\"adopted\":false}}").into_bytes()),
    }
    };
    let state = |phase: &str| {
        Put {
        key: format!("run/{run}"),
        value: Some(format!("\u{1}{{\"id\":\"{run}\",\"program\":\"true\",\"params\":{{}},\"requested_by\":null,\"labels\":{{}},\"created_at\":1790000000000,\"wanted\":\"up\",\"phase\":\"{phase}\",\"attempt\":{n},\"next_attempt_at\":{at},\"held\":null,\"reason\":null,\"end_reason\":null,\"ended_at\":null,\"counts\":{{\"lines\":0,\"errors\":0,\"gaps\":0}},\"journal_from\":1}}").into_bytes()),
    }
    };
    let record = |seq: &mut u64, kind: &str, more: &str| {
        *seq += 1;
        format!(r#"{{"seq":{seq},"at_ms":{at},"run":"{run}","program":"true","attempt":{n},"kind":"{kind}"{more}}}"#).into_bytes()
    };
    let first_seq = *seq + 1;
    let spawned = record(seq, "attempt_spawned", &format!(r#","pid":{pid},"start_ticks":{at}"#));
    let ended =
        record(seq, "attempt_ended", r#","exit":0,"class":null,"lasted_ms":1,"output_complete":true"#);
    let started = record(seq, "attempt_started", r#","params":{},"probe":false"#);
    let mut puts = vec![attempt(true), state("starting")];
    puts.push(Put { key: format!("retry/{run}"), value: Some(vec![7; 120]) });
    if n > 1_000 {
        puts.push(Put { key: format!("attempt/{run}/{:010}", n - 1_000), value: None });
    }
    let all = Commit {
        first_seq,
        records: vec![spawned, ended, started],
        puts,
        inputs: vec![input("launched"), input("exited"), input("emptied")],
    };
    let more = Commit {
        first_seq: *seq + 1,
        puts: vec![attempt(false), state("running")],
        inputs: vec![input("drained")],
        ..Commit::default()
    };
    [all, more]
}

fn store_alone() {
    let (times, cap) = (number("RESTARTS", 500_000), number("CAP", 64));
    let folder = tempfile::tempdir().unwrap();
    println!("the store alone, {times} restarts, the journal at most {cap} MiB");
    let store = Store::open(folder.path()).unwrap();
    store.set_journal_retention(JournalRetention::new(cap << 20, u64::MAX));
    let (mut samples, begun, mut seq) = (Samples::default(), Instant::now(), 0);
    let mut slowest = Duration::ZERO;
    for n in 1..=times {
        for commit in commits(n, &mut seq) {
            let asked = Instant::now();
            store.commit(commit).unwrap();
            slowest = slowest.max(asked.elapsed());
        }
        if n % (times / SAMPLES).max(1) == 0 {
            samples.take(n, folder.path(), std::process::id(), begun);
        }
    }
    samples.conclude(cap);
    println!("a commit waits {:.1} ms at most", slowest.as_secs_f64() * 1e3);
    drop(store);
    opened(folder.path());
}

// ── real restarts ──────────────────────────────────────────────────────────────────────────────────────────────────

fn again(what: &str, folder: &Path) -> Child {
    let own = std::env::current_exe().unwrap();
    Command::new(own).arg(what).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn manager(folder: &Path) -> actix_process::Result<ProcessManager> {
    let policy = RetryPolicy::constant("0s").min_delay("0s").jitter(Jitter::None).no_intensity();
    let program = Program::command("true", ["/bin/true"]).restart(Restart::Always).no_breaker().retry(policy);
    let builder = ProcessManager::builder().store(folder).program(program);
    runtime().block_on(builder.keep_journal_bytes(number("CAP", 64) << 20).start())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Restarts until it is killed; says how often it did.
fn supervise(folder: &Path) {
    let pm = manager(folder).unwrap();
    runtime().block_on(async {
        let run = pm.start("true").send().await.unwrap();
        loop {
            println!("{}", run.status().await.unwrap().attempt);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Opens the store, says what that took, and how much memory.
fn open(folder: &Path) {
    let begun = Instant::now();
    let pm = manager(folder).unwrap();
    let (took, now) = (begun.elapsed(), memory(std::process::id()));
    let runs = runtime().block_on(pm.runs(GetRuns::default())).unwrap();
    let attempts: BTreeMap<_, _> = runs.iter().map(|run| (run.program.clone(), run.attempt)).collect();
    println!("{} {now} {attempts:?}", took.as_secs_f64());
    let _ = std::io::stdin().lines().next(); // The end of our parent, or its word.
    std::process::exit(0);
}

fn opened(folder: &Path) {
    let mut next = again("--open", folder);
    let mut line = String::new();
    BufReader::new(next.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut words = line.trim().splitn(3, ' ');
    let (took, memory) =
        (words.next().unwrap().parse::<f64>().unwrap(), words.next().unwrap().parse::<f64>().unwrap());
    println!(
        "the next open: {took:.2} s, {memory:.1} MiB: {} {}",
        verdict(took < 1.0 && memory < 100.0),
        words.next().unwrap_or_default()
    );
    drop(next.stdin.take());
    next.kill().unwrap();
    next.wait().unwrap();
}

fn restarts() {
    let (times, cap) = (number("RESTARTS", 500_000), number("CAP", 64));
    let folder = tempfile::tempdir().unwrap();
    println!("{times} restarts of `true`, the journal at most {cap} MiB");
    let mut daemon = again("--supervise", folder.path());
    let (mut samples, begun) = (Samples::default(), Instant::now());
    let (step, mut due) = ((times / SAMPLES).max(1), 0);
    for line in BufReader::new(daemon.stdout.take().unwrap()).lines() {
        let count: u64 = line.unwrap().parse().unwrap();
        if count >= due {
            samples.take(count, folder.path(), daemon.id(), begun);
            due = count + step;
        }
        if count >= times {
            break;
        }
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    samples.conclude(cap);
    opened(folder.path());
}
