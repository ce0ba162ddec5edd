//! A child of the chaos tests. It writes numbered lines, ends as it was told to, and keeps a ledger of both outside the
//! store, so that a test knows what happened without asking who is tested.
//!
//! Arguments are pairs: `--lines 100` (or `endless`), `--block 10` lines in one write, `--gap-us 500` after each,
//! `--pad 40` letters in each, `--stderr 1`, `--word TEXT` as its last line, `--last-ms 20` before its end, `--code 3` or
//! `--signal 11` for its end, `--deaf 1` to SIGTERM, `--leave 1` for a deaf process that outlives it.
//! The folder of ledgers is in `LEDGERS`.

#![expect(clippy::disallowed_methods, reason = "a child takes its time and leaves others behind")]
#![expect(clippy::expect_used, reason = "a child that cannot keep its ledger has no business")]

#[path = "ledger.rs"]
mod ledger;

use ledger::{
    ASKED, BEGAN, BY_EXIT, BY_SIGNAL, END, ENDED, PAD, PID, STDERR, TWIN, WRITTEN, line, monotonic_ns,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// As many fields as a ledger has.
const FIELDS: usize = 9;

/// The mapped file of one attempt.
struct Ledger(*mut AtomicU64);

impl Ledger {
    /// Makes the file, which must not be there; an attempt is made once.
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        file.set_len((FIELDS * 8) as u64)?;
        Self::map(&file)
    }

    fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: a new shared mapping of a file that is as long; it is never unmapped.
        let place = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                FIELDS * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if place == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self(place.cast()))
    }

    fn set(&self, field: usize, value: u64) {
        assert!(field < FIELDS);
        // SAFETY: the mapping is page-aligned, has so many fields and is never unmapped.
        unsafe { &*self.0.add(field) }.store(value, Ordering::SeqCst);
    }
}

struct Plan(BTreeMap<String, String>);

impl Plan {
    fn number(&self, key: &str) -> u64 {
        let text = self.0.get(key).map_or("0", String::as_str);
        if text == "endless" { u64::MAX } else { text.parse().expect("a number") }
    }
}

/// The tag that a supervisor gives its children: whose store, which run, which attempt.
struct Tag {
    run: String,
    attempt: String,
}

fn tag() -> Option<Tag> {
    let text = std::env::var("ACTIX_PROCESS").ok()?;
    let mut parts = text.split('/').skip(1).map(str::to_owned);
    Some(Tag { run: parts.next()?, attempt: parts.next()? })
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let plan = Plan(
        words
            .chunks(2)
            .filter_map(|pair| {
                Some((pair.first()?.trim_start_matches("--").to_owned(), pair.get(1)?.clone()))
            })
            .collect(),
    );
    if plan.0.contains_key("stay-ms") {
        return pause(Duration::from_millis(plan.number("stay-ms")));
    }
    let (Some(tag), Some(folder)) = (tag(), std::env::var_os("LEDGERS").map(PathBuf::from)) else {
        eprintln!(
            "numbered_lines: started by no supervisor, or without LEDGERS; it is a child of `cargo test --test chaos`"
        );
        std::process::exit(2);
    };
    let name = format!("{}.{}", tag.run, tag.attempt);
    let ledger = Ledger::create(&folder.join(&name)).unwrap_or_else(|_| {
        // The same attempt a second time: the reader finds both.
        Ledger::create(&folder.join(format!("{name}.again.{}", std::process::id()))).expect("a ledger")
    });
    ledger.set(PID, u64::from(std::process::id()));
    ledger.set(PAD, plan.number("pad"));
    ledger.set(STDERR, plan.number("stderr"));
    let lock = only_one(&folder, &tag, &ledger);
    ledger.set(BEGAN, monotonic_ns());
    if plan.number("deaf") == 1 || plan.number("leave") == 1 {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    }
    if plan.number("leave") == 1 {
        leave_somebody(&lock);
    }
    write_lines(&plan, &tag, &ledger);
    pause(Duration::from_millis(plan.number("last-ms")));
    end(&plan, &ledger)
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Whoever is alive of a run holds its lock; the file is closed by the kernel, whatever the end.
fn only_one(folder: &Path, tag: &Tag, ledger: &Ledger) -> File {
    let lock = File::options().create(true).append(true).open(folder.join(format!("lock.{}", tag.run)));
    let lock = lock.expect("a lock");
    // SAFETY: the descriptor is open.
    let taken = unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
    ledger.set(TWIN, u64::from(!taken));
    lock
}

/// A process of its group that ignores SIGTERM (it inherits that), holds its outputs, and its lock.
#[expect(clippy::zombie_processes, reason = "it is left to whoever supervises us")]
fn leave_somebody(lock: &File) {
    // SAFETY: the descriptor is open; it is let through to the child, which shares the lock then.
    unsafe { libc::fcntl(lock.as_raw_fd(), libc::F_SETFD, 0) };
    let own = std::env::current_exe().expect("a program has a file");
    Command::new(own).args(["--stay-ms", "20000"]).spawn().expect("it starts");
}

fn write_lines(plan: &Plan, tag: &Tag, ledger: &Ledger) {
    let (total, block) = (plan.number("lines"), plan.number("block").max(1));
    let (gap, pad) = (Duration::from_micros(plan.number("gap-us")), plan.number("pad"));
    let mut text = Vec::new();
    let mut done = 0;
    while done < total {
        let count = block.min(total - done);
        text.clear();
        for number in done..done + count {
            text.extend_from_slice(line(&tag.run, &tag.attempt, number, pad).as_bytes());
            text.push(b'\n');
        }
        ledger.set(ASKED, done + count);
        say(plan, &text);
        done += count;
        ledger.set(WRITTEN, done);
        if !gap.is_zero() {
            pause(gap);
        }
    }
    if let Some(word) = plan.0.get("word") {
        say(plan, format!("{word}\n").as_bytes());
    }
}

fn say(plan: &Plan, text: &[u8]) {
    let said = if plan.number("stderr") == 1 {
        std::io::stderr().lock().write_all(text)
    } else {
        // Past the buffer of standard output, which would cut at lines.
        // SAFETY: the descriptor is open for as long as the process.
        std::mem::ManuallyDrop::new(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(1) })
            .write_all(text)
    };
    said.expect("outputs take everything for as long as we live");
}

fn end(plan: &Plan, ledger: &Ledger) {
    let (code, signal) = (plan.number("code"), plan.number("signal"));
    ledger.set(ENDED, monotonic_ns());
    if signal != 0 {
        ledger.set(END, BY_SIGNAL | signal);
        let signal = i32::try_from(signal).expect("a signal");
        // SAFETY: plain system calls; no core file is wanted of an end that was asked for.
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
        }
        pause(Duration::from_secs(60));
    }
    ledger.set(END, BY_EXIT | code);
    // SAFETY: ends the process; nothing is buffered.
    unsafe { libc::_exit(i32::try_from(code).expect("a code")) }
}
