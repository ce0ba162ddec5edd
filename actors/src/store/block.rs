//! Commits on their way into sled: many of them packed as one value.
//!
//! A decision is a kilobyte or more of text that resembles the one before it. Packed by the hundred they take a tenth of
//! the disk, and sled has one value to place where it had many: what the journal costs, on the disk and in sled's table
//! of pages, falls with it. The price: a flipped bit takes a block and not one commit.

use super::{
    codec::{In, Out},
    entry::{Entry, Key, read_body},
    frame::{self, Kind},
    packing::{compress_once, decompress},
};

/// Bytes of commits that make a block. Without zstd smaller: sled likes values that fit into its pages.
pub(super) const BLOCK_BYTES: usize = if cfg!(feature = "zstd") { 64 << 10 } else { 12 << 10 };

/// Bytes of a block that are believed; a commit alone stays far below.
const MAX_RAW: u64 = 256 << 20;

/// Packs sealed commits.
pub(super) fn pack<'a>(sealed: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let raw = sealed.fold(Vec::with_capacity(BLOCK_BYTES), |mut raw, commit| {
        raw.extend_from_slice(commit);
        raw
    });
    let packed = compress_once(&raw);
    let mut out = Out::default();
    out.u8(u8::from(packed.is_some()));
    out.var(raw.len() as u64);
    out.bytes(packed.as_deref().unwrap_or(&raw));
    frame::seal(Kind::Block, &out.0)
}

/// The commits of a block, one behind the other.
pub(super) struct Block(Vec<u8>);

impl Block {
    /// Reads a value of the journal: a block, or the single commit that older versions wrote.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        match frame::open(Kind::Block, value) {
            Some(body) => Self::read_body(body),
            None => frame::open(Kind::Commit, value).map(|_| Self(value.to_vec())),
        }
    }

    pub(super) fn read_body(body: &[u8]) -> Option<Self> {
        let mut body = In(body);
        let zstd = body.u8()? == 1;
        let length = usize::try_from(body.var().filter(|length| *length <= MAX_RAW)?).ok()?;
        decompress(body.bytes()?, length, zstd).map(Self)
    }

    /// Its commits with their keys, in order, and how many bytes each takes.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Key, Entry, usize)> {
        frame::sequence(Kind::Commit, &self.0).filter_map(|body| {
            let (key, entry) = read_body(body)?;
            Some((key, entry, body.len() + frame::HEADER))
        })
    }
}
