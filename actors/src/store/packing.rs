//! How values are packed: by zstd, where the feature is on.
//!
//! What zstd works in is kept by each thread that packs or unpacks chunks: a chunk is 48 KiB, and to set up anew for each
//! costs half of what the packing does. It is less than a megabyte for each of the store's threads. A block of the journal
//! comes once in fifty decisions and sets up anew; by what it gives back then, malloc returns what the decisions left: kept,
//! memory grew by 6 MiB over 2,500 restarts.

/// Level 1 packs lines about fivefold at several hundred MB/s; higher levels cost more than the disk they save, and
/// whoever waits for the store waits longer.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

#[cfg(feature = "zstd")]
mod kept {
    use std::{cell::RefCell, io};
    use zstd::bulk::{Compressor, Decompressor};

    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    pub(super) fn compress(raw: &[u8]) -> io::Result<Vec<u8>> {
        COMPRESSOR.with_borrow_mut(|kept| match kept {
            Some(compressor) => compressor.compress(raw),
            None => kept.insert(Compressor::new(super::ZSTD_LEVEL)?).compress(raw),
        })
    }

    pub(super) fn decompress(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
        DECOMPRESSOR.with_borrow_mut(|kept| match kept {
            Some(decompressor) => decompressor.decompress(packed, length),
            None => kept.insert(Decompressor::new()?).decompress(packed, length),
        })
    }
}

/// The bytes packed, now and then; `None` where they stay as they are.
#[cfg(feature = "zstd")]
pub(super) fn compress_once(raw: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(raw, ZSTD_LEVEL).ok()
}

/// The bytes packed, one chunk after the other; `None` where they stay as they are.
#[cfg(feature = "zstd")]
pub(super) fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    kept::compress(raw).ok()
}

#[cfg(not(feature = "zstd"))]
pub(super) const fn compress_once(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(not(feature = "zstd"))]
pub(super) const fn compress(_: &[u8]) -> Option<Vec<u8>> {
    None
}

/// So many bytes as they were; `None` where they are damaged, or packed by a build that had zstd and this one has not.
pub(super) fn decompress(packed: &[u8], length: usize, zstd: bool) -> Option<Vec<u8>> {
    let raw = if zstd { unpack(packed, length)? } else { packed.to_vec() };
    (raw.len() == length).then_some(raw)
}

#[cfg(feature = "zstd")]
fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    kept::decompress(packed, length).ok()
}

#[cfg(not(feature = "zstd"))]
const fn unpack(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}
