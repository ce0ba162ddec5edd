//! Whose a store is: a copy harms nobody, and what is not ours is not taken.

use crate::{
    bad_input::CONFIG,
    death::{Daemon, supervise, until},
    stop::{mark, marked},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

/// A daemon's refusal to start.
fn refused(folder: &Path, more: &[&str]) -> String {
    let up = ["up", "supervise.toml", "--listen", "127.0.0.1:0"];
    let run = Command::new(supervise()).args(up).args(more).current_dir(folder).output();
    let Output { status, stderr, .. } = run.expect("it runs");
    assert_eq!(status.code(), Some(1), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stderr).into_owned()
}

#[test]
fn the_supervisor_of_a_copied_store_touches_no_process_of_the_original() {
    let above = tempfile::tempdir().expect("a folder");
    let [first, second, third] = ["first", "second", "third"].map(|name| above.path().join(name));
    let mark = mark("copied");
    let config = format!(
        "version = 1\n[store]\npath = \"data\"\n[program.tick]\n\
         command = [\"sh\", \"-c\", \"echo up; while :; do sleep 1; done\", \"{mark}\"]\nrestart = \"always\"\n"
    );
    for folder in [&first, &second, &third] {
        fs::create_dir(folder).expect("made");
        fs::write(folder.join("supervise.toml"), &config).expect("written");
    }
    let original = Daemon::up(&first);
    original.cli(&["run", "tick"]);
    until("the process", || original.logged("tick") == ["up"]);
    let children = marked(&mark);
    copy(&first.join("data"), &second.join("data"));
    copy(&first.join("data"), &third.join("data"));

    let copied = Daemon::up(&second);
    let events = copied.cli(&["events"]);
    assert!(events.contains("it is a copy of a store that process"), "{events}");
    until("the copy's own judgement", || copied.cli(&["events"]).contains("lost"));
    assert!(marked(&mark).is_superset(&children), "the original's processes live");
    copied.end();
    assert!(marked(&mark).is_superset(&children), "also after the end of the copy");
    // Once more: from now on the copy has an identity of its own.
    let again = Daemon::up(&second);
    assert!(marked(&mark).is_superset(&children));
    again.kill();

    // The lock of a copy names who had it when it was made. That it is a copy is seen by its folder alone, too.
    fs::write(third.join("data/lock"), "1 1 another-boot\n").expect("written");
    let stale = Daemon::up(&third);
    let events = stale.cli(&["events"]);
    assert!(events.contains("it was copied, or moved from another file system"), "{events}");
    assert!(marked(&mark).is_superset(&children));
    stale.end();
    assert!(!original.cli(&["events"]).contains("attempt_ended"), "nothing befell the original");
    original.end();
}

#[test]
fn a_store_that_was_renamed_still_stops_what_its_dead_supervisor_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = mark("renamed");
    let config = |store: &str| {
        format!(
            "version = 1\n[store]\npath = \"{store}\"\n[program.tick]\n\
             command = [\"sh\", \"-c\", \"echo up; while :; do sleep 1; done\", \"{mark}\"]\nrestart = \"no\"\n"
        )
    };
    fs::write(folder.path().join("supervise.toml"), config("a")).expect("written");
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "tick"]);
    until("the process", || daemon.logged("tick") == ["up"]);
    let (left, keeper) = (marked(&mark), daemon.keeper());
    // SAFETY: the keeper is a child of the daemon, which lives and does not reap it before this.
    unsafe { libc::kill(keeper, libc::SIGSTOP) };
    daemon.kill();
    // SAFETY: a stopped process keeps its id.
    unsafe { libc::kill(keeper, libc::SIGKILL) };
    fs::rename(folder.path().join("a"), folder.path().join("b")).expect("renamed");
    fs::write(folder.path().join("supervise.toml"), config("b")).expect("written");
    let daemon = Daemon::up(folder.path());
    until("the end of what was left", || marked(&mark).is_disjoint(&left));
    let events = daemon.cli(&["events"]);
    assert!(!events.contains("store_moved"), "{events}");
    daemon.end();
}

#[test]
fn a_folder_with_other_things_is_no_store_and_keeps_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::write(shared.join("other"), "").expect("written");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("set");
    for (data, words) in [
        ("shared", "is shared by all users (mode 1777) and no store"),
        (".", "is neither empty nor a store: it holds `shared` and 1 more"),
    ] {
        let said = refused(folder.path(), &["--data", data]);
        assert!(said.contains(words) && said.contains("help: name a folder of its own"), "{said}");
    }
    let mode = fs::metadata(&shared).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o1777);
    assert_eq!(fs::read_dir(&shared).expect("there").count(), 1, "nothing was put there");
}

#[test]
fn a_folder_of_somebody_elses_is_no_store_whatever_lies_in_it() {
    // SAFETY: the call has no arguments and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return; // Only root can give a folder away.
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let owned = folder.path().join("store");
    fs::create_dir(&owned).expect("made");
    fs::write(owned.join("token"), "attackerknowstoken\n").expect("written");
    for path in [&owned, &owned.join("token")] {
        std::os::unix::fs::chown(path, Some(65_534), None).expect("given");
    }
    let said = refused(folder.path(), &[]);
    assert!(said.contains("belongs to nobody (65534)") && said.contains("help: run as that user"), "{said}");
    // The folder ours, a file in it theirs.
    std::os::unix::fs::chown(&owned, Some(0), None).expect("taken");
    let said = refused(folder.path(), &[]);
    assert!(said.contains("token belongs to nobody (65534), and the store does not"), "{said}");
}

#[test]
fn links_in_the_place_of_a_stores_files_are_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let victim = folder.path().join("victim");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    let good = "a file of root's, 32 bytes long.";
    let files = ["lock", "identity", "token", "boot_id", "keeper.lock", "journal.ahead", "journal.mark"];
    let folders = ["journal", "output", "spool"];
    for name in files.into_iter().chain(folders) {
        let store = folder.path().join("store");
        let _ = fs::remove_dir_all(&store);
        fs::create_dir(&store).expect("made");
        fs::write(&victim, good).expect("written");
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).expect("set");
        let to = if folders.contains(&name) { &elsewhere } else { &victim };
        std::os::unix::fs::symlink(to, store.join(name)).expect("linked");
        // Some are made anew in the link's place; whatever is said, nothing reaches what it names.
        let up = ["up", "supervise.toml", "--listen", "127.0.0.1:0"];
        let mut child = Command::new(supervise())
            .args(up)
            .current_dir(folder.path())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = std::io::BufReader::new(child.stderr.take().expect("piped"));
        let last = std::io::BufRead::lines(lines).map_while(Result::ok).find(|line| {
            line.contains("listening on ") || line.contains("symbolic link") || line.contains("nor a store")
        });
        let _ = child.kill();
        let _ = child.wait();
        assert!(last.is_some(), "{name}: it says why or listens");
        assert_eq!(fs::read_to_string(&victim).expect("there"), good, "{name}");
        let mode = fs::metadata(&victim).expect("there").permissions().mode() & 0o7777;
        assert_eq!(mode, 0o644, "{name}");
        assert_eq!(fs::read_dir(&elsewhere).expect("there").count(), 0, "{name}");
    }
}
