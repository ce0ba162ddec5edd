//! The ledgers of children, as a test reads them.

use crate::ledger::{ASKED, BEGAN, BY_EXIT, BY_SIGNAL, END, ENDED, PAD, PID, STDERR, TWIN, WRITTEN};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A run, by its id, and the number of an attempt.
pub(crate) type AttemptKey = (String, u64);

/// How an attempt is about to end, by its own word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Code(u64),
    Signal(u64),
}

/// What an attempt wrote down of itself.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) pid: u64,
    pub(crate) began_ns: u64,
    pub(crate) asked: u64,
    pub(crate) written: u64,
    pub(crate) end: Option<End>,
    pub(crate) ended_ns: u64,
    pub(crate) twin: bool,
    pub(crate) pad: u64,
    pub(crate) stderr: bool,
}

/// Every ledger, and the names of those that were begun a second time.
#[derive(Default)]
pub(crate) struct Ledgers {
    pub(crate) attempts: BTreeMap<AttemptKey, Read>,
    pub(crate) again: BTreeSet<String>,
    /// Those that were compared and do not change any more.
    pub(crate) closed: BTreeSet<AttemptKey>,
    /// Files that were left lying, and were told of.
    pub(crate) spool_known: BTreeSet<String>,
}

pub(crate) fn read_on(folder: &Path, all: &mut Ledgers) {
    for entry in std::fs::read_dir(folder).expect("ledgers").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["lock", _] => {}
            [run, attempt] => {
                let Ok(number) = attempt.parse() else { continue };
                let key = (run.to_owned(), number);
                if all.closed.contains(&key) {
                    continue;
                }
                if let Some(read) = read(&entry.path()) {
                    all.attempts.insert(key, read);
                }
            }
            _ => drop(all.again.insert(name)),
        }
    }
}

/// Reads again those that are known, and those of attempts that the journal tells: one that began and ended since the first
/// look is told as over, and its ledger says how. No others: the journal cannot have what began after it was read.
pub(crate) fn read_again<'a>(folder: &Path, all: &mut Ledgers, told: impl Iterator<Item = &'a AttemptKey>) {
    let known: BTreeSet<_> = all.attempts.keys().cloned().chain(told.cloned()).collect();
    for key in known.difference(&all.closed) {
        if let Some(read) = read(&folder.join(format!("{}.{}", key.0, key.1))) {
            all.attempts.insert(key.clone(), read);
        }
    }
}

/// `None` while its owner has not come to write down when it began.
fn read(path: &Path) -> Option<Read> {
    let bytes = std::fs::read(path).ok()?;
    let field = |number: usize| {
        let bytes = bytes.get(number * 8..number * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let end = field(END)?;
    let end = match (end & BY_EXIT != 0, end & BY_SIGNAL != 0) {
        (true, _) => Some(End::Code(end ^ BY_EXIT)),
        (_, true) => Some(End::Signal(end ^ BY_SIGNAL)),
        _ => None,
    };
    let read = Read {
        pid: field(PID)?,
        began_ns: field(BEGAN)?,
        asked: field(ASKED)?,
        written: field(WRITTEN)?,
        end,
        ended_ns: field(ENDED)?,
        twin: field(TWIN)? == 1,
        pad: field(PAD)?,
        stderr: field(STDERR)? == 1,
    };
    (read.began_ns != 0).then_some(read)
}
