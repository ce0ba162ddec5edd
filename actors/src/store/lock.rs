//! The lock on a store's folder.

use super::open_error::OpenError;
use crate::{model::ProcessStat, owned};
use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

/// The lock on a store's folder, held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Not by closing the file alone: a child that was forked and has not executed yet has it too, and would keep the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}

/// Who had the lock before us, as the lock's file tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Predecessor {
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
    pub(crate) boot_id: String,
}

impl Predecessor {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        Self {
            pid: words.next().and_then(|word| word.parse().ok()).unwrap_or(0),
            start_ticks: words.next().and_then(|word| word.parse().ok()).unwrap_or(0),
            boot_id: words.next().unwrap_or_default().to_owned(),
        }
    }

    /// Whether it lives and holds a lock. Ours it does not hold, so that this is the one of another store: of the original,
    /// where our folder is a copy.
    pub(crate) fn holds_another(&self) -> bool {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        self.pid > 1
            && self.pid != own
            && self.boot_id == boot_id()
            && start_ticks(&self.pid.to_string()) == self.start_ticks
            && fs::read_to_string("/proc/locks").is_ok_and(|locks| has_lock(&locks, self.pid))
    }
}

/// Whether this process is among the holders of locks, as in `12: FLOCK  ADVISORY  WRITE 9811 00:2b:5678 0 EOF`.
fn has_lock(locks: &str, pid: i32) -> bool {
    let pid = pid.to_string();
    locks.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().skip(1).take(4).collect();
        matches!(words.as_slice(), ["FLOCK", _, "WRITE", holder] if *holder == pid)
    })
}

/// Takes the lock and says who had it before, or says who holds it.
pub(crate) fn take(dir: &Path) -> Result<(Lock, Predecessor), OpenError> {
    let path = dir.join("lock");
    let at = |error| OpenError::Io { path: path.clone(), error };
    let mut file = owned::open(owned::options().read(true).write(true).create(true), &path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(holder(dir, &mut file)),
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    let mut before = Vec::new();
    file.read_to_end(&mut before).map_err(at)?;
    let me = format!("{} {} {}\n", std::process::id(), start_ticks("self"), boot_id());
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(me.as_bytes())).map_err(at)?;
    Ok((Lock { file }, Predecessor::parse(&String::from_utf8_lossy(&before))))
}

/// Who wrote the lock file.
fn holder(dir: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let Predecessor { pid, start_ticks, boot_id } = Predecessor::parse(&text);
    let taken = file.metadata().and_then(|metadata| metadata.modified()).ok();
    let taken_ms =
        taken.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |t| t.as_millis());
    let for_ms = crate::clock::wall_ms().saturating_sub(u64::try_from(taken_ms).unwrap_or(0));
    OpenError::Held { dir: dir.to_owned(), pid, start_ticks, boot_id, command: command_of(pid), for_ms }
}

/// What a process was started as; without control characters, because anybody may choose it.
fn command_of(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let text = String::from_utf8_lossy(&words.join(&b' ')).replace(char::is_control, "?");
    if text.is_empty() { "its command is not for us to see".into() } else { text.chars().take(80).collect() }
}

/// The start time of a process (`self`: ours) in clock ticks; 0 when there is none.
fn start_ticks(process: &str) -> u64 {
    let stat = fs::read(format!("/proc/{process}/stat")).unwrap_or_default();
    ProcessStat::parse(&stat).map_or(0, |stat| stat.start_ticks)
}

pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_read_from_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 00:2b:1 0 EOF\n2: FLOCK  ADVISORY  WRITE 13 00:2b:2 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 14 00:2b:2 0 EOF\n3: FLOCK  ADVISORY  READ 15 00:2b:3 0 EOF\n";
        let held: Vec<_> = (11..17).filter(|pid| has_lock(locks, *pid)).collect();
        assert_eq!(held, [13]);
    }
}
