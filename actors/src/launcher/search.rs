//! The file system, as the machine asks for it.

use super::machine::Files;
use std::{
    ffi::CString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Names looked through for a similar one: a help, not a search.
const NAMES: usize = 1_000;

/// The real one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk;

impl Files for Disk {
    fn is_file(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
    }

    fn is_executable(&self, path: &Path) -> bool {
        may(path, libc::X_OK)
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok()
    }

    fn similar(&self, folder: &Path, name: &str) -> Option<String> {
        let names = fs::read_dir(folder).ok()?.take(NAMES).flatten().map(|entry| entry.file_name());
        let near = names
            .filter_map(|n| n.into_string().ok())
            .filter(|n| folder.join(n).exists())
            .map(|n| (distance(name, &n), n));
        near.filter(|(distance, _)| *distance <= 2).min().map(|(_, name)| name)
    }
}

/// Whether the kernel would let us.
pub(super) fn may(path: &Path, mode: libc::c_int) -> bool {
    CString::new(path.as_os_str().as_bytes()).is_ok_and(|path| {
        // SAFETY: `path` is a C string that outlives the call.
        unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) == 0 }
    })
}

/// Single edits between two names, the extension of the second left out.
fn distance(wanted: &str, found: &str) -> usize {
    let stem = |name: &str| name.rsplit_once('.').map_or(name.to_owned(), |(stem, _)| stem.to_owned());
    let (a, b) = (stem(wanted), stem(found));
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_script_is_recognised() {
        assert_eq!(distance("scrpe", "scrape.py"), 1);
        assert_eq!(distance("scrape.py", "scrape.py"), 0);
        assert!(distance("etl", "scrape.py") > 2);
    }
}
