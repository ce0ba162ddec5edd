//! Holes in spool files: what is stored is given back to the disk.

use std::{fs::File, io, os::fd::AsRawFd, path::Path};

/// Where data begins in a file, from this place on; nothing where the file ends or cannot tell.
pub(super) fn first_data(file: &File, from: u64) -> Option<u64> {
    let from = libc::off_t::try_from(from).ok()?;
    // SAFETY: the descriptor is open during the call, which touches no memory of ours. Reads give their own place.
    let data = unsafe { libc::lseek(file.as_raw_fd(), from, libc::SEEK_DATA) };
    u64::try_from(data).ok()
}

/// Gives the disk back.
pub(super) fn punch(file: &File, path: &Path, from: u64, to: u64) {
    // The reading handle cannot do it.
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(path).map_err(|_| file) else { return };
    let (Ok(from), Ok(length)) = (libc::off_t::try_from(from), libc::off_t::try_from(to - from)) else {
        return;
    };
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the descriptor is open during the call, which touches no memory of ours.
    if unsafe { libc::fallocate(file.as_raw_fd(), mode, from, length) } != 0 {
        log::debug!("spool not given back; error={}", io::Error::last_os_error());
    }
}
