//! Saved state: a version byte, then JSON. What cannot be read is as if it had never been saved.

use super::{adjust::Adjusted, streak::Streak};
use crate::model::{Put, RunId};
use serde::{Serialize, de::DeserializeOwned};

/// The version this code writes, and the only one it reads.
const VERSION: u8 = 1;

/// A record that was read back.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Read {
    /// The counters of a run.
    Run(RunId, Streak),
    /// A shared parameter: the siblings' key, the parameter's name, the value.
    Shared(String, String, Adjusted),
}

/// The key of a run's counters.
#[must_use]
pub(super) fn run_key(run: RunId) -> String {
    format!("retry/{run}")
}

/// The change that saves a run's counters.
#[must_use]
pub(super) fn put_run(run: RunId, streak: &Streak) -> Put {
    Put { key: run_key(run), value: encode(streak) }
}

/// The change that saves a shared parameter. A name has no slash, so the key may.
#[must_use]
pub(super) fn put_shared(key: &str, name: &str, adjusted: &Adjusted) -> Put {
    Put { key: format!("param/{key}/{name}"), value: encode(adjusted) }
}

/// Reads one saved record; nothing when it is not ours, of another version, or damaged.
#[must_use]
pub(super) fn read(key: &str, value: &[u8]) -> Option<Read> {
    if let Some(run) = key.strip_prefix("retry/") {
        return Some(Read::Run(run.parse().ok()?, decode(value)?));
    }
    let (key, name) = key.strip_prefix("param/")?.rsplit_once('/')?;
    Some(Read::Shared(key.to_owned(), name.to_owned(), decode(value)?))
}

fn encode(state: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION];
    // Our own structs of numbers, texts and lists always have a JSON form.
    serde_json::to_writer(&mut bytes, state).ok()?;
    Some(bytes)
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    let (version, json) = value.split_first()?;
    if *version != VERSION {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParamValue, Timestamp};
    use proptest::prelude::*;

    #[test]
    fn what_was_saved_is_read_back() {
        let run = RunId::from_parts(1, 2);
        let streak = Streak { n: 3, first_failure: Some(Timestamp(5)), draws: 4, ..Streak::default() };
        let put = put_run(run, &streak);
        assert_eq!(read(&put.key, &put.value.unwrap()), Some(Read::Run(run, streak)));
        let adjusted = Adjusted { value: ParamValue::Integer(50), lowered_at: Some(Timestamp(7)) };
        let put = put_shared("site:http://shop.example/a", "qpi", &adjusted);
        assert_eq!(
            read(&put.key, &put.value.unwrap()),
            Some(Read::Shared("site:http://shop.example/a".into(), "qpi".into(), adjusted))
        );
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let mut put = put_run(RunId::from_parts(1, 2), &Streak::default());
        put.value.as_mut().unwrap()[0] = 2;
        assert_eq!(read(&put.key, &put.value.unwrap()), None);
    }

    proptest! {
        #[test]
        fn garbage_is_nothing_and_never_a_panic(
            key in "(retry/|param/|)[a-z/]{0,12}|retry/00000000000000000000000000",
            value in proptest::collection::vec(0..=u8::MAX, 0..40),
        ) {
            prop_assert_eq!(read(&key, &value), None);
        }
    }
}
