//! Commits, locks and what is saved from a damaged store.

mod growth;
mod older;

use super::*;
use crate::model::{Place, Put};
use std::{fs, path::Path, sync::mpsc::channel};
use tempfile::tempdir;

fn put(key: &str, value: &str) -> Put {
    Put { key: key.into(), value: Some(value.as_bytes().to_vec()) }
}

fn record(seq: u64) -> Commit {
    Commit {
        first_seq: seq,
        records: vec![format!("record {seq}").into_bytes()],
        puts: vec![put(&format!("run/{}", seq % 7), &seq.to_string())],
        inputs: vec![format!("input {seq}").into_bytes()],
    }
}

#[track_caller]
fn commit(store: &Store, commit: Commit) {
    store.commit(commit).unwrap();
}

#[track_caller]
fn journal(store: &Store, after: u64, limit: usize) -> Vec<String> {
    let (done, wait) = channel();
    store.read_journal(after, limit, move |result| done.send(result).unwrap());
    wait.recv().unwrap().unwrap().into_iter().map(|r| String::from_utf8(r).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_new_store_is_fresh_and_keeps_its_identity() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(store.load().unwrap().fresh);
    let (manager, seed) = (store.manager_id(), store.seed());
    assert_ne!(manager, 0);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!((store.manager_id(), store.seed()), (manager, seed));
}

#[test]
fn a_store_that_was_dropped_without_close_holds_the_same_state() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.load().unwrap();
    (1..=20).for_each(|seq| commit(&store, record(seq)));
    let before = Loaded { clean: false, ..store.load().unwrap() };
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let after = store.load().unwrap();
    assert_eq!((after.state, after.last_seq, after.last_at_ms), (before.state, 20, before.last_at_ms));
    assert!(!after.clean && !after.fresh && after.damage.is_none());
}

#[test]
fn a_closed_store_is_clean_once_and_takes_nothing_more() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    commit(&store, record(1));
    let (done, wait) = channel();
    store.close(move |result| done.send(result).unwrap());
    wait.recv().unwrap().unwrap();
    assert_eq!(store.commit(record(2)), Err(StoreError::Closed));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.load().unwrap().clean);
    drop(store);
    assert!(!Store::open(dir.path()).unwrap().load().unwrap().clean);
}

/// Whoever forks in this process has our files for a moment, and with them what locks them.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time that a child takes to execute")]
fn a_store_that_was_closed_opens_again_whoever_has_its_files_still() {
    use std::os::fd::FromRawFd;
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    commit(&store, record(1));
    let folder = dir.path().canonicalize().unwrap();
    let ours = |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(&folder));
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter(ours);
    let numbers: Vec<i32> = open.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
    // SAFETY: each number is of an open file, which the copy shares.
    let copy = |fd: &i32| unsafe { fs::File::from_raw_fd(libc::dup(*fd)) };
    let copies: Vec<_> = numbers.iter().map(copy).collect();
    assert!(copies.len() >= 2, "{numbers:?}");
    drop(store);
    let child = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50)); // So long it takes to execute.
        drop(copies);
    });
    let loaded = Store::open(dir.path()).unwrap().load().unwrap();
    assert_eq!((loaded.last_seq, loaded.damage), (1, None));
    child.join().unwrap();
}

#[test]
fn a_second_opener_is_told_who_holds_it() {
    let dir = tempdir().unwrap();
    let _store = Store::open(dir.path()).unwrap();
    match Store::open(dir.path()).unwrap_err() {
        OpenError::Held { pid, start_ticks, boot_id, .. } => {
            assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
            assert!(start_ticks > 0 && boot_id.len() == 36);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn another_layout_is_refused_with_a_clear_word() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("identity"), "7 abc def\n").unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("layout 7"), "{error}");
}

#[test]
fn commits_of_several_threads_are_all_kept_each_in_its_order() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    // Without records, so that the store gives each its place.
    let of = |thread: u32, n: u32| Commit {
        inputs: vec![format!("{thread} {n}").into_bytes()],
        ..Commit::default()
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || (0..500).for_each(|n| commit(&store, of(thread, n))));
        }
    });
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let (done, wait) = channel();
    store.read_commits(Place::default(), usize::MAX, move |result| done.send(result).unwrap());
    let kept: Vec<_> = wait.recv().unwrap().unwrap().into_iter().flat_map(|written| written.inputs).collect();
    assert_eq!(kept.len(), 2_000);
    for thread in 0..4 {
        let own: Vec<_> =
            kept.iter().filter(|input| input.starts_with(format!("{thread} ").as_bytes())).collect();
        let expected: Vec<_> = (0..500).map(|n| format!("{thread} {n}").into_bytes()).collect();
        assert!(own.into_iter().eq(&expected), "of thread {thread}");
    }
}

#[test]
fn the_write_ahead_file_is_emptied_however_busy_the_store_is() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let large = |seq| Commit { puts: vec![put("run/1", &"x".repeat(50_000))], ..record(seq) };
    (1..=400).for_each(|seq| commit(&store, large(seq)));
    // 20 MB of decisions: as one file they would be all of that.
    let size = fs::metadata(dir.path().join("journal.ahead")).unwrap().len();
    assert!(size < 8 << 20, "{size}");
    assert_eq!(journal(&store, 0, 1_000).len(), 400);
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().load().unwrap().last_seq, 400);
}

#[test]
fn commits_are_read_with_what_led_to_them_from_any_place_also_after_another_opened() {
    let dir = tempdir().unwrap();
    let read = |store: &Store, after, max_bytes| {
        let (done, wait) = channel();
        store.read_commits(after, max_bytes, move |found| done.send(found).unwrap());
        wait.recv().unwrap().unwrap()
    };
    let store = Store::open(dir.path()).unwrap();
    commit(&store, record(1));
    let only = Commit { first_seq: 2, inputs: vec![b"nothing came of it".to_vec()], ..Commit::default() };
    commit(&store, only);
    commit(&store, record(2));
    let all = read(&store, (0, 0), usize::MAX);
    let inputs: Vec<_> =
        all.iter().flat_map(|commit| &commit.inputs).map(|i| String::from_utf8_lossy(i)).collect();
    assert_eq!(inputs, ["input 1", "nothing came of it", "input 2"]);
    assert_eq!(all.iter().map(|commit| commit.records.len()).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(read(&store, (0, 0), 0), all[..1], "one at least");
    assert_eq!(read(&store, all[0].place, usize::MAX), all[1..]);
    drop(store);
    assert_eq!(read(&Store::open(dir.path()).unwrap(), (0, 0), usize::MAX), all);
}

#[test]
fn the_journal_is_read_after_any_record() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let three = |first: u64| Commit {
        first_seq: first,
        records: (first..first + 3).map(|n| n.to_string().into_bytes()).collect(),
        ..Commit::default()
    };
    let none = |first_seq| Commit { first_seq, puts: vec![put("a", "b")], ..Commit::default() };
    for c in [three(1), none(4), three(4), none(7), none(7), three(7), none(0)] {
        commit(&store, c);
    }
    for after in 0..=9 {
        let expected: Vec<_> = (after + 1..=9).map(|n| n.to_string()).collect();
        assert_eq!(journal(&store, after, 100), expected, "after {after}");
        assert_eq!(journal(&store, after, 2), expected.iter().take(2).cloned().collect::<Vec<_>>());
    }
}

#[test]
fn removed_keys_stay_removed_and_scan_sees_what_is_not_in_the_tree_yet() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    commit(&store, Commit { puts: vec![put("run/1", "a"), put("run/2", "b"), put("rx", "c")], ..record(1) });
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let gone = Put { key: "run/1".into(), value: None };
    commit(&store, Commit { puts: vec![gone, put("run/3", "d")], ..record(2) });
    let (done, wait) = channel();
    store.scan("run/", move |result| done.send(result).unwrap());
    let keys: Vec<_> = wait.recv().unwrap().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["run/2", "run/3"]);
    drop(store);
    let state = Store::open(dir.path()).unwrap().load().unwrap().state;
    assert_eq!(state.keys().collect::<Vec<_>>(), ["run/2", "run/3", "rx"]);
}

#[test]
fn a_copy_taken_at_any_moment_opens_with_every_answered_commit() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for round in 0..5_u64 {
        (1..=30).for_each(|n| commit(&store, record(round * 30 + n)));
        let crashed = tempdir().unwrap();
        copy(dir.path(), crashed.path());
        let loaded = Store::open(crashed.path()).unwrap().load().unwrap();
        assert_eq!(loaded.last_seq, (round + 1) * 30);
        assert_eq!(loaded.state, store.load().unwrap().state);
        assert!(!loaded.clean);
    }
}

#[test]
fn a_leftover_snapshot_does_not_block_the_open() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    commit(&store, record(1));
    drop(store);
    fs::write(dir.path().join("journal/00000001/snap.00000000000ABCDE.generating"), b"half").unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().load().unwrap().last_seq, 1);
}

/// Damage of any kind at any place: it opens, and what it says it has is right.
#[test]
fn flipped_bits_anywhere_never_refuse_service() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=50).for_each(|seq| commit(&store, record(seq)));
    drop(store);
    let size = usize::try_from(fs::metadata(dir.path().join("journal/00000001/db")).unwrap().len()).unwrap();
    for step in 0..12 {
        let broken = tempdir().unwrap();
        copy(dir.path(), broken.path());
        let db = broken.path().join("journal/00000001/db");
        let mut bytes = fs::read(&db).unwrap();
        // The log is mostly empty behind its first pages.
        let at = if step < 8 { step * 1_237 } else { step * size / 13 };
        for byte in bytes.iter_mut().skip(at).take(40) {
            *byte ^= 0xa5;
        }
        fs::write(&db, bytes).unwrap();
        let store = Store::open(broken.path()).unwrap();
        let loaded = store.load().unwrap();
        assert!(loaded.last_seq == 50 || loaded.damage.is_some());
        for text in journal(&store, 0, 1000) {
            assert!(text.starts_with("record "), "{text}");
        }
        commit(&store, record(loaded.last_seq + 1));
    }
}

#[test]
fn a_database_of_noise_is_moved_aside_and_what_can_be_read_is_saved() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=50).for_each(|seq| commit(&store, record(seq)));
    let state = store.load().unwrap().state;
    drop(store);
    // sled takes this for a log that ends there, and opens.
    for database in ["journal", "state"] {
        let db = dir.path().join(database).join("00000001/db");
        let mut bytes = fs::read(&db).unwrap();
        bytes[..300].fill(0xa5);
        fs::write(&db, bytes).unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    let loaded = store.load().unwrap();
    let damage = loaded.damage.unwrap();
    assert!(damage.contains("damaged-1") && !damage.contains("damaged-2"), "the rest is beside it: {damage}");
    assert_eq!((loaded.state, loaded.last_seq), (state, 50), "{damage}");
    assert_eq!(journal(&store, 49, 10), ["record 50"]);
}
