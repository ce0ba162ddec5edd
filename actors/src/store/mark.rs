//! How far the journal and the state were flushed, beside sled: it takes a damaged log for one that ends there and opens
//! without a word.

use super::{
    codec::{In, Out},
    entry::{Key, key_bytes, read_key},
    frame::{self, Kind},
};
use crate::owned;
use std::{fs::File, io::ErrorKind, os::unix::fs::FileExt, path::Path};

/// Its name in the store's folder.
const NAME: &str = "journal.mark";

/// What was flushed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Marked {
    /// The newest commit.
    pub(super) journal: Key,
    /// The commit up to which the state goes.
    pub(super) state: Key,
}

/// What the last owner marked. One that is not there, or cannot be read, says that nothing is missing: it is a witness,
/// and a bad witness is no damage.
pub(super) fn read(root: &Path) -> Marked {
    let bytes = match owned::read(&root.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                log::warn!("the journal's mark cannot be read; error={error}");
            }
            return Marked::default();
        }
    };
    // Versions before this one wrote the journal's key alone, without a checksum.
    let old = || read_key(&bytes).map(|journal| Marked { journal, state: (0, 0) });
    let read = |body: &[u8]| {
        let mut body = In(body);
        let journal = read_key(body.bytes()?)?;
        Some(Marked { journal, state: read_key(body.bytes()?)? })
    };
    frame::open(Kind::Meta, &bytes).and_then(read).or_else(old).unwrap_or_else(|| {
        log::warn!("the journal's mark is damaged, and is made anew");
        Marked::default()
    })
}

/// The mark, to be written.
pub(super) fn open(root: &Path) -> Option<File> {
    let opened = owned::open(owned::options().write(true).create(true), &root.join(NAME));
    opened.map_err(|error| log::warn!("no mark for the journal; error={error}")).ok()
}

/// A few microseconds. One that cannot be written stays behind, and notices less.
pub(super) fn write(file: &File, marked: Marked) {
    let mut out = Out::default();
    out.bytes(&key_bytes(marked.journal));
    out.bytes(&key_bytes(marked.state));
    let _ = file.write_all_at(&frame::seal(Kind::Meta, &out.0), 0);
}
