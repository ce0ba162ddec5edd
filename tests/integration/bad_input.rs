//! What the command line says to bad input, word by word: `tests/messages/<name>.txt`, written anew by
//! `UPDATE_MESSAGES=1 cargo test --test integration what_is_said`.

use crate::death::{Daemon, supervise};
use std::{fs, path::Path, process::Command};

/// Exit code and standard error of one command, without what differs from one machine to the next.
fn said(folder: &Path, url: &str, args: &[&str]) -> String {
    let run = Command::new(supervise()).args(args).current_dir(folder).env("SUPERVISE_URL", url).output();
    let run = run.expect("it runs");
    let text = String::from_utf8_lossy(&run.stderr).replace(folder.to_str().expect("text"), "FOLDER");
    format!("$ supervise {}\n{text}exit {:?}\n\n", args.join(" "), run.status.code().unwrap_or(-1))
}

#[track_caller]
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; UPDATE_MESSAGES=1 writes it anew", path.display());
}

pub(crate) const CONFIG: &str = r#"version = 1
[store]
path = "store"
[program.fine]
command = ["sh", "-c", "echo fine"]
[program.scraper]
command = ["sh", "-c", "exit 0"]
[program.scraper.params.url]
type = "string"
required = true
[program.scraper.params.depth]
type = "integer"
default = 3
min = 1
max = 10
"#;

#[test]
fn what_is_said_to_requests_that_do_not_fit() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there");
    fs::write(real.join("supervise.toml"), CONFIG).expect("written");
    let daemon = Daemon::up(&real);
    let text: String = [
        &["run", "fin"][..],
        &["run", "scraper"],
        &["run", "scraper", "ur=x", "depth=50"],
        &["run", "scraper", "url=x", "depth=deep"],
        &["stop", "fine"],
        &["logs", "nobody"],
        &["retry", "01ABCD"],
        &["breaker", "reset", "site:nowhere"],
    ]
    .map(|args| said(&real, daemon.url(), args))
    .concat();
    daemon.end();
    compare("requests", &text);
}

#[test]
fn what_is_said_to_files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there");
    fs::write(real.join("latin1.toml"), b"# \xe9\n").expect("written");
    fs::write(real.join("itself.toml"), "version = 1\ninclude = [\"itself.toml\"]\n").expect("written");
    fs::write(real.join("large.toml"), vec![b'#'; 10 << 20]).expect("written");
    let many = "version = 1\n[program.a]\ncomand = [\"x\"]\ntimeout = 5\n[program.b]\ncommand = [\"x\"]\n\
        [[program.b.classify]]\nclass = \"network\"\npattern = '('\n[program.c\n";
    fs::write(real.join("many.toml"), many).expect("written");
    fs::write(real.join("folder.toml"), "version = 1\ninclude = [\".\", \"none.toml\"]\n").expect("written");
    let files = ["nowhere.toml", ".", "folder.toml", "latin1.toml", "large.toml", "itself.toml", "many.toml"];
    compare("files", &files.map(|file| said(&real, "", &["check", file])).concat());
}

#[test]
fn a_store_that_is_held_or_of_another_version_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let up = ["up", "supervise.toml", "--listen", "127.0.0.1:0"];
    let daemon = Daemon::up(folder.path());
    let held = said(folder.path(), "", &up);
    for part in
        [&format!("in use by process {} (", daemon.pid()), "supervise up", "since ", "help: one supervisor"]
    {
        assert!(held.contains(part), "{part}: {held}");
    }
    let address = daemon.url().trim_start_matches("http://").to_owned();
    let taken = said(folder.path(), "", &["up", "supervise.toml", "--listen", &address]);
    assert!(taken.contains(&format!("is taken by pid {} (supervise)", daemon.pid())), "{taken}");
    assert!(daemon.cli(&["ps"]).contains("fine"), "the first one is not disturbed");
    daemon.end();
    let identity = folder.path().join("store/identity");
    let good = fs::read_to_string(&identity).expect("there");
    fs::write(&identity, good.replacen('2', "3", 1)).expect("written");
    let newer = said(folder.path(), "", &up);
    assert!(newer.contains("has layout 3, and this version reads layouts up to 2"), "{newer}");
    fs::write(&identity, good).expect("written");
    Daemon::up(folder.path()).end();
}

#[test]
fn flipped_bits_in_any_file_of_a_store_never_prevent_a_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "fine", "--wait"]);
    daemon.end();
    let mut files = Vec::new();
    below(&folder.path().join("store"), &mut files);
    let databases =
        ["journal/00000001/db", "journal/00000001/conf", "state/00000001/db", "output/00000001/db"];
    for expected in databases.into_iter().chain(["journal.mark", "identity", "token"]) {
        assert!(files.iter().any(|file| file.ends_with(expected)), "{expected}: {files:?}");
    }
    for path in files {
        // Some are made anew at each start, under another name.
        let Ok(mut bytes) = fs::read(&path) else { continue };
        bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10);
        fs::write(&path, bytes).expect("written");
        let daemon = Daemon::up(folder.path());
        daemon.cli(&["run", "fine", "--wait"]);
        assert_eq!(daemon.logged("fine").last().map(String::as_str), Some("fine"), "{path:?}");
        daemon.end();
    }
}

fn below(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, files) } else { files.push(path) }
    }
}

/// Lines that a notice of loss stands for.
fn lost(line: &str) -> Option<usize> {
    line.strip_prefix('[')?
        .strip_suffix(" lost: the store was damaged here]")?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

#[test]
fn flipped_bits_in_output_cost_the_lines_they_hit_and_the_place_says_how_many() {
    const LINES: usize = 40_000;
    let folder = tempfile::tempdir().expect("a folder");
    let many = "[program.many]\ncommand = [\"sh\", \"-c\", \"seq -f 'line number %.0f' 40000\"]\n";
    fs::write(folder.path().join("supervise.toml"), format!("{CONFIG}{many}")).expect("written");
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "many", "--wait"]);
    daemon.cli(&["run", "fine", "--wait"]);
    assert_eq!(daemon.logged("many").len(), LINES);
    daemon.end();
    let db = folder.path().join("store/output/00000001/db");
    let mut gone = 0;
    for eighth in [1, 3, 5] {
        let mut bytes = fs::read(&db).expect("there");
        // Where the large chunks begin: small are the other program's, and the lines that tell of a loss.
        let head = |at: usize| bytes.get(at..at + 44).filter(|head| head.starts_with(b"\x01chk"));
        let large = |head: &&[u8]| u32::from_le_bytes([head[4], head[5], head[6], head[7]]) > 600;
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        for head in (0..bytes.len()).filter_map(head).filter(large) {
            if !chunks.iter().any(|known| known == head) {
                chunks.push(head.to_vec());
            }
        }
        // Never the last one, whose loss nobody could count.
        let hit = &chunks[chunks.len() * eighth / 8];
        // sled may have written it twice.
        let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(hit)).collect();
        places.iter().for_each(|at| bytes[at + 40] ^= 0x10);
        fs::write(&db, bytes).expect("written");
        let daemon = Daemon::up(folder.path());
        let (mut next, mut told) = (1, 0);
        for line in daemon.logged("many") {
            let lines = lost(&line).unwrap_or_else(|| {
                assert_eq!(line, format!("line number {next}"), "in order and whole");
                1
            });
            next += lines;
            told += if line.starts_with('[') { lines } else { 0 };
        }
        assert_eq!(next, LINES + 1, "each line is there or counted as lost");
        assert!(told > gone && told < LINES / 2, "{told} lost, {gone} before");
        gone = told;
        assert_eq!(daemon.logged("fine"), ["fine"], "others are whole");
        daemon.end();
    }
}
