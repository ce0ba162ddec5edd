//! The write-ahead file: what was decided and is not yet flushed by sled.
//!
//! A flush of sled waits for the disk (0.2 ms and more), and a restart waits for its decision to be written. So a commit
//! is answered when it is in this file, by one `write` into the page cache, which survives the death of the process as a
//! flush does, and power loss as little as a flush does. sled gets it right after the answer, and once sled has flushed,
//! writing begins at the front again. What stands behind is old: whoever reads the file passes over keys that sled has.
//!
//! The file has its size from the beginning, so that on a full disk decisions can still be written: a stop must work.

use super::{
    entry::{Entry, Key, read_body},
    frame::{self, Kind},
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Size of the file: room for a thousand decisions and more while sled, on a full disk, takes none.
const RESERVE: usize = 2 << 20;

/// Commits since sled's last flush, one sealed entry behind the other.
pub(crate) struct Ahead {
    file: File,
    bytes: u64,
}

impl Ahead {
    /// Opens the file and reads what its last owners left in it, in order. A torn or damaged entry is passed over: it was
    /// never answered, or its checksum says so.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<(Key, Entry)>)> {
        let left = std::fs::read(path).unwrap_or_default();
        let mut entries: Vec<_> = frame::salvage(Kind::Commit, &left).filter_map(read_body).collect();
        entries.sort_by_key(|(key, _)| *key);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if let Err(error) = reserve(&file, left.len()) {
            log::warn!("no room is reserved for decisions on a full disk; error={error}");
        }
        Ok((Self { file, bytes: 0 }, entries))
    }

    /// Writes sealed entries behind the others: all of them, or none that a reader would find.
    pub(crate) fn append(&mut self, sealed: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(sealed, self.bytes) {
            // Half of a batch must not be found by the next owner; its first bytes are there, so they can be overwritten.
            let _ = self.file.write_all_at(&[0; frame::HEADER], self.bytes);
            return Err(error);
        }
        self.bytes += sealed.len() as u64;
        Ok(())
    }

    /// What sled has not flushed, in order.
    pub(crate) fn entries(&self) -> Vec<(Key, Entry)> {
        let mut written = vec![0; usize::try_from(self.bytes).unwrap_or(0)];
        if let Err(error) = self.file.read_exact_at(&mut written, 0) {
            log::error!("the write-ahead file cannot be read; error={error}");
            return Vec::new();
        }
        frame::salvage(Kind::Commit, &written).filter_map(read_body).collect()
    }

    /// sled has flushed what stands before this place: what stands behind it comes to the front. It stays where it is as well,
    /// until it is overwritten, so that a death in between finds it; twice is once, because each has its key.
    ///
    /// Nothing happens when that is more than there is room for in front of it. Whether something did.
    pub(crate) fn forget(&mut self, before: u64) -> io::Result<bool> {
        let rest = self.bytes.saturating_sub(before);
        if rest > before {
            return Ok(false);
        }
        if rest > 0 {
            let mut behind = vec![0; usize::try_from(rest).unwrap_or(0)];
            self.file.read_exact_at(&mut behind, before)?;
            self.file.write_all_at(&behind, 0)?;
        }
        self.bytes = rest;
        Ok(true)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Fills the file up with zeroes. Written, not just declared: blocks that were never written are not there on a full
/// disk. In small pieces: glibc takes the largest piece that was ever freed as a sign of what it should keep for itself.
fn reserve(file: &File, from: usize) -> io::Result<()> {
    let zeroes = [0; 16 << 10];
    let mut at = from;
    while let Some(missing) = RESERVE.checked_sub(at).filter(|missing| *missing > 0) {
        let piece = zeroes.get(..missing).unwrap_or(&zeroes);
        file.write_all_at(piece, at as u64)?;
        at += piece.len();
    }
    Ok(())
}
