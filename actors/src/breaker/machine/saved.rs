//! Saved state: a version byte, a state byte, then JSON.
//!
//! The state byte is there for the day when the rest cannot be read: a scope that was refusing must not come back as
//! one that lets everything through.

use super::{circuit::Circuit, state::State};
use crate::model::{BreakerPolicy, Put, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// The version this code writes, and the only one it reads.
const VERSION: u8 = 1;

/// What all keys of ours begin with.
const PREFIX: &str = "breaker/";

/// A circuit with the time at which it was saved, by both clocks: its own times are relative to the first, and how
/// long nobody watched is told by the second.
#[derive(Deserialize, Serialize)]
struct Record<C> {
    saved_at: Timestamp,
    saved_wall_ms: u64,
    circuit: C,
}

/// A record that was read back.
#[derive(Debug)]
pub(super) enum Read {
    /// As it was, in the time of now.
    Whole(Box<Circuit>),
    /// Unreadable, but it was in this state, which is not closed: half-open, so that one probe finds out.
    Guessed(Box<Circuit>, &'static str),
    /// Unreadable, and closed or unknown: as if it had never been.
    Nothing,
}

/// The change that removes a scope.
pub(super) fn remove(scope: &Scope) -> Put {
    Put { key: format!("{PREFIX}{scope}"), value: None }
}

/// The change that saves a scope; `wall_ms` is what the wall clock says at `now`.
pub(super) fn put(circuit: &Circuit, now: Timestamp, wall_ms: u64) -> Put {
    let mut bytes = vec![VERSION, circuit.state.byte()];
    let record = Record { saved_at: now, saved_wall_ms: wall_ms, circuit };
    // Our own struct of numbers, texts and lists always has a JSON form; if it had not, the two bytes would still
    // bring the scope back half-open.
    let _ = serde_json::to_writer(&mut bytes, &record);
    Put { key: format!("{PREFIX}{}", circuit.scope), value: Some(bytes) }
}

/// Reads one saved record into the time of `now`, at which the wall clock says `wall_ms`.
pub(super) fn read(key: &str, value: &[u8], seed: u64, now: Timestamp, wall_ms: u64) -> Read {
    let Some(name) = key.strip_prefix(PREFIX) else { return Read::Nothing };
    let scope = Scope(name.to_owned());
    if let [VERSION, state, json @ ..] = value
        && let Ok(record) = serde_json::from_slice::<Record<Circuit>>(json)
        && record.circuit.state.byte() == *state
        && record.circuit.scope == scope
    {
        let elapsed = wall_ms.saturating_sub(record.saved_wall_ms);
        let mut circuit = record.circuit;
        circuit.wake(seed, now, record.saved_at.plus(elapsed));
        return Read::Whole(Box::new(circuit));
    }
    if let Some(from) = value.get(1).and_then(|state| State::refusing(*state)) {
        let mut circuit = Circuit::new(scope, BreakerPolicy::default(), seed, now);
        circuit.state = State::half_open();
        circuit.level = 1;
        return Read::Guessed(Box::new(circuit), from);
    }
    Read::Nothing
}
