//! A store of layout 1, which had one database for journal and state.

use super::*;
use crate::store::{
    codec::Out,
    entry::{CHECKPOINT, CLEAN, key_bytes, write_entry, write_state},
    frame::{self, Kind},
};

/// As the version before wrote it: records 1 to 30, state up to 20, closed in good order. Returns when the last was written.
fn write_layout_1(dir: &Path) -> u64 {
    let now = crate::clock::wall_ms();
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("identity"), format!("1 {:032x} {:016x}\n", 0xabc, 0xdef)).unwrap();
    let db = sled::open(dir.join("journal")).unwrap();
    let (journal, state) = (db.open_tree("journal").unwrap(), db.open_tree("state").unwrap());
    for seq in 1..=30 {
        let value = write_entry((seq, 0), now - 30 + seq, &record(seq));
        journal.insert(key_bytes((seq, 0)), value).unwrap();
        if seq <= 20 {
            let key = format!("run/{}", seq % 7);
            state.insert(&key, write_state(seq, &key, seq.to_string().as_bytes())).unwrap();
        }
    }
    let mut body = Out::default();
    body.u64(20);
    body.u32(0);
    body.u64(20);
    body.u64(now - 10);
    let meta = db.open_tree("meta").unwrap();
    meta.insert(CHECKPOINT, frame::seal(Kind::Meta, &body.0)).unwrap();
    meta.insert(CLEAN, frame::seal(Kind::Meta, &[])).unwrap();
    db.flush().unwrap();
    fs::write(dir.join("journal.mark"), key_bytes((30, 0))).unwrap();
    now
}

#[track_caller]
fn assert_taken_over(dir: &Path, last_at_ms: u64) {
    let store = Store::open(dir).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!((loaded.last_seq, loaded.last_at_ms, loaded.damage), (30, last_at_ms, None));
    let newest = |n: u64| (24..=30).find(|seq| seq % 7 == n).expect("one of seven").to_string().into_bytes();
    let expected: Vec<_> = (0..7).map(|n| (format!("run/{n}"), newest(n))).collect();
    assert_eq!(loaded.state.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(store.seed(), 0xdef);
    commit(&store, record(31));
    let all: Vec<_> = (1..=31).map(|seq| format!("record {seq}")).collect();
    assert_eq!(journal(&store, 0, 100), all);
    drop(store);
    assert_eq!(journal(&Store::open(dir).unwrap(), 29, 100), &all[29..]);
    assert!(
        fs::read_to_string(dir.join("identity")).unwrap().starts_with("2 "),
        "an older version refuses it"
    );
}

#[test]
fn a_store_of_the_version_before_is_taken_over_as_it_is() {
    let dir = tempdir().unwrap();
    let last_at_ms = write_layout_1(dir.path());
    let copied = tempdir().unwrap();
    copy(dir.path(), copied.path());
    assert!(Store::open(copied.path()).unwrap().load().unwrap().clean);
    assert_taken_over(dir.path(), last_at_ms);
}

#[test]
fn a_death_while_an_older_store_is_taken_over_costs_nothing() {
    let dir = tempdir().unwrap();
    let last_at_ms = write_layout_1(dir.path());
    // Its state was half copied …
    let half = sled::open(dir.path().join("state/00000001")).unwrap();
    half.open_tree("state").unwrap().insert("run/9", b"half").unwrap();
    drop(half);
    let renamed = tempdir().unwrap();
    copy(dir.path(), renamed.path());
    assert_taken_over(dir.path(), last_at_ms);
    // … or its journal has half of its way behind it.
    drop(Store::open(renamed.path()).unwrap());
    fs::rename(renamed.path().join("journal/00000000"), renamed.path().join("journal.old")).unwrap();
    fs::remove_dir_all(renamed.path().join("journal")).unwrap();
    assert_taken_over(renamed.path(), last_at_ms);
}

#[test]
fn a_damaged_store_of_the_version_before_is_saved_from() {
    let dir = tempdir().unwrap();
    write_layout_1(dir.path());
    let db = dir.path().join("journal/db");
    let mut bytes = fs::read(&db).unwrap();
    bytes[..300].fill(0xa5);
    fs::write(&db, bytes).unwrap();
    let store = Store::open(dir.path()).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.last_seq, 30);
    assert!(loaded.damage.unwrap().contains("damaged-1"));
    assert_eq!(journal(&store, 29, 10), ["record 30"]);
}
