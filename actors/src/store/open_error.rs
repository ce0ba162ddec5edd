//! Why a store cannot be opened.

use crate::owned::FolderError;
use std::{io, path::PathBuf};

/// The layout that this version writes. It takes over those before it: layout 1 had one database for journal and state.
pub(super) const LAYOUT: u32 = 2;

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
    /// The folder is not ours to take.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another version of this library wrote it.
    #[error("the store {} has layout {found}, and this version reads layouts up to {LAYOUT}", dir.display())]
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
