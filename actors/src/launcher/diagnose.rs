//! Gathers what a diagnosis needs, after a spawn has failed.

use super::{
    machine::{CwdFact, FileFact},
    search::may,
};
use crate::user_file;
use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};

/// Bytes of a first line that the kernel reads.
const FIRST_LINE: u64 = 256;

/// What the working directory is.
pub(super) fn look_at_cwd(path: &Path) -> CwdFact {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => CwdFact::Closed,
        Err(_) => CwdFact::Missing,
        Ok(metadata) if !metadata.is_dir() => CwdFact::NoFolder,
        Ok(_) if may(path, libc::X_OK) => CwdFact::Usable,
        Ok(_) => CwdFact::Closed,
    }
}

/// What the file to execute is.
pub(super) fn look_at_file(path: &Path) -> FileFact {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => FileFact::Hidden,
        Err(_) => fs::read_link(path).map_or(FileFact::Missing, FileFact::Dangling),
        Ok(metadata) if !metadata.is_file() => FileFact::NoFile,
        Ok(metadata) => FileFact::Present {
            mode: metadata.mode(),
            executable: may(path, libc::X_OK),
            shebang: shebang(path),
        },
    }
}

fn shebang(path: &Path) -> Option<(String, bool)> {
    let mut head = Vec::new();
    user_file::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next()?;
    Some((interpreter.to_owned(), Path::new(interpreter).exists()))
}
