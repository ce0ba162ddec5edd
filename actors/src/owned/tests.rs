//! Folders and files that are ours, and those that only lie where ours should.

use super::*;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};
use tempfile::tempdir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_root() -> bool {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn an_empty_folder_and_one_that_is_not_there_are_taken() {
    let above = tempdir().unwrap();
    let (new, empty) = (above.path().join("a/b"), above.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o777)).unwrap();
    for dir in [new, empty] {
        assert_eq!(claim(&dir).unwrap(), dir.canonicalize().unwrap());
        assert_eq!(mode(&dir), 0o700);
    }
}

#[test]
fn a_folder_that_holds_other_things_is_refused_and_left_as_it_is() {
    let dir = tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["b.txt", "a\u{1b}.toml", "token"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let error = claim(dir.path()).unwrap_err();
    let path = dir.path().canonicalize().unwrap();
    let says =
        format!("the folder {} is neither empty nor a store: it holds `a?.toml` and 1 more", path.display());
    assert_eq!(error.to_string(), says);
    assert!(error.help.contains("a folder of its own"));
    assert_eq!(mode(dir.path()), 0o755);
}

#[test]
fn a_folder_that_all_users_share_is_refused_and_left_as_it_is() {
    for (bits, content) in [(0o1777, None), (0o1777, Some("other")), (0o777, Some("token"))] {
        let dir = tempdir().unwrap();
        if let Some(name) = content {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::set_permissions(dir.path(), Permissions::from_mode(bits)).unwrap();
        let error = claim(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("is shared by all users (mode {bits:o}) and no store")), "{error}");
        assert_eq!(mode(dir.path()), bits);
    }
}

#[test]
fn a_store_of_an_earlier_version_is_ours_whatever_else_lies_there() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("identity"), "1 00 00\n").unwrap();
    fs::write(dir.path().join("supervise.toml"), "").unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    claim(dir.path()).unwrap();
    assert_eq!(mode(dir.path()), 0o700);
}

#[test]
fn a_store_that_was_begun_and_not_finished_is_ours() {
    let dir = tempdir().unwrap();
    for name in ["lock", "token", "identity.new", "journal.ahead", "damaged-1", "lost+found"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    claim(dir.path()).unwrap();
}

#[test]
fn the_empty_path_is_no_folder() {
    assert_eq!(claim(Path::new("")).unwrap_err().to_string(), "the path of the store is empty");
}

#[test]
fn a_folder_that_belongs_to_somebody_else_is_refused() {
    let dir = tempdir().unwrap();
    if !is_root() {
        // Only root can give something away; somebody else's folder is at hand all the same where root's is not ours.
        return assert!(!owner::is_trusted(65_534));
    }
    std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
    let before = mode(dir.path());
    let error = claim(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with(" belongs to nobody (65534)"), "{error}");
    assert_eq!(mode(dir.path()), before);
    // Also where it has what a store has.
    fs::write(dir.path().join("identity"), "1 00 00\n").unwrap();
    claim(dir.path()).unwrap_err();
}

#[test]
fn whatever_lies_anywhere_in_a_store_is_looked_at_before_it_is_opened() {
    let dir = tempdir().unwrap();
    fs::create_dir_all(dir.path().join("output/00000001")).unwrap();
    fs::write(dir.path().join("output/00000001/db"), "").unwrap();
    check_contents(dir.path()).unwrap();
    let link = dir.path().join("output/00000001/conf");
    symlink("/etc/passwd", &link).unwrap();
    let error = check_contents(dir.path()).unwrap_err();
    assert!(error.to_string().contains("output/00000001/conf is a symbolic link"), "{error}");
    fs::remove_file(&link).unwrap();
    if is_root() {
        std::os::unix::fs::chown(dir.path().join("output/00000001/db"), Some(65_534), None).unwrap();
        let error = check_contents(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("db belongs to nobody (65534), and the store does not"), "{error}");
    }
}

#[test]
fn what_is_no_plain_file_of_ours_is_neither_read_nor_written() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("victim"), "theirs").unwrap();
    symlink(at("victim"), at("link")).unwrap();
    let name = std::ffi::CString::new(at("fifo").to_str().unwrap()).unwrap();
    // SAFETY: the name is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    fs::create_dir(at("folder")).unwrap();
    symlink(at("folder"), at("to_folder")).unwrap();
    let mut strange = vec!["link", "fifo", "folder"];
    if is_root() {
        fs::write(at("somebodys"), "chosen").unwrap();
        std::os::unix::fs::chown(at("somebodys"), Some(65_534), None).unwrap();
        strange.push("somebodys");
    }
    for name in strange {
        assert!(read(&at(name)).is_err(), "{name}");
        assert!(write(&at(name), b"ours").is_err(), "{name}");
        assert!(copy(&at(name), &at("copy")).is_err(), "{name}");
        assert!(copy(&at("victim"), &at(name)).is_err(), "{name}");
    }
    assert_eq!(fs::read(at("victim")).unwrap(), b"theirs");
    assert!(make_folder(&at("to_folder")).unwrap_err().to_string().contains("symbolic link"));
    make_folder(&at("folder")).unwrap();
    write(&at("new"), b"ours").unwrap();
    write(&at("new"), b"us").unwrap();
    assert_eq!((read_text(&at("new")).unwrap().as_str(), mode(&at("new"))), ("us", 0o600));
}
