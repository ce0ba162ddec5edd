//! The file system, as the machine asks for it.

use super::machine::Files;
use crate::model::did_you_mean;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The number of names that are searched for a similar one: a help, not a search. A folder of programs has a few
/// thousand.
const NAMES: usize = 5_000;

/// The real file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk;

impl Files for Disk {
    fn is_file(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
    }

    fn is_executable(&self, path: &Path) -> bool {
        may_execute(path)
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok()
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        fs::read_link(path).ok()
    }

    fn similar(&self, folder: &Path, name: &str) -> Option<String> {
        let names = fs::read_dir(folder).ok()?.take(NAMES).flatten().map(|entry| entry.file_name());
        let there = names.filter_map(|n| n.into_string().ok()).filter(|n| self.is_file(&folder.join(n)));
        nearest(name, &there.collect::<Vec<_>>())
    }
}

/// Whether the kernel would let us execute a file, or go through a folder.
pub(super) fn may_execute(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// A name without its extension.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The file that a mistyped name most likely meant; the extension may be missing. `None` when no name is near.
fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    if let Some(name) = did_you_mean(wanted, names.iter().map(String::as_str)) {
        return Some(name.to_owned());
    }
    let near = did_you_mean(stem(wanted), names.iter().map(|name| stem(name)))?;
    names.iter().find(|name| stem(name) == near).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_script_is_recognised() {
        let names = ["scrape.py", "etl.sh"].map(str::to_owned);
        assert_eq!(nearest("scrpe", &names).as_deref(), Some("scrape.py"));
        assert_eq!(nearest("scarpe.py", &names).as_deref(), Some("scrape.py"));
        assert_eq!(nearest("load", &names), None);
        let programs = ["python3.7-config", "python3"].map(str::to_owned);
        assert_eq!(nearest("pyhton3", &programs).as_deref(), Some("python3"));
    }
}
