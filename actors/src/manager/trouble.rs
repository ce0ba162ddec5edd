//! What is wrong with the store or the keeper, in sentences.

use crate::{
    model::{Timestamp, format_duration_ms},
    store::{Condition, StoreError},
};

/// What people are told of a keeper that does not answer.
pub(super) fn keeper_trouble(silent_since: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let lasted = format_duration_ms(now.since(silent_since?) / 1_000 * 1_000);
    Some(format!(
        "the keeper does not answer since {lasted}: nothing is started or stopped, and children that write much wait; \
         if somebody stopped its process, let it go on (kill -CONT)"
    ))
}

/// What people are told of a room that has ended.
pub(super) fn room_trouble(ended: Option<&'static str>) -> Option<String> {
    let room = ended?;
    Some(format!(
        "the {room} of this supervisor has ended by a fault of ours, which the log has: runs that wait for its answer stand \
         still; shut this supervisor down and start it again, and they go on"
    ))
}

/// What people are told of output that goes nowhere, beside the trouble of the store.
pub(super) fn with_output(store: Option<String>, output: Option<(usize, &str)>) -> Option<String> {
    let output = output.map(|(attempts, why)| match attempts {
        1 => format!("the output of 1 attempt waits: {why}"),
        _ => format!("the output of {attempts} attempts waits; of the first: {why}"),
    });
    match (store, output) {
        (Some(store), Some(output)) => Some(format!("{output}; {store}")),
        (store, output) => output.or(store),
    }
}

/// What people are told of a store that does not do well.
pub(super) fn store_trouble(
    store: Condition,
    refused: Option<&(Timestamp, StoreError)>,
    damage: Option<&(Timestamp, String)>,
    now: Timestamp,
) -> Option<String> {
    const HELP: &str = "free space on its disk, and it goes on by itself";
    if let Some((since, error)) = refused {
        // In seconds: it is refused again twice a second.
        let lasted = format_duration_ms(now.since(*since) / 1_000 * 1_000);
        return Some(format!(
            "nothing is started and no decision is written since {lasted}: {error}; {HELP}"
        ));
    }
    let waits = match store.owed {
        0 if !store.refuses => {
            // Told until this manager ends: nobody else would hear of it, and what is lost does not come back.
            return damage.map(|(since, what)| {
                let ago = format_duration_ms(now.since(*since) / 1_000 * 1_000);
                format!("the store lost something, found {ago} ago: {what}; check its disk; a restart ends this notice")
            });
        }
        1 => "1 entry of the journal waits".to_owned(),
        owed => format!("{owed} entries of the journal wait"),
    };
    Some(format!(
        "the store takes nothing, most likely because its disk is full: {waits} in its reserve; {HELP}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_do_well_is_told_in_a_sentence_with_what_to_do() {
        let store = |refuses, owed| Condition { refuses, owed, ..Condition::default() };
        let refused = (Timestamp(1_000), StoreError::Failed("no room".into()));
        let said = |store, refused: Option<&(Timestamp, StoreError)>| {
            store_trouble(store, refused, None, Timestamp(13_400))
        };
        assert_eq!(said(store(false, 0), None), None);
        let damage = (Timestamp(1_000), "3 lines are lost".to_owned());
        assert_eq!(
            store_trouble(store(false, 0), None, Some(&damage), Timestamp(13_400)).unwrap_or_default(),
            "the store lost something, found 12s ago: 3 lines are lost; check its disk; a restart ends this notice"
        );
        // A full disk can be mended, and comes first.
        let both = store_trouble(store(true, 0), None, Some(&damage), Timestamp(13_400));
        assert!(both.is_some_and(|text| text.contains("disk is full")));
        for (store, refused, words) in [
            (store(true, 0), None, "0 entries of the journal wait in its reserve"),
            (store(true, 1), None, "1 entry of the journal waits in its reserve"),
            (store(false, 12), None, "disk is full: 12 entries"),
            (
                store(true, 1_025),
                Some(&refused),
                "no decision is written since 12s: the store failed: no room",
            ),
        ] {
            let text = said(store, refused).unwrap_or_default();
            assert!(
                text.contains(words) && text.ends_with("free space on its disk, and it goes on by itself"),
                "{text}"
            );
        }
    }
}
