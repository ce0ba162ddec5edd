//! The files of a configuration: read at once, and what their paths are relative to.

use crate::actors::user_file;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Largest file in bytes: a configuration of ten thousand programs is smaller, and what is larger is no configuration.
const LARGEST_FILE: u64 = 8 << 20;

/// Reads a file as text; at once, whatever the path leads to.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    user_file::read_text(path, LARGEST_FILE)
}

/// Why a file cannot be read, and what to do.
pub(super) fn unreadable(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => ("it does not exist".into(), "write it, or name another file"),
        io::ErrorKind::PermissionDenied => {
            ("it may not be read by this user".into(), "change its owner or its mode")
        }
        io::ErrorKind::IsADirectory => ("it is a directory".into(), "name a file in it"),
        io::ErrorKind::InvalidData => (format!("it {error}"), "save it as UTF-8"),
        io::ErrorKind::FileTooLarge => (format!("it {error}"), "divide it, and join the parts by `include`"),
        io::ErrorKind::InvalidInput => {
            (format!("it {error}"), "name a regular file; write what a program makes into one first")
        }
        _ => (error.to_string(), "name another file"),
    }
}

/// The folder that relative paths of a file are relative to.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Absolute, without looking at links: the keeper that uses it may stand in another folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
