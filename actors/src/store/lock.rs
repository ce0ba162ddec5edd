//! The store's folder: who owns it, which layout it has, and its two random numbers.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// The layout that this version reads and writes.
const LAYOUT: u32 = 1;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process owns it.
    #[error("the store {} is in use by process {pid} ({command}), since {} s", dir.display(), for_ms / 1_000)]
    Held {
        /// The folder.
        dir: PathBuf,
        /// Its owner; 0 when the owner has not written its name yet.
        pid: i32,
        /// The owner's start time in clock ticks since boot.
        start_ticks: u64,
        /// The boot it was started in.
        boot_id: String,
        /// Its command line, as far as we may see it.
        command: String,
        /// For how many milliseconds it has had the store.
        for_ms: u64,
    },
    /// Another version of this library wrote it.
    #[error("the store {} has layout {found}, and this version reads layout {LAYOUT} only", dir.display())]
    Layout {
        /// The folder.
        dir: PathBuf,
        /// The layout it has.
        found: u32,
    },
    /// The folder or a file in it cannot be used.
    #[error("the store {} cannot be used: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// sled could not make a new database either.
    #[error("the store {} cannot be opened: {why}", dir.display())]
    Database {
        /// The folder.
        dir: PathBuf,
        /// sled's word.
        why: String,
    },
}

/// The lock on a store's folder, held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Not by closing the file alone: a child that was forked and has not executed yet has it too, and would keep the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: `file` is open during the call, and flock touches no memory of ours.
        unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// What is made once for each store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) manager: u128,
    pub(crate) seed: u64,
}

/// Makes the folder, if it is not there, for its owner alone.
pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    let at = |error| OpenError::Io { path: dir.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at)
}

/// Takes the lock, or says who holds it.
pub(crate) fn take(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join("lock");
    let at = |error| OpenError::Io { path: path.clone(), error };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(at)?;
    // SAFETY: `file` is open during the call, and flock touches no memory of ours.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(at(error));
        }
        return Err(holder(dir, &mut file));
    }
    let me = format!("{} {} {}\n", std::process::id(), start_ticks(), boot_id());
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(me.as_bytes())).map_err(at)?;
    Ok(Lock { file })
}

/// Who wrote the lock file.
fn holder(dir: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    let start_ticks = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    let boot_id = words.next().unwrap_or_default().to_owned();
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

/// Our own start time, field 22 of `stat`; the name in field 2 may hold anything, so it is counted from its end.
fn start_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(19).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Reads the identity, or makes one. With it comes a sentence when the old one could not be read.
pub(crate) fn identity(dir: &Path) -> Result<(Identity, Option<String>), OpenError> {
    let path = dir.join("identity");
    let damage = match fs::read_to_string(&path) {
        Ok(text) => match parse(&text) {
            Some((LAYOUT, identity)) => return Ok((identity, None)),
            Some((found, _)) => return Err(OpenError::Layout { dir: dir.to_owned(), found }),
            None => Some("the store's identity was damaged; a new one was made".to_owned()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Some("the store's identity was damaged; a new one was made".to_owned())
        }
        Err(error) => return Err(OpenError::Io { path, error }),
    };
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random)
        .map_err(|error| OpenError::Io { path: path.clone(), error: io::Error::other(error.to_string()) })?;
    let (manager, seed) = random.split_at(16);
    let identity = Identity {
        manager: u128::from_le_bytes(manager.try_into().unwrap_or_default()),
        seed: u64::from_le_bytes(seed.try_into().unwrap_or_default()),
    };
    write(dir, &path, identity).map_err(|error| OpenError::Io { path, error })?;
    Ok((identity, damage))
}

fn parse(text: &str) -> Option<(u32, Identity)> {
    let mut words = text.split_whitespace();
    let layout = words.next()?.parse().ok()?;
    if layout != LAYOUT {
        return Some((layout, Identity { manager: 0, seed: 0 }));
    }
    let manager = u128::from_str_radix(words.next()?, 16).ok()?;
    let seed = u64::from_str_radix(words.next()?, 16).ok()?;
    Some((layout, Identity { manager, seed }))
}

/// As a whole or not at all, and on the disk: everything else hangs on it.
fn write(dir: &Path, path: &Path, identity: Identity) -> io::Result<()> {
    let fresh = dir.join("identity.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{LAYOUT} {:032x} {:016x}", identity.manager, identity.seed)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}
