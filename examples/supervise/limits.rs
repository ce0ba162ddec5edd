//! What the daemon needs of the machine, looked at before anything is opened, and what it makes of itself.

use crate::failure::{Failure, code};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::{
    io,
    sync::{Arc, RwLock},
};

/// Descriptors that store, server and keeper need with room for a child or two.
const DESCRIPTORS: u64 = 64;

/// Threads and processes at the start: the actors, the server, the store and the keeper, and room for a child.
const THREADS: usize = 24;

/// Stack of a thread that only shows that it can be.
const STACK: usize = 64 << 10;

/// Address space in bytes. Little of it is memory: each thread reserves some for what it may come to need.
const ADDRESS_SPACE: u64 = 2 << 30;

/// Raises what may be raised, and refuses to begin with less than what is needed: later it would be a panic of a library or a
/// wait without an end.
pub(crate) fn prepare() -> Result<(), Failure> {
    raise_descriptors();
    hear_every_signal();
    keep_memory_to_ourselves();
    enough_descriptors(limit(Resource::Nofile))?;
    enough_address_space(limit(Resource::As))?;
    enough_threads()
}

fn too_little(what: String, help: &str) -> Failure {
    Failure::new(code::FAILED, what).help(help)
}

fn enough_descriptors(most: u64) -> Result<(), Failure> {
    if most >= DESCRIPTORS {
        return Ok(());
    }
    let what = format!("the limit of open files is {most}, and the daemon needs {DESCRIPTORS} to begin with");
    Err(too_little(what, "raise the hard limit (ulimit -Hn, LimitNOFILE=)"))
}

fn enough_address_space(most: u64) -> Result<(), Failure> {
    if most >= ADDRESS_SPACE {
        return Ok(());
    }
    let (most, needed) = (most >> 20, ADDRESS_SPACE >> 20);
    let what = format!(
        "the limit of address space is {most} MiB, and the daemon needs {needed} MiB, most of it never used"
    );
    Err(too_little(what, "raise it (ulimit -v, LimitAS=), and limit memory by a control group (MemoryMax=)"))
}

/// How many there may be depends on what else the user runs, so it is tried.
fn enough_threads() -> Result<(), Failure> {
    let gate = Arc::new(RwLock::new(()));
    let mut threads = Vec::with_capacity(THREADS);
    let mut refused = None;
    {
        // Nobody panics while holding it.
        let _closed = gate.write();
        for _ in 0..THREADS {
            let gate = Arc::clone(&gate);
            match std::thread::Builder::new().stack_size(STACK).spawn(move || drop(gate.read())) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
    }
    let had = threads.len();
    for thread in threads {
        let _ = thread.join();
    }
    let Some(error) = refused else { return Ok(()) };
    let what = format!("there is room for {had} more threads, and the daemon needs {THREADS}: {error}");
    Err(too_little(what, "raise the limit of processes (ulimit -u, TasksMax=), or see who started so many"))
}

/// The soft limit; [`u64::MAX`]: there is none.
fn limit(of: Resource) -> u64 {
    getrlimit(of).current.unwrap_or(u64::MAX)
}

/// Children get the limit that we were given, whatever we raise ours to. Every child needs descriptors of ours; the soft
/// limit is a default for programs that use `select`, which we do not.
fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::warn!("descriptor limit not raised; error={}", io::Error::from(error));
    }
}

/// Whoever started us may have blocked the signals by which we are asked to end. Before there are threads, which inherit it.
fn hear_every_signal() {
    // SAFETY: all zeroes is valid memory for a set, which sigemptyset initialises and the next call reads. `rustix` leaves
    // masks to libc, which keeps some signals for itself.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Children run as the user that we run as: they must not read the token and secrets out of our memory, nor take our
/// descriptors. It also means no core files of ours, and that only root can trace us.
fn keep_memory_to_ourselves() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        log::warn!("children may look into this process; error={}", io::Error::from(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_small_limits_are_refused_with_a_sentence() {
        for (done, words) in [
            (enough_descriptors(24), "the limit of open files is 24, and the daemon needs 64"),
            (enough_address_space(50 << 20), "the limit of address space is 50 MiB"),
        ] {
            let failure = done.unwrap_err();
            assert!(failure.what.contains(words) && failure.help.is_some(), "{failure}");
            assert_eq!(failure.code, code::FAILED);
        }
        assert!(enough_descriptors(64).is_ok() && enough_address_space(u64::MAX).is_ok());
    }
}
