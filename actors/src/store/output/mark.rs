//! The mark of a segment: the newest key that was flushed, by which silent loss is noticed.
//!
//! sled takes a damaged log for one that ends there and opens without a word. The mark knows better, unless it is damaged
//! itself: it carries a checksum, and what it says without one is believed only where the raw bytes bear it out.

use crate::owned;
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// What a mark says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Marked {
    /// There is none.
    None,
    /// Up to this key everything was there.
    To(u64),
    /// Likewise, by the word of an earlier version, without a checksum.
    Unproven(u64),
    /// It is damaged and says nothing.
    Damaged,
}

/// The file of a mark.
#[derive(Debug)]
pub(super) struct Mark(File);

/// The key and its checksum.
fn bytes(key: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (number, crc) = bytes.split_at_mut(8);
    number.copy_from_slice(&key.to_be_bytes());
    crc.copy_from_slice(&crc32fast::hash(number).to_be_bytes());
    bytes
}

pub(super) fn read(path: &Path) -> Marked {
    let Ok(found) = owned::read(path) else { return Marked::None };
    let Some((number, crc)) = found.split_first_chunk::<8>() else {
        return if found.is_empty() { Marked::None } else { Marked::Damaged };
    };
    let key = u64::from_be_bytes(*number);
    match crc {
        [] => Marked::Unproven(key),
        _ if found == bytes(key) => Marked::To(key),
        _ => Marked::Damaged,
    }
}

impl Mark {
    pub(super) fn open(path: &Path) -> Option<Self> {
        let opened = owned::open(owned::options().write(true).create(true), path);
        opened.map_err(|error| log::warn!("no mark for a segment; error={error}")).ok().map(Self)
    }

    /// A few microseconds; a mark that could not be written only knows less.
    pub(super) fn write(&self, key: u64) {
        let _ = self.0.write_all_at(&bytes(key), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_mark_says_its_key_or_that_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        assert_eq!(read(&path), Marked::None);
        let mark = Mark::open(&path).unwrap();
        mark.write(300);
        mark.write(7);
        assert_eq!(read(&path), Marked::To(7));
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            assert_eq!(read(&path), Marked::Damaged, "bit {bit}");
        }
        fs::write(&path, &good[..5]).unwrap();
        assert_eq!(read(&path), Marked::Damaged);
        fs::write(&path, 9_u64.to_be_bytes()).unwrap();
        assert_eq!(read(&path), Marked::Unproven(9));
    }
}
