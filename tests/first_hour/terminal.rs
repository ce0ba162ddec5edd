//! What is printed where: colours on a terminal and nowhere else, a child's bytes as they are.

use crate::daemon::{Daemon, run};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    os::fd::{FromRawFd, OwnedFd},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Both ends of a terminal that nobody looks at; one of no columns does not know how wide it is.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let mut size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut theirs) = (-1, -1);
    let null = std::ptr::null_mut::<libc::c_char>();
    // SAFETY: both numbers are written by the call, which reads the size and takes nothing else of ours.
    let opened = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null, null.cast(), &raw mut size) };
    assert_eq!(opened, 0, "a terminal");
    // SAFETY: both descriptors were just made and belong to nobody else.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// What a command writes to a terminal.
fn seen(command: Command) -> String {
    seen_on(command, 0)
}

fn seen_on(mut command: Command, columns: u16) -> String {
    let (mut ours, theirs) = terminal(columns);
    let mut child = command.stdout(theirs).stderr(Stdio::null()).spawn().expect("it starts");
    drop(command); // Our copy of their end: reading ends when the last one is closed.
    let mut bytes = Vec::new();
    let _ = ours.read_to_end(&mut bytes); // The end of a terminal is an error, EIO.
    assert!(child.wait().expect("it ends").success());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_terminal_gets_colours_unless_it_is_dumb_or_somebody_wants_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(
        "version = 1\n[store]\npath = \"store\"\n[program.job]\ncommand = [\"echo\", \"hello\"]\n",
        folder.path(),
    );
    assert_eq!(daemon.ask(&["run", "job", "--wait"]).code, 0);
    for verb in [&["ps"][..], &["status", "job"], &["why", "job"], &["logs", "job"], &["breaker"]] {
        let with = |settings: &[(&str, &str)]| {
            let mut command = daemon.command(verb);
            command.envs(settings.iter().copied());
            seen(command).contains('\u{1b}')
        };
        assert!(with(&[("TERM", "xterm")]), "{verb:?} on a terminal");
        assert!(!with(&[("TERM", "xterm"), ("NO_COLOR", "1")]), "{verb:?} with NO_COLOR");
        assert!(!with(&[("TERM", "dumb")]), "{verb:?} on a dumb terminal");
        assert!(!daemon.ask(verb).out.contains('\u{1b}'), "{verb:?} through a pipe");
    }
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_table_is_as_wide_as_the_terminal_and_what_is_read_by_a_program_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "version = 1\n[store]\npath = \"store\"\n[program.job]\n\
        command = [\"sh\", \"-c\", \"echo HTTP 503 from a shop with a very long name of which nobody ever heard; exit 3\"]\n\
        retry = { delay = \"2m\" }\n";
    let daemon = Daemon::of(config, folder.path());
    assert_eq!(daemon.ask(&["run", "job"]).code, 0);
    let piped = daemon.until(&["ps"], "nobody ever heard").out;
    let lines = |columns: u16, said: Option<&str>| {
        let mut command = daemon.command(&["ps"]);
        command.env("TERM", "dumb").env_remove("COLUMNS").envs(said.map(|said| ("COLUMNS", said)));
        let text = seen_on(command, columns);
        text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    for (columns, said, most) in [(60, None, 60), (90, None, 90), (60, Some("90"), 90), (90, Some("60"), 60)]
    {
        let lines = lines(columns, said);
        assert!(lines.iter().all(|line| line.chars().count() <= most), "{most}: {lines:#?}");
        assert!(
            lines.iter().any(|line| line.ends_with('…') && line.chars().count() == most),
            "{most}: {lines:#?}"
        );
    }
    assert!(lines(0, None).iter().any(|line| line.contains("nobody ever heard")), "of unknown width");
    assert!(piped.contains("nobody ever heard") && !piped.contains('…'), "{piped}");
    let mut command = daemon.command(&["ps"]);
    command.env("COLUMNS", "60");
    assert!(run(command).out.contains("nobody ever heard"), "a pipe has no columns");
    assert_eq!(daemon.end(), 0);
}

#[test]
fn output_in_pieces_is_passed_on_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(
        r#"version = 1
[store]
path = "store"
[program.job]
command = ["sh", "-c", 'printf one; until [ -e go ]; do sleep 0.01; done; printf "\ntwo\nno end"']
cwd = "."
"#,
        folder.path(),
    );
    let follow = ["logs", "-f", "-n", "all", "-o", "cat"];
    let mut readers = Vec::new();
    for args in [vec!["run", "job", "--wait"], follow.to_vec()] {
        let mut command = daemon.command(&args);
        if let Some(run) = readers.first().map(|(_, id, _): &(_, String, _)| id) {
            command.arg(run);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut id = String::new();
        if args.first() == Some(&"run") {
            out.read_line(&mut id).expect("the id");
        }
        let mut first = [0; 3];
        out.read_exact(&mut first).expect("the line's beginning");
        assert_eq!(&first, b"one", "{args:?}");
        readers.push((child, id.trim().to_owned(), out));
    }
    std::fs::write(folder.path().join("go"), "").expect("a file");
    let mut run = String::new();
    for (mut child, id, mut out) in readers {
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("the rest");
        assert_eq!(rest, "\ntwo\nno end", "{}", if id.is_empty() { "logs -f" } else { "run --wait" });
        assert!(child.wait().expect("it ends").success());
        run = if id.is_empty() { run } else { id };
    }
    let begun = Instant::now();
    assert_eq!(daemon.ask(&["logs", "job", "-n", "all", "-o", "cat"]).out, "one\ntwo\nno end");
    assert!(daemon.ask(&["logs", "-f", &run]).out.contains("no end"));
    assert!(begun.elapsed() < Duration::from_secs(10), "the end of what has ended is not waited for");
    assert_eq!(daemon.end(), 0);
}

/// What is written in pieces, in no text at all, with escapes, and last without an end.
const BYTES: &str = r#"version = 1
[store]
path = "store"
[program.bytes]
command = ["sh", "-c", 'printf "price \342"; sleep 0.3; printf "\202"; sleep 0.3; printf "\254 \\ \033[1m\377\r\n50%%\r100%%\nhalf" ; printf "oops" >&2; exit 3']
retry = { max_retries = 0 }
[program.bar]
command = ["sh", "-c", 'printf "\rfetched  10%%\rfetched 100%%\r\n\302\23331m\342\200\256x\n"']
"#;

#[test]
fn a_run_that_is_waited_for_passes_bytes_on_and_speaks_on_lines_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(BYTES, folder.path());
    let written = b"price \xe2\x82\xac \\ \x1b[1m\xff\r\n50%\r100%\nhalf";
    let run = |command: &mut Command| {
        let output = command.output().expect("it starts");
        let (id, out) =
            output.stdout.split_at(output.stdout.iter().position(|b| *b == b'\n').unwrap_or(0) + 1);
        assert_eq!((id.len(), output.status.code()), (27, Some(3)));
        (out.to_vec(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (out, err) = run(&mut daemon.command(&["run", "bytes", "--wait"]));
    assert_eq!(out, written, "{}", String::from_utf8_lossy(&out));
    assert!(err.starts_with("oops\nsupervise: failed"), "{err}");
    // Both outputs into the same file: in the order of writing.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = daemon.command(&["run", "bytes", "--wait"]);
    let mut child =
        command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer).spawn().expect("it starts");
    drop(command);
    let mut both = Vec::new();
    reader.read_to_end(&mut both).expect("all of it");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    let both = String::from_utf8_lossy(&both);
    assert!(both.contains("€") && both.contains("oops") && both.contains("\nsupervise: failed"), "{both}");
    // The same bytes out of the store, also while it is followed.
    for args in
        [&["logs", "bytes", "-n", "all", "-o", "cat", "--stdout", "--attempt", "1"][..], &["logs", "-f"]]
    {
        let mut command = daemon.command(args);
        if args == ["logs", "-f"] {
            let id = daemon.first_line(&["run", "bytes"]);
            command.args(["-n", "all", "-o", "cat", "--stdout", id.trim()]);
        }
        let out = command.output().expect("it starts").stdout;
        assert!(
            out.ends_with(written) && out.starts_with(b"price "),
            "{args:?}: {}",
            String::from_utf8_lossy(&out)
        );
    }
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_terminal_sees_the_last_state_of_a_line_and_json_that_moves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(BYTES, folder.path());
    let waited = seen(daemon.command(&["run", "bar", "--wait"]));
    assert!(
        waited.contains("\r\u{1b}[Kfetched 100%\r\n") && waited.contains("\\u{9b}31m\\u{202e}x"),
        "{waited:?}"
    );
    let text = seen(daemon.command(&["logs", "bar"]));
    assert!(text.contains("fetched 100%") && !text.contains("10%\\r") && !text.contains("\\r"), "{text:?}");
    let piped = daemon.ask(&["logs", "bar"]).out;
    assert!(piped.contains("\\rfetched  10%\\rfetched 100%"), "what a program reads is whole: {piped:?}");
    for verb in [&["logs", "bar", "-o", "json"][..], &["logs", "bar", "-o", "json", "--show-cursor"]] {
        let json = seen(daemon.command(verb));
        let obeyed = |c: char| c != '\r' && c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!json.contains(obeyed) && json.contains("\\u009b31m\\u202ex"), "{verb:?} {json:?}");
        assert!(daemon.ask(verb).out.contains('\u{9b}'), "{verb:?}: a program gets it as it is");
    }
    assert_eq!(daemon.end(), 0);
}
