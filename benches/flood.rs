//! A flood: a child that writes a gibibyte as fast as it can, with the default settings.
//!
//! Printed for each round: the child's time under `| cat > file` and under us, their ratio, the time until everything is
//! stored and the rate of that, and the lines that were kept. The child may be slower than the bare one by what storing takes
//! and no more: from `backlog` on it waits for the store.
//!
//! `cargo bench --bench flood` (`ROUNDS` and `MIB` change the defaults of 3 and 1,024; needs three times as much disk).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, prints its figures, and reads a clock and starts a shell of its own"
)]

use actix_process::{ProcessManager, Program};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Lines such as programs write them, some hundred bytes each; how many.
fn make(path: &Path, bytes: u64) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut lines, mut written, mut random) = (0_u64, 0, 88_172_645_463_325_252_u64);
    while written < bytes {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let line = format!(
            "2026-11-28T19:{:02}:{:02}Z INFO worker-{} request {lines} served in {} us, {random:016x}\n",
            lines / 60 % 60,
            lines % 60,
            random % 16,
            random % 100_000
        );
        file.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
        lines += 1;
    }
    file.flush().unwrap();
    lines
}

fn bare(input: &Path, output: &Path) -> Duration {
    let begun = Instant::now();
    let script = format!("cat {} | cat > {}", input.display(), output.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let took = begun.elapsed();
    std::fs::remove_file(output).unwrap();
    took
}

struct Figures {
    child: Duration,
    stored: Duration,
    kept: u64,
    counted: u64,
}

async fn supervised(folder: &Path, input: &Path) -> Figures {
    let store = folder.join("store");
    let program = Program::command("flood", ["cat", input.to_str().unwrap()]).no_breaker();
    let pm = ProcessManager::builder().store(&store).program(program).start().await.unwrap();
    let begun = Instant::now();
    let run = pm.start("flood").send().await.unwrap();
    run.wait().await.unwrap();
    let child = begun.elapsed();
    // Its spools go when everything in them is stored.
    while std::fs::read_dir(store.join("spool")).unwrap().count() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stored = begun.elapsed();
    let counts = run.status().await.unwrap().counts;
    pm.shutdown().await.unwrap();
    std::fs::remove_dir_all(store).unwrap();
    Figures { child, stored, kept: counts.lines, counted: counts.gaps }
}

fn main() {
    actix_process::init();
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (rounds, mib) = (number("ROUNDS", 3), number("MIB", 1_024));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let lines = make(&input, mib << 20);
    println!("{mib} MiB in {lines} lines; on_backlog, stall and backlog as by default");
    println!("round | bare s | child s | ratio | stored s | MB/s | kept | counted as lost");
    for round in 1..=rounds {
        let bare = bare(&input, &folder.path().join("output")).as_secs_f64();
        let Figures { child, stored, kept, counted } = runtime.block_on(supervised(folder.path(), &input));
        let (child, stored) = (child.as_secs_f64(), stored.as_secs_f64());
        let rate = (mib << 20) as f64 / 1e6 / stored;
        println!(
            "{round:5} | {bare:6.2} | {child:7.2} | {:5.1} | {stored:8.2} | {rate:4.0} | {kept} | {counted}",
            child / bare
        );
        println!("      | {} every line kept", verdict(kept == lines && counted == 0));
        println!("      | {} the child took no longer than the storing", verdict(child <= stored));
    }
}

const fn verdict(holds: bool) -> &'static str {
    if holds { "PASS" } else { "FAIL" }
}
