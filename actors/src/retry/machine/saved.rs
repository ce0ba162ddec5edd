//! Saved state: a version byte, a checksum, then MessagePack, with structs as lists of their fields. A record that
//! cannot be read is treated as if it had never been saved.
//!
//! JSON came first, with the names of all fields in each record: writing it took a third of the time of a decision.

use super::{
    adjust::Adjusted,
    budget::Level,
    intensity::Starts,
    streak::{Lists, Rest, Streak},
};
use crate::model::{Put, RunId, Scope, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The version that this code writes.
const VERSION: u8 = 2;

/// The previous version, JSON, which this code reads as well.
const JSON: u8 = 1;

/// Most records of a run fit into this many bytes. In a smaller buffer they are copied each time that it grows.
const USUAL_SIZE: usize = 96;

/// A record that was read back.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Read {
    /// The counters of a run.
    Run(RunId, Streak),
    /// A shared parameter: the path of its siblings, and the value.
    Shared(String, Adjusted),
    /// The level of a retry budget: that of a scope, or of all programs (`None`).
    Budget(Option<Scope>, Level),
}

/// The key of the retry budget of all programs, and the prefix of the keys of scopes' budgets.
const BUDGET_KEY: &str = "budget/retry";
const SCOPED_BUDGET: &str = "budget/of/";

/// The prefix of the keys of shared parameters.
const SHARED: &str = "param/";

/// The key of a run's counters.
#[must_use]
pub(super) fn run_key(run: RunId) -> String {
    let mut key = String::with_capacity("retry/".len() + 26);
    key.push_str("retry/");
    run.push_to(&mut key);
    key
}

/// The change that saves a run's counters.
#[must_use]
pub(super) fn put_run(run: RunId, streak: &Streak) -> Put {
    Put { key: run_key(run), value: encode(&Fields::of(streak)) }
}

/// The change that saves, or forgets, a shared parameter.
#[must_use]
pub(super) fn put_shared(path: &str, adjusted: Option<&Adjusted>) -> Put {
    Put { key: format!("{SHARED}{path}"), value: adjusted.and_then(encode) }
}

/// The change that saves, or forgets, the level of a budget.
#[must_use]
pub(super) fn put_budget(scope: Option<&Scope>, level: Option<Level>) -> Put {
    let key = scope.map_or_else(|| BUDGET_KEY.to_owned(), |scope| format!("{SCOPED_BUDGET}{scope}"));
    Put { key, value: level.as_ref().and_then(encode) }
}

/// Reads one saved record; `None` when its key is not one of Retry's, its version is unknown, or it is damaged.
#[must_use]
pub(super) fn read(key: &str, value: &[u8]) -> Option<Read> {
    if let Some(run) = key.strip_prefix("retry/") {
        return Some(Read::Run(run.parse().ok()?, decode::<Whole>(value)?.into()));
    }
    if key == BUDGET_KEY {
        return Some(Read::Budget(None, decode(value)?));
    }
    if let Some(scope) = key.strip_prefix(SCOPED_BUDGET) {
        return Some(Read::Budget(Some(Scope(scope.to_owned())), decode(value)?));
    }
    let path = key.strip_prefix(SHARED).filter(|path| path.contains('/'))?;
    Some(Read::Shared(path.to_owned(), decode(value)?))
}

/// A streak as it is saved: by position, not by name. A new field goes to the end, and no field changes its position.
#[derive(Serialize)]
struct Fields<'a>(
    u32,
    u32,
    Option<Timestamp>,
    Option<u64>,
    u64,
    bool,
    bool,
    &'a Starts,
    &'a BTreeMap<String, u32>,
    u32,
    &'a BTreeMap<String, Adjusted>,
);

impl<'a> Fields<'a> {
    fn of(streak: &'a Streak) -> Self {
        let Streak { n, uncounted, first_failure, previous_ms, draws, automatic, probation, .. } = *streak;
        let Lists { starts, by_class, params } = streak.rest.get();
        let cost = streak.cost_permille;
        Self(
            n,
            uncounted,
            first_failure,
            previous_ms,
            draws,
            automatic,
            probation,
            starts,
            by_class,
            cost,
            params,
        )
    }
}

/// A streak, read back: the names are those of the previous version, and the order that of [`Fields`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Whole {
    n: u32,
    uncounted: u32,
    first_failure: Option<Timestamp>,
    previous_ms: Option<u64>,
    draws: u64,
    automatic: bool,
    probation: bool,
    starts: Starts,
    by_class: BTreeMap<String, u32>,
    cost_permille: u32,
    params: BTreeMap<String, Adjusted>,
}

impl From<Whole> for Streak {
    fn from(whole: Whole) -> Self {
        let Whole { n, uncounted, first_failure, previous_ms, draws, automatic, probation, .. } = whole;
        let Whole { starts, by_class, cost_permille, params, .. } = whole;
        let rest = Rest::of(Lists { starts, by_class, params });
        Self { n, uncounted, first_failure, previous_ms, draws, cost_permille, automatic, probation, rest }
    }
}

fn encode<T: Serialize>(state: &T) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL_SIZE);
    bytes.extend([VERSION, 0, 0, 0, 0]);
    // Our own structs of numbers, texts and lists always have this form.
    rmp_serde::encode::write(&mut bytes, state).ok()?;
    if let Some(([_, checksum @ ..], state)) = bytes.split_first_chunk_mut::<5>() {
        *checksum = crc32fast::hash(state).to_le_bytes();
    }
    Some(bytes)
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    match value {
        [VERSION, a, b, c, d, state @ ..] => {
            // A flipped bit within a number is still a number.
            let whole = crc32fast::hash(state) == u32::from_le_bytes([*a, *b, *c, *d]);
            whole.then(|| rmp_serde::from_slice(state).ok()).flatten()
        }
        [JSON, state @ ..] => serde_json::from_slice(state).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ParamValue;
    use proptest::prelude::*;

    #[test]
    fn what_was_saved_is_read_back() {
        let run = RunId::from_parts(1, 2);
        let streak = Streak { n: 3, first_failure: Some(Timestamp(5)), draws: 4, ..Streak::default() };
        let put = put_run(run, &streak);
        assert_eq!(read(&put.key, &put.value.unwrap()), Some(Read::Run(run, streak)));
        let adjusted = Adjusted {
            value: ParamValue::Integer(50),
            lowered_at: Some(Timestamp(7)),
            raised_at: None,
            last_bad: Some((ParamValue::Integer(100), Timestamp(7))),
            chain: Vec::new(),
            inline: false,
            used_at: None,
        };
        let put = put_shared("site:http://shop.example/a/qpi", Some(&adjusted));
        assert_eq!(
            read(&put.key, &put.value.unwrap()),
            Some(Read::Shared("site:http://shop.example/a/qpi".into(), adjusted))
        );
        let level = Level { units: 7, at: Timestamp(8) };
        for scope in [None, Some(Scope("site:http://shop.example/a".into()))] {
            let put = put_budget(scope.as_ref(), Some(level));
            assert_eq!(read(&put.key, &put.value.unwrap()), Some(Read::Budget(scope, level)));
        }
    }

    #[test]
    fn a_parameter_that_was_saved_before_there_was_a_way_back_is_read() {
        let put = put_shared("k/qpi", None);
        let old = b"\x01{\"value\":50,\"lowered_at\":7}";
        let Some(Read::Shared(_, adjusted)) = read(&put.key, old) else { panic!("unread") };
        assert_eq!((adjusted.value, adjusted.last_bad), (ParamValue::Integer(50), None));
    }

    #[test]
    fn a_streak_of_the_version_before_is_read() {
        let run = RunId::from_parts(1, 2);
        let old = b"\x01{\"n\":2,\"uncounted\":1,\"first_failure\":5,\"previous_ms\":null,\"draws\":4,\"automatic\":true,\
            \"starts\":[7],\"params\":{\"qpi\":{\"value\":50,\"lowered_at\":7}}}";
        let Some(Read::Run(_, streak)) = read(&run_key(run), old) else { panic!("unread") };
        assert_eq!((streak.n, streak.uncounted, streak.draws, streak.automatic), (2, 1, 4, true));
        assert_eq!(streak.rest.get().params["qpi"].value, ParamValue::Integer(50));
        assert_eq!(streak.first_failure, Some(Timestamp(5)));
        let put = put_run(run, &streak);
        assert_eq!(read(&put.key, &put.value.unwrap()), Some(Read::Run(run, streak)));
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let mut put = put_run(RunId::from_parts(1, 2), &Streak::default());
        put.value.as_mut().unwrap()[0] = 3;
        assert_eq!(read(&put.key, &put.value.unwrap()), None);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let streak = Streak { n: 3, first_failure: Some(Timestamp(5)), draws: 4, ..Streak::default() };
        let put = put_run(RunId::from_parts(1, 2), &streak);
        let value = put.value.unwrap();
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&put.key, &flipped), None, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_nothing_and_never_a_panic(
            key in "(retry/|param/|budget/|)[a-z/]{0,12}|retry/00000000000000000000000000",
            value in proptest::collection::vec(0..=u8::MAX, 0..40),
        ) {
            prop_assert_eq!(read(&key, &value), None);
        }
    }
}
