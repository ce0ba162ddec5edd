//! The beginnings of chunks that are too large for one value.
//!
//! Each carries whose it is: the number of its chunk's first piece, which no other chunk has, and its place among the parts.
//! So a chunk is put together again from raw bytes, too. Parts of earlier versions carry nothing and are found by the
//! keys around them alone.

use crate::store::{
    codec::{In, Out},
    frame::{self, Kind},
};
use std::{collections::HashMap, ops::Range};

/// A part as it is stored.
pub(super) fn seal(chunk: u64, place: u64, bytes: &[u8]) -> Vec<u8> {
    let mut body = Out::default();
    body.u64(chunk);
    body.var(place);
    body.0.extend_from_slice(bytes);
    frame::seal(Kind::NamedPart, &body.0)
}

/// The bytes of a stored part; nothing when it is damaged.
pub(super) fn open(value: &[u8]) -> Option<&[u8]> {
    match frame::open(Kind::NamedPart, value) {
        Some(body) => read(body).map(|(_, bytes)| bytes),
        None => frame::open(Kind::Part, value),
    }
}

fn read(body: &[u8]) -> Option<((u64, u64), &[u8])> {
    let mut body = In(body);
    let name = (body.u64()?, body.var()?);
    Some((name, body.0))
}

/// Where parts lie in raw bytes, by their names.
#[derive(Debug, Default)]
pub(super) struct Parts(HashMap<(u64, u64), Range<usize>>);

impl Parts {
    pub(super) fn of(raw: &[u8]) -> Self {
        let place = |bytes: &[u8]| {
            let from = bytes.as_ptr() as usize - raw.as_ptr() as usize;
            from..from + bytes.len()
        };
        let found = frame::salvage(Kind::NamedPart, raw).filter_map(read);
        Self(found.map(|(name, bytes)| (name, place(bytes))).collect())
    }

    /// A part of a chunk; `raw` are the bytes that were looked through.
    pub(super) fn get<'a>(&self, raw: &'a [u8], chunk: u64, place: u64) -> Option<&'a [u8]> {
        raw.get(self.0.get(&(chunk, place))?.clone())
    }
}
