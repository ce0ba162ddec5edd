//! The write-ahead file: what was decided and is not yet flushed by sled.
//!
//! A flush of sled waits for the disk (0.2 ms and more), and a restart waits for its decision to be written. So a commit
//! is answered when it is in this file, by one `write` into the page cache, which survives the death of the process as a
//! flush does, and power loss as little as a flush does. sled gets it right after the answer, and once sled has flushed,
//! the file is emptied.

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

/// Commits since sled's last flush, one sealed entry behind the other.
pub(crate) struct Ahead {
    file: File,
    bytes: u64,
}

impl Ahead {
    /// Opens the file and reads what the last owner left in it. A torn or damaged entry is passed over: it was never
    /// answered, or its checksum says so.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<(Key, Entry)>)> {
        let left = std::fs::read(path).unwrap_or_default();
        let entries = frame::salvage(Kind::Commit, &left).filter_map(read_body).collect();
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok((Self { file, bytes: left.len() as u64 }, entries))
    }

    /// Writes sealed entries behind the others: all of them, or none that a reader would find.
    pub(crate) fn append(&mut self, sealed: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(sealed, self.bytes) {
            let _ = self.file.set_len(self.bytes); // Half of a batch must not be found by the next owner.
            return Err(error);
        }
        self.bytes += sealed.len() as u64;
        Ok(())
    }

    /// sled has flushed all of it.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.bytes > 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
        }
        Ok(())
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
