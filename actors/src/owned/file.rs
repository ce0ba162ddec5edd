//! Files of ours, opened so that nothing else is taken for one.

use super::owner::{is_trusted, name_of};
use std::{
    fs::{DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

/// How a file of ours is opened: no link is followed, a FIFO is not waited for, and what is made is for us alone.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Without effect on a plain file but at its open.
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    options
}

/// Opens a file of ours. Do not truncate by the options: what is opened is looked at first ([`write()`] does it right).
///
/// # Errors
/// The system's, and a sentence for what is no plain file of ours.
pub fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => strange("it is a symbolic link, and no file of a store may be one; remove it"),
        Some(libc::ENXIO) => strange("it is no plain file; remove it"),
        _ => error,
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(strange("it is no plain file; remove it"));
    }
    check_owner(&metadata)?;
    Ok(file)
}

/// Owned by us or by root. Whoever else owns a file chooses what stands in it.
fn check_owner(metadata: &Metadata) -> io::Result<()> {
    match metadata.uid() {
        owner if is_trusted(owner) => Ok(()),
        owner => Err(strange(&format!("it belongs to {}; remove it", name_of(owner)))),
    }
}

fn strange(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// All bytes of a file of ours.
///
/// # Errors
/// See [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(options().read(true), path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file of ours.
///
/// # Errors
/// See [`open`]; [`io::ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(options().read(true), path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a file of ours, or replaces what stands in it; returned for those who want it on the disk.
///
/// # Errors
/// See [`open`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = open(options().write(true).create(true), path)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Copies a file of ours to another.
///
/// # Errors
/// See [`open`].
pub fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let mut from = open(options().read(true), from)?;
    let mut to = open(options().write(true).create(true), to)?;
    to.set_len(0)?;
    io::copy(&mut from, &mut to)
}

/// Makes a folder of ours inside a store, for us alone, or makes sure that what is there is one.
///
/// # Errors
/// The system's, and a sentence for a link or somebody else's folder.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Err(strange("it is a symbolic link, and no folder of a store may be one; remove it"));
    }
    check_owner(&metadata)
}
