//! Saved state: a state byte, a version byte, a checksum of all the rest, then JSON.
//!
//! The state byte comes first, in every version there will be, for the day when the rest cannot be read: a scope that
//! was refusing must not come back as one that lets every start through. The checksum is there because a flipped bit
//! within a number is still a number.

use super::{circuit::Circuit, state::State};
use crate::model::{BreakerState, ClockReading, Put, RunId, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// The version that this code writes, and the only one that it reads.
const VERSION: u8 = 2;

/// The prefix of all keys of the Breaker.
const PREFIX: &str = "breaker/";

/// A circuit with the time at which it was saved. Its own times are relative to `saved_at`. How long no supervisor
/// watched is computed from the clocks that go on between processes.
#[derive(Deserialize, Serialize)]
struct Record<C> {
    saved_at: Timestamp,
    clock: ClockReading,
    circuit: C,
}

/// A record that was read back.
#[derive(Debug)]
pub(super) enum Read {
    /// The scope as it was, moved to the present time.
    Whole(Box<Circuit>),
    /// The record is unreadable, and the scope was, or may have been, in this state. It becomes half-open, so that
    /// one probe finds out.
    Guessed(Box<Circuit>, BreakerState),
    /// The record is of another version, and closed: treated as if it had never been saved.
    Nothing,
}

/// The time at which a record is read, and what its reading needs.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) seed: u64,
    pub(super) now: Timestamp,
    pub(super) clock: ClockReading,
    /// Runs whose processes live on, and which keep their permits.
    pub(super) adopted: &'a BTreeSet<RunId>,
}

/// The change that removes a scope.
pub(super) fn remove(scope: &Scope) -> Put {
    Put { key: format!("{PREFIX}{scope}"), value: None }
}

/// The change that saves a scope; `clock` is what the other clocks say at `now`.
pub(super) fn put(circuit: &Circuit, now: Timestamp, clock: ClockReading) -> Put {
    let record = Record { saved_at: now, clock, circuit };
    // Our own struct of numbers, texts and lists always has a JSON form; if it had not, the state byte would still
    // bring the scope back half-open.
    let json = serde_json::to_vec(&record).unwrap_or_default();
    let state = circuit.state.byte();
    let mut bytes = vec![state, VERSION];
    bytes.extend(checksum(state, &json).to_le_bytes());
    bytes.extend(json);
    Put { key: format!("{PREFIX}{}", circuit.scope), value: Some(bytes) }
}

fn checksum(state: u8, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[state, VERSION]);
    hasher.update(json);
    hasher.finalize()
}

/// Reads one saved record, and moves it to the present time.
pub(super) fn read(key: &str, value: &[u8], reader: &Reader<'_>) -> Read {
    let Some(name) = key.strip_prefix(PREFIX) else { return Read::Nothing };
    let scope = Scope(name.to_owned());
    if let [state, VERSION, a, b, c, d, json @ ..] = value
        && u32::from_le_bytes([*a, *b, *c, *d]) == checksum(*state, json)
        && let Ok(record) = serde_json::from_slice::<Record<Circuit>>(json)
        && record.circuit.state.byte() == *state
        && record.circuit.scope == scope
    {
        let elapsed = reader.clock.since(&record.clock);
        let mut circuit = record.circuit;
        circuit.wake(reader, record.saved_at.plus(elapsed));
        return Read::Whole(Box::new(circuit));
    }
    let was = value.first().and_then(|state| State::of_byte(*state));
    // A record of our own version that says "closed" and is damaged may have said something else before.
    if was == Some(BreakerState::Closed) && value.get(1) != Some(&VERSION) {
        return Read::Nothing;
    }
    let mut circuit = Circuit::new(scope, Arc::default(), reader.seed, reader.now);
    circuit.state = State::half_open();
    circuit.level = 1;
    Read::Guessed(Box::new(circuit), was.unwrap_or(BreakerState::Open))
}
