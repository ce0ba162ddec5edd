//! Many children that do nothing.

use super::{
    Setup,
    proc::{Memory, Thread, between, ours, threads},
    verdict,
};
use actix_process::{ProcessManager, Program, RunHandle};
use futures_util::future::join_all;
use std::{
    ffi::CString,
    path::Path,
    time::{Duration, Instant},
};

const CHILDREN: usize = 1_000;

/// Checkpoints and late packing are over after this.
const SETTLE: Duration = Duration::from_secs(4);

/// Waits until so many children have said that they are there.
fn all_there(board: &Path, count: usize) -> bool {
    std::fs::metadata(board).unwrap().len() >= count as u64
}

/// The physical limit: the same children by `posix_spawn` alone. They live until they are dropped.
struct Bare(Vec<libc::pid_t>);

impl Bare {
    fn spawn(argv: &[&str], count: usize) -> Self {
        let texts: Vec<_> = argv.iter().map(|text| CString::new(*text).unwrap()).collect();
        let argv: Vec<_> = texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        let envp = [std::ptr::null_mut()];
        let one = || {
            let mut pid = 0;
            // SAFETY: all pointers are to C strings and null-terminated arrays that outlive the call.
            let spawned = unsafe {
                libc::posix_spawn(
                    &raw mut pid,
                    argv[0],
                    std::ptr::null(),
                    std::ptr::null(),
                    argv.as_ptr().cast(),
                    envp.as_ptr(),
                )
            };
            assert_eq!(spawned, 0);
            pid
        };
        Self((0..count).map(|_| one()).collect())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for pid in &self.0 {
            // SAFETY: children of ours that nobody else reaps; no memory of ours is touched.
            unsafe {
                libc::kill(*pid, libc::SIGKILL);
                libc::waitpid(*pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

async fn start(pm: &ProcessManager, setup: &Setup, count: usize) -> Vec<RunHandle> {
    let names =
        (0..count).map(|n| if setup.programs { format!("sleeper-{n}") } else { "sleeper".to_owned() });
    let started = join_all(names.map(|name| pm.start(name).send())).await;
    started.into_iter().map(Result::unwrap).collect()
}

fn program(setup: &Setup, name: &str, board: &Path) -> Program {
    let argv = [setup.child("sleep"), vec![board.to_str().unwrap()]].concat();
    Program::command(name, argv).env_clear().max_concurrent(u32::MAX)
}

pub(crate) async fn measure(setup: &Setup) {
    let count = if setup.children > 0 { setup.children } else { CHILDREN };
    let of = if setup.programs { "a program each" } else { "one program" };
    println!("sleep: {count} children, {of}");
    let (board, bare_board) = (setup.folder.join("board"), setup.folder.join("bare"));
    std::fs::write(&bare_board, []).unwrap();
    std::fs::write(&board, []).unwrap();
    let mut programs: Vec<_> = (0..if setup.programs { count } else { 0 })
        .map(|n| program(setup, &format!("sleeper-{n}"), &board))
        .collect();
    programs.push(program(setup, "sleeper", &board));
    let pm = setup.manager(programs).await;
    pm.start("sleeper").send().await.unwrap();
    while !all_there(&board, 1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let begin = Instant::now();
    let bare = Bare::spawn(&[setup.child("sleep"), vec![bare_board.to_str().unwrap()]].concat(), count);
    while !all_there(&bare_board, count) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let bare_s = begin.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    // With as many children as later, so that the share that we have of common pages is the same.
    let before = Memory::now();
    drop(bare);

    let begin = Instant::now();
    let runs = start(&pm, setup, count).await;
    let answered_s = begin.elapsed().as_secs_f64();
    while !all_there(&board, count + 1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let all_s = begin.elapsed().as_secs_f64();
    println!(
        "      bare loop {bare_s:.3} s; requests answered after {answered_s:.3} s, all running after {all_s:.3} s"
    );
    verdict("time until all run, to the bare loop", all_s / bare_s, "×", 3.0);

    tokio::time::sleep(SETTLE).await;
    let after = Memory::now();
    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    println!(
        "      PSS in KiB: daemon {} to {}, keeper {} to {}; for each child {:.1} + {:.1}; all of it over all children {:.1}",
        before.daemon,
        after.daemon,
        before.keeper,
        after.keeper,
        each(after.daemon, before.daemon),
        each(after.keeper, before.keeper),
        after.sum() / count as f64,
    );
    verdict("memory for each child", (after.sum() - before.sum()) / count as f64, "KiB", 20.0);
    idle(setup).await;

    let begin = Instant::now();
    pm.shutdown().await.unwrap();
    println!("      all stopped and stored after {:.3} s", begin.elapsed().as_secs_f64());
    drop(runs);
}

/// Who wakes while nothing happens. The bench's own thread waits for its time and is left out.
async fn idle(setup: &Setup) {
    let me = ours()[0];
    let before = threads();
    tokio::time::sleep(Duration::from_secs(setup.idle_s)).await;
    let after = threads();
    let mut done = between(&before, &after);
    let own = after.get(&me).map(|thread| thread.name.clone()).unwrap_or_default();
    if let Some(at) = done.iter().position(|thread| thread.name == own) {
        done.remove(at);
    }
    for Thread { name, switches, cpu_ns } in done.iter().filter(|thread| thread.switches > 0) {
        println!(
            "      idle {} s: {name} changed context {switches} times, {:.2} ms of a core",
            setup.idle_s,
            *cpu_ns as f64 / 1e6
        );
    }
    let sled = |thread: &&Thread| thread.name.starts_with("sled");
    let ours: u64 = done.iter().filter(|thread| !sled(thread)).map(|thread| thread.switches).sum();
    verdict("wake-ups of our threads while idle", ours as f64, "", 0.0);
    let cpu: u64 = done.iter().map(|thread| thread.cpu_ns).sum();
    verdict("of a core while idle", cpu as f64 / 1e7 / setup.idle_s as f64, "%", 0.1);
}
