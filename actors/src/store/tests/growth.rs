//! What grows, what is given back, and what deaths in between leave.

use super::*;
use crate::store::{
    database::disk_bytes,
    entry, frame,
    segments::folder,
    state::{Checkpoint, Pending, State},
};
use std::collections::BTreeMap;

/// A commit whose record takes `bytes` of what no packing makes smaller.
fn large(seq: u64, bytes: usize) -> Commit {
    let mut noise = vec![0; bytes];
    getrandom::fill(&mut noise).unwrap();
    let mut record = format!("record {seq} ").into_bytes();
    record.extend(noise);
    let puts = vec![put(&format!("run/{}", seq % 7), &seq.to_string())];
    Commit { first_seq: seq, records: vec![record], puts, inputs: Vec::new() }
}

#[track_caller]
fn kept(store: &Store) -> Vec<u64> {
    numbers(store, 0, usize::MAX)
}

#[track_caller]
fn numbers(store: &Store, after: u64, limit: usize) -> Vec<u64> {
    let (done, wait) = channel();
    store.read_journal(after, limit, move |result| done.send(result).unwrap());
    let number = |record: &Vec<u8>| {
        let text = String::from_utf8_lossy(record).into_owned();
        text.split(' ').nth(1).and_then(|seq| seq.parse().ok()).expect("a number")
    };
    wait.recv().unwrap().unwrap().iter().map(number).collect()
}

fn filled(dir: &Path, last: u64, max_bytes: u64) -> Store {
    let store = Store::open(dir).unwrap();
    store.set_journal_retention(JournalRetention::new(max_bytes, u64::MAX));
    (1..=last).for_each(|seq| commit(&store, large(seq, 64 << 10)));
    store
}

#[test]
fn the_journal_stays_under_its_cap_and_keeps_the_newest() {
    let dir = tempdir().unwrap();
    let store = filled(dir.path(), 0, JournalRetention::MIN_BYTES);
    for seq in 1..=320 {
        commit(&store, large(seq, 64 << 10));
        if seq % 16 == 0 {
            // Once the store's thread is through with it: between two segments there are both.
            assert_eq!(numbers(&store, seq - 1, 1), [seq]);
            let takes = disk_bytes(&dir.path().join("journal"));
            assert!(takes <= JournalRetention::MIN_BYTES, "{takes} after {seq}");
        }
    }
    // Flushed, so that no segment is full any more.
    let state = store.load().unwrap().state;
    let before = kept(&store);
    assert_eq!(before, (before[0]..=320).collect::<Vec<_>>(), "a tail without a gap");
    assert!(before[0] > 1 && before.len() > 20, "some megabytes of them: {}", before.len());
    assert_eq!(numbers(&store, 318, 1), [319]);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(kept(&store), before);
    let loaded = store.load().unwrap();
    assert_eq!((loaded.state, loaded.last_seq, loaded.damage), (state, 320, None));
}

#[test]
fn commits_are_read_on_across_segments_from_any_place() {
    let dir = tempdir().unwrap();
    let store = filled(dir.path(), 60, 16 << 20);
    let (mut after, mut found) = ((0, 0), Vec::new());
    loop {
        let (done, wait) = channel();
        store.read_commits(after, 100 << 10, move |page| done.send(page).unwrap());
        let page = wait.recv().unwrap().unwrap();
        let Some(last) = page.last() else { break };
        after = last.place;
        found.extend(page.iter().map(|commit| commit.place.0));
    }
    assert_eq!(found, (1..=60).collect::<Vec<_>>());
}

#[test]
fn decisions_go_by_age_without_another_one() {
    let dir = tempdir().unwrap();
    let store = filled(dir.path(), 3, 16 << 20);
    while !kept(&store).is_empty() {
        store.set_journal_retention(JournalRetention::new(u64::MAX, 0));
    }
    let loaded = store.load().unwrap();
    assert_eq!((loaded.last_seq, loaded.state.len()), (3, 3), "what they add up to stays");
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.load().unwrap().last_seq, 3);
    commit(&store, large(4, 10));
    assert_eq!(kept(&store), [4]);
}

/// Whatever a death leaves between a new segment, a checkpoint and the removal of what is old.
#[test]
fn a_death_between_two_segments_loses_and_doubles_nothing() {
    let dir = tempdir().unwrap();
    let store = filled(dir.path(), 60, 16 << 20);
    let (all, state) = (kept(&store), store.load().unwrap().state);
    drop(store);
    let newest = fs::read_dir(dir.path().join("journal")).unwrap().flatten();
    let newest: u64 = newest.filter_map(|e| e.file_name().to_str()?.parse().ok()).max().unwrap();
    assert!(newest >= 3, "{newest}");
    type Death<'a> = (&'a str, Box<dyn Fn(&Path)>);
    let segment = |dir: &Path, number| folder(&dir.join("journal"), number);
    let deaths: Vec<Death<'_>> = vec![
        (
            "a folder of the next segment",
            Box::new(move |dir| fs::create_dir(segment(dir, newest + 1)).unwrap()),
        ),
        ("an empty next segment", Box::new(move |dir| drop(sled::open(segment(dir, newest + 1)).unwrap()))),
        (
            "facts of the newest",
            Box::new(move |dir| {
                fs::copy(segment(dir, newest - 1).join("facts"), segment(dir, newest).join("facts"))
                    .map(drop)
                    .unwrap();
            }),
        ),
        ("no facts", Box::new(move |dir| fs::remove_file(segment(dir, newest - 1).join("facts")).unwrap())),
        (
            "half of a segment that goes",
            Box::new(move |dir| {
                copy(&segment(dir, 1), &dir.join("journal/00000000.gone"));
                fs::remove_file(dir.join("journal/00000000.gone/db")).unwrap();
            }),
        ),
        (
            "a fresh state that is nothing yet",
            Box::new(|dir| {
                let half = sled::open(folder(&dir.join("state"), 2)).unwrap();
                half.open_tree("state").unwrap().insert("run/x", b"half").unwrap();
            }),
        ),
        (
            "two whole states",
            Box::new(|dir| {
                copy(&folder(&dir.join("state"), 1), &folder(&dir.join("state"), 2));
            }),
        ),
        (
            "an older state",
            Box::new(|dir| {
                let _ = fs::remove_file(dir.join("journal.mark"));
                let state = folder(&dir.join("state"), 1);
                let old = sled::open(&state).unwrap();
                old.open_tree("meta").unwrap().clear().unwrap();
                old.open_tree("state").unwrap().clear().unwrap();
            }),
        ),
    ];
    for (what, death) in deaths {
        let dead = tempdir().unwrap();
        copy(dir.path(), dead.path());
        death(dead.path());
        for again in [false, true] {
            let store = Store::open(dead.path()).unwrap();
            let loaded = store.load().unwrap();
            assert_eq!(loaded.damage, None, "{what} {again}");
            assert_eq!((loaded.state, loaded.last_seq), (state.clone(), 60), "{what} {again}");
            assert_eq!(kept(&store), all, "{what} {again}");
        }
        let states = fs::read_dir(dead.path().join("state")).unwrap().count();
        assert_eq!(states, 1, "{what}");
        commit(&Store::open(dead.path()).unwrap(), large(61, 10));
    }
}

#[track_caller]
fn values(state: &State) -> BTreeMap<String, Vec<u8>> {
    let read = |value: Result<sled::IVec, String>| {
        let value = value.unwrap();
        let (_, key, value) = entry::read_state(frame::open(frame::Kind::State, &value).unwrap()).unwrap();
        (key, value)
    };
    state.scan("").map(read).collect()
}

#[test]
fn a_state_that_became_small_moves_and_gives_its_disk_back() {
    let dir = tempdir().unwrap();
    let (mut state, _) = State::open(dir.path(), (0, 0)).unwrap();
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let takes = || disk_bytes(&dir.path().join("state"));
    let mut most = 0;
    for round in 1..=240_u64 {
        state.small = 1 << 20;
        let mut pending = BTreeMap::new();
        for n in 0..40 {
            let at = (round * 7 + n * 13) % 500;
            let key = format!("run/{at:03}");
            let mut value = vec![0; 12 << 10];
            getrandom::fill(&mut value).unwrap();
            // At first many are kept, later few.
            let value = (at < 15 || round < 100 && n % 5 != 0).then_some(value);
            match &value {
                Some(value) => drop(model.insert(key.clone(), value.clone())),
                None => drop(model.remove(&key)),
            }
            pending.insert(key, Pending { seq: round, value });
        }
        let at = Checkpoint { key: (round, 0), last_seq: round, last_at_ms: round };
        state.write(&pending, at).unwrap();
        most = most.max(takes());
        if round % 30 == 0 {
            drop(state);
            let (again, damage) = State::open(dir.path(), (round, 0)).unwrap();
            assert!(damage.is_none() && again.at == at);
            assert_eq!(values(&again), model, "round {round}");
            state = again;
        }
    }
    let held: usize = model.values().map(Vec::len).sum();
    assert!(most > 5 << 20, "it was large: {most}");
    assert!(takes() < (2 << 20) + 4 * held as u64, "{} for {held}, {most} before", takes());
}

#[test]
fn a_flipped_bit_in_the_mark_sets_nothing_aside() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=20).for_each(|seq| commit(&store, record(seq)));
    drop(store);
    let mark = dir.path().join("journal.mark");
    let whole = fs::read(&mark).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 16;
        fs::write(&mark, bytes).unwrap();
        let loaded = Store::open(dir.path()).unwrap().load().unwrap();
        assert_eq!((loaded.last_seq, loaded.damage), (20, None), "byte {at}");
    }
}

/// sled has lost its newest entries, and the write-ahead file still has them: nothing is lost, and nothing is said.
#[test]
fn what_the_write_ahead_file_has_is_not_called_lost() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=20).for_each(|seq| commit(&store, record(seq)));
    drop(store);
    let older = tempdir().unwrap();
    copy(dir.path(), older.path());
    let store = Store::open(dir.path()).unwrap();
    (21..=40).for_each(|seq| commit(&store, record(seq)));
    let state = store.load().unwrap().state;
    drop(store);
    for folder in ["journal", "state"] {
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
        copy(&older.path().join(folder), &dir.path().join(folder));
    }
    let store = Store::open(dir.path()).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!((loaded.last_seq, loaded.state), (40, state));
    let damage = loaded.damage.unwrap_or_default();
    assert!(!damage.contains("the journal was damaged"), "{damage}");
    assert_eq!(journal(&store, 0, 100).len(), 40);
}

/// … and without the file it is said how much is.
#[test]
fn lost_decisions_are_counted_once() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=20).for_each(|seq| commit(&store, record(seq)));
    drop(store);
    let older = tempdir().unwrap();
    copy(&dir.path().join("journal"), older.path());
    let store = Store::open(dir.path()).unwrap();
    (21..=27).for_each(|seq| commit(&store, record(seq)));
    drop(store);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    fs::remove_file(dir.path().join("journal.ahead")).unwrap();
    copy(older.path(), &dir.path().join("journal"));
    let damage = Store::open(dir.path()).unwrap().load().unwrap().damage.expect("said");
    assert!(damage.contains("20 decisions were saved") && damage.contains("at least 7 records"), "{damage}");
}
