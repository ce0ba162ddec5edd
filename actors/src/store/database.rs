//! Opening a sled database that may be in any state.

use super::panics::caught;
use crate::{clock, owned};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs something that calls sled, which panics where others return errors.
pub(crate) fn guard<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match caught(work) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(why) => Err(format!("sled panicked: {why}")),
    }
}

/// Opens a database; `cache` bytes of its pages stay in memory.
pub(crate) fn open(path: &Path, cache: u64) -> Result<sled::Db, String> {
    remove_leftovers(path);
    // Flushing is ours to decide: a thread of sled's that flushes now and then would only be in the way.
    let config = sled::Config::default()
        .path(path)
        .cache_capacity(cache)
        .flush_every_ms(None)
        .use_compression(false)
        .print_profile_on_drop(false);
    let mut opened = guard(|| config.open());
    for _ in 0..LOCKED_TRIES {
        if !opened.as_ref().is_err_and(|problem| problem.contains(LOCKED)) {
            break;
        }
        clock::pause(Duration::from_millis(10));
        opened = guard(|| config.open());
    }
    opened
}

/// What sled says when its own lock is held. The store's lock is ours by then, so that it can only be a child which was
/// forked, by anybody in this process, before the last database was closed, and has not executed yet.
const LOCKED: &str = "could not acquire lock";

/// A second of them: a child executes within milliseconds, and what is locked for longer is no child of that kind.
const LOCKED_TRIES: usize = 100;

/// A snapshot that sled was writing when it was killed makes the next open fail; it is never needed.
fn remove_leftovers(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            log::info!("leftover snapshot removed; file={name}");
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Bytes that the disk must take before a database is opened: sled writes more than one page at its open.
const ROOM: usize = 1 << 20;

/// Whether the disk takes something and a descriptor is left. Without, an open fails, and that says nothing about damage.
pub(crate) fn room(dir: &Path) -> io::Result<()> {
    let probe = dir.join("probe");
    let written = fs::write(&probe, vec![1; ROOM]);
    let _ = fs::remove_file(&probe);
    written
}

/// A copy of a database's log as it was before it was opened: when sled meets damage it cuts its log there, so what lies
/// behind would be gone before anybody knows of it. Removed when it is no longer needed.
pub(crate) struct Before {
    root: PathBuf,
    path: PathBuf,
    copy: PathBuf,
    copied: bool,
}

impl Before {
    /// Copies what is in `path`, a folder below `root`, beside the folder that it is in.
    pub(crate) fn keep(root: &Path, path: &Path) -> Self {
        let above = path.parent().and_then(Path::file_name).unwrap_or_default();
        let copy = root.join(above).with_extension("before");
        let copied = owned::copy(&path.join("db"), &copy).is_ok();
        Self { root: root.to_owned(), path: path.to_owned(), copy, copied }
    }

    /// Moves the database aside. Returns where it is, and its raw bytes: as they were before, else as the open left them.
    pub(crate) fn set_aside(&self, problem: &str) -> Result<(PathBuf, Vec<u8>), String> {
        let aside = quarantine(&self.root, &self.path).map_err(|error| format!("{problem}; {error}"))?;
        let raw = raw(self.copied.then_some(&*self.copy), &aside);
        let _ = fs::rename(&self.copy, aside.join("db.before"));
        Ok((aside, raw))
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.copy);
    }
}

/// What a folder takes on the disk.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// The raw bytes of a damaged database: as copied before its open, else as the open left them.
pub(crate) fn raw(before: Option<&Path>, aside: &Path) -> Vec<u8> {
    owned::read(&before.map_or_else(|| aside.join("db"), Path::to_owned)).unwrap_or_default()
}

/// Moves a damaged database aside, to `damaged-<n>` in `root`.
pub(crate) fn quarantine(root: &Path, path: &Path) -> io::Result<PathBuf> {
    for n in 1..u32::MAX {
        let aside = root.join(format!("damaged-{n}"));
        if !aside.exists() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other("no name left for damaged databases"))
}

/// Gives only the owner access to all that is in this folder; best effort, the folder above is 0700 anyway.
pub(crate) fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let mode = if entry.file_type().is_ok_and(|t| t.is_dir()) { 0o700 } else { 0o600 };
        let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode));
    }
}
