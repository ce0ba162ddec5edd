//! Many children that write lines.

use super::{
    Setup, child,
    proc::{Memory, between, threads},
    verdict,
};
use actix_process::{Param, ProcessManager, Program, RunHandle};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

const CHILDREN: usize = 100;
const PER_SECOND: u32 = 100;
const SECONDS: u32 = 14;

/// The rate is even after this.
const WARM: Duration = Duration::from_secs(2);

/// CPU is counted for so long.
const WINDOW: Duration = Duration::from_secs(8);

/// Looks at fresh lines.
const LOOKS: usize = 40;

pub(crate) async fn measure(setup: &Setup) {
    let count = if setup.children > 0 { setup.children } else { CHILDREN };
    println!("lines: {count} children, {PER_SECOND} lines a second each, {SECONDS} s");
    let (rate, seconds) = (PER_SECOND.to_string(), SECONDS.to_string());
    let argv = [setup.child("lines"), vec!["{id}", &rate, &seconds]].concat();
    let program =
        Program::command("writer", argv).param(Param::string("id")).env_clear().max_concurrent(u32::MAX);
    let pm = setup.manager(vec![program]).await;
    let name = |n: usize| format!("w{n:04}");
    let runs: Vec<RunHandle> = join_all((0..count).map(|n| pm.start("writer").param("id", name(n)).send()))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    tokio::time::sleep(WARM).await;
    let (before, begin) = (threads(), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let window = begin.elapsed().as_secs_f64();
    let done = between(&before, &threads());
    let memory = Memory::now();
    fresh(&pm, &runs[0]).await;
    join_all(runs.iter().map(RunHandle::wait)).await;
    let (mut lines, mut wrong) = (0_u64, 0_u64);
    for (n, run) in runs.iter().enumerate() {
        let mut reader = run.logs().read();
        let mut next = 0;
        while let Some(record) = reader.next_record().await.unwrap() {
            let expected = child::line(&name(n), next);
            wrong += u64::from(!record.newline || record.bytes != expected.trim_end().as_bytes());
            next += 1;
        }
        lines += next;
        wrong += next.abs_diff(u64::from(PER_SECOND * SECONDS));
    }
    for thread in done.iter().filter(|thread| thread.cpu_ns > 1_000_000) {
        let (cpu, switches) = (thread.cpu_ns as f64 / 1e7 / window, thread.switches as f64 / window);
        println!(
            "      {:16} {cpu:5.2} % of a core, {switches:6.0} changes of context a second",
            thread.name
        );
    }
    println!("      PSS daemon {} KiB, keeper {} KiB", memory.daemon, memory.keeper);
    println!("      {lines} lines read back");
    verdict("lines missing, out of order or damaged", wrong as f64, "", 0.0);
    let cpu: u64 = done.iter().map(|thread| thread.cpu_ns).sum();
    verdict("of a core for supervisor and keeper", cpu as f64 / 1e7 / window, "%", 10.0);
    pm.shutdown().await.unwrap();
}

/// How old the newest line is when `logs` shows it: the writer's own schedule says when each was due.
async fn fresh(pm: &ProcessManager, run: &RunHandle) {
    let mut steps = Vec::new();
    let last =
        |records: Vec<actix_process::actors::model::Record>| records.last().map_or(0, |record| record.seq);
    let (begin, first) = (Instant::now(), last(pm.logs().run(run.id()).tail(1).await.unwrap()));
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_millis(13)).await;
        let seen = last(pm.logs().run(run.id()).tail(1).await.unwrap()) - first;
        let due = begin.elapsed().as_secs_f64() * f64::from(PER_SECOND);
        steps.push((due - seen as f64) * 1e3 / f64::from(PER_SECOND));
    }
    steps.sort_by(f64::total_cmp);
    // The first look was late by an unknown part too, so only the spread says something.
    verdict("spread of the newest line's age, oldest to youngest", steps[LOOKS - 1] - steps[0], "ms", 100.0);
}
