//! A commit, and how it and a key of the state are written.

use super::{
    codec::{In, Out},
    frame::{self, Kind},
};
use crate::model::Put;

/// Where the database keeps how far its state goes.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Where it keeps that its last owner closed it.
pub(crate) const CLEAN: &str = "clean";

/// Keys of the journal: sequence number of the first record, then a counter, because a commit may have no record.
pub(crate) type Key = (u64, u32);

/// All that one decision changes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Sequence number of the first record; the others follow it without a gap.
    pub first_seq: u64,
    /// Journal records.
    pub records: Vec<Vec<u8>>,
    /// Changes of state.
    pub puts: Vec<Put>,
    /// What led to it: what the machines were told, in order. The store does not look into it.
    pub inputs: Vec<Vec<u8>>,
}

/// One commit as it is stored.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) at_ms: u64,
    pub(crate) commit: Commit,
}

pub(crate) fn key_bytes(key: Key) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (seq, count) = bytes.split_at_mut(8);
    seq.copy_from_slice(&key.0.to_be_bytes());
    count.copy_from_slice(&key.1.to_be_bytes());
    bytes
}

pub(crate) fn read_key(bytes: &[u8]) -> Option<Key> {
    let (seq, count) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), u32::from_be_bytes(count.try_into().ok()?)))
}

pub(crate) fn next_key(key: Key) -> Key {
    key.1.checked_add(1).map_or((key.0.saturating_add(1), 0), |count| (key.0, count))
}

pub(crate) fn write_entry(key: Key, at_ms: u64, commit: &Commit) -> Vec<u8> {
    let Commit { first_seq, records, puts, inputs } = commit;
    let mut body = Out::default();
    body.u64(key.0);
    body.u32(key.1);
    body.u64(at_ms);
    body.u64(*first_seq);
    body.var(records.len() as u64);
    records.iter().for_each(|record| body.bytes(record));
    body.var(puts.len() as u64);
    for put in puts {
        body.bytes(put.key.as_bytes());
        match &put.value {
            Some(value) => {
                body.u8(1);
                body.bytes(value);
            }
            None => body.u8(0),
        }
    }
    if !inputs.is_empty() {
        body.var(inputs.len() as u64);
        inputs.iter().for_each(|input| body.bytes(input));
    }
    frame::seal(Kind::Commit, &body.0)
}

pub(crate) fn read_entry(value: &[u8]) -> Option<Entry> {
    Some(read_body(frame::open(Kind::Commit, value)?)?.1)
}

pub(crate) fn read_body(body: &[u8]) -> Option<(Key, Entry)> {
    let mut body = In(body);
    let key = (body.u64()?, body.u32()?);
    let (at_ms, first_seq) = (body.u64()?, body.u64()?);
    let mut records = Vec::new();
    for _ in 0..body.var()? {
        records.push(body.bytes()?.to_vec());
    }
    let mut puts = Vec::new();
    for _ in 0..body.var()? {
        let key = body.text()?;
        let value = match body.u8()? {
            0 => None,
            _ => Some(body.bytes()?.to_vec()),
        };
        puts.push(Put { key, value });
    }
    // Versions that recorded no inputs end here.
    let mut inputs = Vec::new();
    if !body.0.is_empty() {
        for _ in 0..body.var()? {
            inputs.push(body.bytes()?.to_vec());
        }
    }
    Some((key, Entry { at_ms, commit: Commit { first_seq, records, puts, inputs } }))
}

pub(crate) fn read_state(body: &[u8]) -> Option<(u64, String, Vec<u8>)> {
    let mut body = In(body);
    Some((body.u64()?, body.text()?, body.bytes()?.to_vec()))
}

pub(crate) fn write_state(seq: u64, key: &str, value: &[u8]) -> Vec<u8> {
    let mut body = Out::default();
    body.u64(seq);
    body.bytes(key.as_bytes());
    body.bytes(value);
    frame::seal(Kind::State, &body.0)
}
