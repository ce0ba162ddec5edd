//! Looks at the folder and the file of a start that failed: the facts by which `machine/diagnosis.rs` says why.

use super::{
    machine::{CwdFact, FileFact, FirstLine},
    search::may_execute,
};
use crate::user_file;
use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};

/// The number of bytes of a first line that the kernel reads.
const FIRST_LINE: u64 = 256;

/// Returns what the working directory is.
pub(super) fn look_at_cwd(path: &Path) -> CwdFact {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => CwdFact::Closed,
        Err(_) => CwdFact::Missing,
        Ok(metadata) if !metadata.is_dir() => CwdFact::NoFolder,
        Ok(_) if may_execute(path) => CwdFact::Usable,
        Ok(_) => CwdFact::Closed,
    }
}

/// Returns what the file to execute is; relative interpreters are looked for in the working directory.
pub(super) fn look_at_file(path: &Path, cwd: &Path) -> FileFact {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => FileFact::Hidden,
        Err(_) => fs::read_link(path).map_or(FileFact::Missing, FileFact::Dangling),
        Ok(metadata) if !metadata.is_file() => FileFact::NoFile,
        Ok(metadata) => FileFact::Present {
            mode: metadata.mode(),
            executable: may_execute(path),
            first_line: first_line(path, cwd),
        },
    }
}

fn first_line(path: &Path, cwd: &Path) -> FirstLine {
    let mut head = Vec::new();
    // A program that may be executed but not read has no first line for us.
    let read = user_file::open(path).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut head));
    if read.is_err() {
        return FirstLine::None;
    }
    FirstLine::of(&head, |interpreter| cwd.join(interpreter).exists())
}
