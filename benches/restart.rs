//! Restart latency: from one attempt's exit to the next one's start, by the child's own clock.
//!
//! Two loops run in turn with the same child: the bare one (`posix_spawn`, pidfd, `poll`, at once again) and ours (keeper
//! process, journal in sled, delay and min_delay 0s, intensity, breaker and budget off). The child writes two readings
//! of `CLOCK_MONOTONIC`, at the beginning of its `main` and at its end, into a file, so exec and exit are inside the
//! number for both. Printed: minimum, median and p90 of each round, and the ratio of medians round by round.
//!
//! `cargo bench --bench restart` (`ROUNDS` and `RESTARTS` change the defaults of 5 and 300).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise and prints its figures"
)]

use actix_process::{Jitter, ProcessManager, Program, Restart, RetryPolicy};
use std::{
    ffi::CString,
    io::Write,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    time::Duration,
};

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The child: two readings in one write of 16 bytes, which `O_APPEND` keeps whole.
fn child(readings: &str) -> ! {
    let start = monotonic_ns();
    let mut file = std::fs::OpenOptions::new().append(true).open(readings).unwrap();
    let mut record = [0_u8; 16];
    record[..8].copy_from_slice(&start.to_ne_bytes());
    record[8..].copy_from_slice(&monotonic_ns().to_ne_bytes());
    file.write_all(&record).unwrap();
    std::process::exit(1)
}

/// Gaps in microseconds, sorted.
fn gaps(readings: &Path) -> Vec<f64> {
    let bytes = std::fs::read(readings).unwrap();
    let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
    let times: Vec<_> = bytes.chunks_exact(16).map(|r| (number(&r[..8]), number(&r[8..]))).collect();
    let mut gaps: Vec<_> = times.windows(2).map(|pair| (pair[1].0 - pair[0].1) as f64 / 1e3).collect();
    gaps.sort_by(f64::total_cmp);
    gaps
}

fn quantile(gaps: &[f64], q: f64) -> f64 {
    gaps[((gaps.len() - 1) as f64 * q) as usize]
}

/// The physical limit: nothing but spawn, wait, spawn.
fn bare(readings: &Path, restarts: usize) -> Vec<f64> {
    std::fs::write(readings, []).unwrap();
    let program = CString::new(std::env::current_exe().unwrap().to_str().unwrap()).unwrap();
    let file = CString::new(readings.to_str().unwrap()).unwrap();
    let argv = [program.as_ptr(), c"--child".as_ptr(), file.as_ptr(), std::ptr::null()];
    let envp = [std::ptr::null_mut()];
    for _ in 0..=restarts {
        let mut pid = 0;
        // SAFETY: all pointers are to C strings and null-terminated arrays that outlive the call.
        unsafe {
            let spawned = libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr().cast(),
                envp.as_ptr(),
            );
            assert_eq!(spawned, 0);
            let pidfd = OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32);
            let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            libc::poll(&raw mut poll, 1, -1);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }
    gaps(readings)
}

async fn supervised(folder: &Path, restarts: usize) -> Vec<f64> {
    let readings = folder.join("readings");
    std::fs::write(&readings, []).unwrap();
    let program = std::env::current_exe().unwrap();
    let argv = [program.to_str().unwrap(), "--child", readings.to_str().unwrap()];
    let policy = RetryPolicy::constant("0s").min_delay("0s").jitter(Jitter::None).no_intensity();
    let program =
        Program::command("blink", argv).env_clear().restart(Restart::Always).no_breaker().retry(policy);
    let pm = ProcessManager::builder().store(folder.join("store")).program(program).start().await.unwrap();
    let run = pm.start("blink").send().await.unwrap();
    while std::fs::metadata(&readings).unwrap().len() < 16 * (restarts as u64 + 1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.stop().await.unwrap();
    pm.shutdown().await.unwrap();
    gaps(&readings)
}

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--child") {
        child(&args.next().unwrap());
    }
    actix_process::init();
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (rounds, restarts) = (number("ROUNDS", 5), number("RESTARTS", 300));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("restart latency in microseconds over {restarts} restarts a round");
    println!("round | bare: min median p90 | supervised: min median p90 | ratio of medians");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let folder = tempfile::tempdir().unwrap();
        let bare = bare(&folder.path().join("bare"), restarts);
        let ours = runtime.block_on(supervised(folder.path(), restarts));
        let ratio = quantile(&ours, 0.5) / quantile(&bare, 0.5);
        let row =
            |gaps: &[f64]| format!("{:6.0} {:6.0} {:6.0}", gaps[0], quantile(gaps, 0.5), quantile(gaps, 0.9));
        println!("{round:5} | {} | {} | {ratio:.2}", row(&bare), row(&ours));
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", quantile(&ratios, 0.5));
}
