//! What the daemon does where the machine gives it little: it says so, and strangers cannot make it less.

use crate::death::{Daemon, supervise, until};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

fn write(folder: &Path, programs: &str) {
    let text = format!("version = 1\n[store]\npath = \"store\"\n{programs}");
    fs::write(folder.join("supervise.toml"), text).expect("written");
}

#[test]
fn too_small_limits_are_refused_in_a_sentence_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "[program.p]\ncommand = [\"true\"]\n");
    for (limit, words) in [
        ("ulimit -n 8", "the limit of open files is 8"),
        ("ulimit -n 24", "the limit of open files is 24"),
        ("ulimit -n 32", "the limit of open files is 32"),
        ("ulimit -v 51200", "the limit of address space is 50 MiB"),
        ("ulimit -v 1048576", "the limit of address space is 1024 MiB"),
    ] {
        let said = Command::new("sh")
            .args(["-c", &format!("{limit} && exec \"$@\""), "sh"])
            .arg(supervise())
            .args(["up", "supervise.toml", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{limit}: {text}");
        assert!(text.contains(words) && text.contains("help: raise"), "{limit}: {text}");
        assert!(!folder.path().join("store").exists(), "{limit}");
    }
}

#[test]
fn connections_of_strangers_leave_descriptors_for_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    let line = format!("echo >> {}; exit 1", starts.display());
    write(
        folder.path(),
        &format!(
            "[program.flap]\ncommand = [\"sh\", \"-c\", {line:?}]\nautostart = true\nbreaker = false\n\
             [program.flap.retry]\nmax_retries = 100000\nintensity = false\nbackoff = \"constant\"\njitter = \"none\"\n\
             delay = \"50ms\"\nmin_delay = \"50ms\"\n"
        ),
    );
    let daemon = Daemon::up_limited(folder.path(), "ulimit -n 128");
    let begun = || fs::metadata(&starts).map_or(0, |file| file.len());
    until("it flaps", || begun() > 2);
    let address = daemon.url().trim_start_matches("http://").to_owned();
    let strangers: Vec<_> = (0..150).map(|_| TcpStream::connect(&address).expect("it is heard")).collect();
    let before = begun();
    until("it goes on", || begun() > before + 10);
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it lives").count();
    assert!(open < 100, "{open} descriptors are open");
    drop(strangers);
    let events = daemon.cli(&["events"]);
    assert!(!events.contains("spawn_transient"), "no start was refused: {events}");
    daemon.end();
}

/// The head of an answer to a start with a secret.
fn start_with_a_secret(daemon: &Daemon, folder: &Path) -> String {
    let address = daemon.url().trim_start_matches("http://");
    let token = fs::read_to_string(folder.join("store/token")).expect("there");
    let body = "{\"params\":{\"key\":\"hush\"}}";
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "POST /api/v1/programs/p/runs HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        token.trim(),
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    answer.to_ascii_lowercase()
}

#[test]
fn a_secret_that_cannot_be_kept_is_asked_for_again_later() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "[program.p]\ncommand = [\"true\"]\n[program.p.params.key]\nsecret = true\nenv = \"KEY\"\n",
    );
    let daemon = Daemon::up(folder.path());
    // As good as a full disk, and without a mount.
    let secrets = folder.path().join("store/secrets");
    let _ = fs::remove_dir(&secrets);
    fs::write(&secrets, "").expect("in the way");
    let answer = start_with_a_secret(&daemon, folder.path());
    assert!(answer.starts_with("http/1.1 503") && answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains("the secrets cannot be kept"), "{answer}");
    fs::remove_file(&secrets).expect("removed");
    let answer = start_with_a_secret(&daemon, folder.path());
    assert!(answer.starts_with("http/1.1 202"), "{answer}");
    daemon.end();
}
