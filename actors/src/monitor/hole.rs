//! Holes in spool files: what is stored is given back to the disk.

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use std::{fs::File, io, path::Path};

/// Where data begins in a file, from this place on; `None` where the file ends or cannot tell.
pub(super) fn first_data(file: &File, from: u64) -> Option<u64> {
    // The file's position moves, which does no harm: reads give their own.
    seek(file, SeekFrom::Data(from)).ok()
}

/// Gives this part of the file back to the disk.
pub(super) fn punch(file: &File, path: &Path, from: u64, to: u64) {
    // The reading handle cannot do it.
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(path).map_err(|_| file) else { return };
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if let Err(error) = fallocate(file, mode, from, to - from) {
        log::debug!("spool not given back; error={}", io::Error::from(error));
    }
}
