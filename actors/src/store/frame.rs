//! How a value of ours looks in sled: version, magic, length, checksum, body.
//!
//! The version is the first byte. Magic and checksum make a value recognisable in the raw bytes of a database that
//! cannot be opened any more.

use memchr::memmem;

/// Version of everything we write; a value with another one is not ours to read.
const VERSION: u8 = 1;

/// Bytes before the body.
pub(crate) const HEADER: usize = 12;

/// Longest body that is believed; what claims to be longer is noise that looks like a header.
const MAX_BODY: usize = 64 << 20;

/// What a value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// One commit of the journal.
    Commit,
    /// Many commits, packed together.
    Block,
    /// One key of the state.
    State,
    /// Bookkeeping of the store itself.
    Meta,
    /// One chunk of output.
    Chunk,
    /// The beginning of a chunk that is too large for one value.
    Part,
    /// Likewise, with whose beginning it is.
    NamedPart,
    /// The headers of all chunks of a sealed segment.
    Index,
    /// How far streams were stored whose output was deleted.
    Carried,
}

impl Kind {
    /// Version and magic: the first four bytes.
    const fn start(self) -> [u8; 4] {
        match self {
            Self::Commit => [VERSION, b'j', b'r', b'n'],
            Self::Block => [VERSION, b'b', b'l', b'k'],
            Self::State => [VERSION, b's', b't', b'a'],
            Self::Meta => [VERSION, b'm', b't', b'a'],
            Self::Chunk => [VERSION, b'c', b'h', b'k'],
            Self::Part => [VERSION, b'p', b'r', b't'],
            Self::NamedPart => [VERSION, b'p', b'r', b'n'],
            Self::Carried => [VERSION, b'c', b'r', b'd'],
            Self::Index => [VERSION, b'i', b'd', b'x'],
        }
    }
}

/// Wraps a body.
pub(crate) fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend_from_slice(&kind.start());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// The body, if this is an undamaged value of the kind.
pub(crate) fn open(kind: Kind, bytes: &[u8]) -> Option<&[u8]> {
    let body = open_prefix(kind, bytes)?;
    (bytes.len() == HEADER + body.len()).then_some(body)
}

/// The body of a value at the beginning of `bytes`, whatever follows.
fn open_prefix(kind: Kind, bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&kind.start())?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|n| *n <= MAX_BODY)?;
    let body = rest.get(..length)?;
    (crc32fast::hash(body) == u32::from_le_bytes(*crc)).then_some(body)
}

/// The bodies of values that stand one behind the other, up to the first that is none.
pub(crate) fn sequence(kind: Kind, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let body = open_prefix(kind, bytes)?;
        bytes = bytes.get(HEADER + body.len()..)?;
        Some(body)
    })
}

/// All undamaged bodies of the kind anywhere in these raw bytes.
pub(crate) fn salvage(kind: Kind, raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = kind.start();
    memmem::find_iter(raw, &start)
        .filter_map(move |at| open_prefix(kind, raw.get(at..)?))
        .collect::<Vec<_>>()
        .into_iter()
}
