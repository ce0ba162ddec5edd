//! Gives the disk back that a stored part of a spool takes.

use std::{fs::File, io, os::fd::AsRawFd, path::Path};

/// Makes a hole between these places; what cannot be given back stays.
pub(crate) fn punch(file: &File, path: &Path, from: u64, to: u64) {
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
