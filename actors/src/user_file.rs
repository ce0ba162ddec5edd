//! Opening a file that a user named: at once, or not at all.
//!
//! A path in a configuration may lead anywhere: to a named pipe that nobody writes, to a device without an end, to a file
//! of the kernel's that waits for its next line. So a file is looked at before it is opened (opening a device can already
//! do something), opened without waiting, looked at again, and read up to a limit. What this cannot prevent is a file
//! system that does not answer, such as a dead network mount: whoever has a thread that others need reads beside it.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// File systems whose regular files are made by the kernel while they are read: `proc`, `sysfs`, `debugfs`, `tracefs`.
const OF_THE_KERNEL: [u32; 4] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163];

/// Opens a regular file for reading; never waits for a writer.
///
/// # Errors
/// The kernel's word; [`io::ErrorKind::IsADirectory`]; [`io::ErrorKind::InvalidInput`] for a pipe, a socket, a device or
/// a file of the kernel's.
pub fn open(path: &Path) -> io::Result<File> {
    must_be_regular(&std::fs::metadata(path)?)?;
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // What the path leads to may have changed since the first look.
    must_be_regular(&file.metadata()?)?;
    if is_of_the_kernel(&file) {
        return Err(unusable("is made by the kernel (/proc, /sys), no file of anybody's"));
    }
    Ok(file)
}

/// The text of a regular file of at most so many bytes.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] and [`io::ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    // The size is looked at first, and not believed: a file may grow meanwhile.
    let mut size = file.metadata()?.len();
    if size <= largest {
        file.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
        size = bytes.len() as u64;
    }
    if size > largest {
        let text = format!("is larger than {} MiB", largest >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8"))
}

fn must_be_regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    Err(unusable(if kind.is_fifo() {
        "is a pipe, no regular file"
    } else if kind.is_socket() {
        "is a socket, no regular file"
    } else {
        "is a device, no regular file"
    }))
}

fn unusable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn is_of_the_kernel(file: &File) -> bool {
    let is = |kind: i128| OF_THE_KERNEL.iter().any(|magic| i128::from(*magic) == kind);
    rustix::fs::fstatfs(file).is_ok_and(|found| is(i128::from(found.f_type)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::CString, os::unix::net::UnixListener};

    #[track_caller]
    fn refused(path: &str) -> String {
        let error = read_text(Path::new(path), 1 << 20).unwrap_err();
        assert!(error.to_string().starts_with("is "), "{path}: {error}");
        error.to_string()
    }

    #[test]
    fn what_never_ends_or_waits_for_somebody_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let fifo = at("fifo");
        let name = CString::new(fifo.clone()).unwrap();
        // SAFETY: the name is a C string that outlives the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        std::os::unix::fs::symlink(&fifo, at("link")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(refused(&fifo), "is a pipe, no regular file");
        assert_eq!(refused(&at("link")), "is a pipe, no regular file");
        assert_eq!(refused(&at("socket")), "is a socket, no regular file");
        assert_eq!(refused("/dev/zero"), "is a device, no regular file");
        assert_eq!(refused("/dev/tty"), "is a device, no regular file");
        assert_eq!(
            refused("/proc/self/environ"),
            "is made by the kernel (/proc, /sys), no file of anybody's"
        );
        assert_eq!(refused(folder.path().to_str().unwrap()), "is a directory");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, vec![b'a'; 1 << 20]).unwrap();
        assert_eq!(read_text(&file, 1 << 20).unwrap().len(), 1 << 20);
        std::fs::write(&file, vec![b'a'; (1 << 20) + 1]).unwrap();
        assert_eq!(refused(file.to_str().unwrap()), "is larger than 1 MiB");
        let sparse = File::create(&file).unwrap();
        sparse.set_len(20 << 30).unwrap();
        assert_eq!(refused(file.to_str().unwrap()), "is larger than 1 MiB");
        std::fs::write(&file, b"caf\xe9").unwrap();
        assert_eq!(refused(file.to_str().unwrap()), "is not UTF-8");
        std::fs::write(&file, b"").unwrap();
        assert_eq!(read_text(&file, 0).unwrap(), "");
    }
}
