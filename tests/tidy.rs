//! The rules of this repository that a machine can keep.
//!
//! Each rule is a test of its own whose message says what to do, and a checker that is itself tested on small texts,
//! so that a rule which stopped finding anything is noticed. Function lengths, `unwrap` and undocumented items are
//! clippy's and rustc's business (see the lints table in `Cargo.toml`).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Code is counted, not comments and tests: what has more of it has more than one concern.
const MAX_CODE_LINES: usize = 600;
/// The four rooms that know nothing of each other.
const ROOMS: [&str; 4] = ["launcher", "monitor", "retry", "breaker"];

/// What of a room carries and waits.
const CLERKS: [&str; 5] = ["actor", "wiring", "queries", "requests", "rooms"];
/// What reads, writes, waits or draws: nothing for rules.
const IO: [&str; 18] = [
    "actix::",
    "actix_rt::",
    "tokio::",
    "futures_util::",
    "sled::",
    "libc::",
    "rustix::",
    "log::",
    "getrandom::",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "std::sync::mpsc",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// A file of the repository: its path from the root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

/// Something that breaks a rule, and where.
type Broken = Vec<String>;

#[test]
fn files_stay_under_600_lines_of_code() {
    hold("divide the file by concern; bigger tests go into a sibling `tests.rs`", &rust(), long);
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    hold("begin the file with a `//!` line that says what it is for", &rust(), headless);
}

#[test]
fn nothing_is_called_utils() {
    hold("name the file for what is in it, in the words of the field", &rust(), nameless);
}

#[test]
fn lints_are_expected_not_allowed() {
    hold(
        "write `#[expect(lint, reason = \"…\")]`, which also says when it is no longer needed",
        &rust(),
        allowed,
    );
}

#[test]
fn clocks_are_read_in_one_place() {
    hold("ask `crate::clock`; wait for an event and not for time", &rust(), clocked);
}

#[test]
fn machines_know_only_nouns() {
    hold(
        "a machine decides on what it is given: pass it in as an argument or put the I/O into `actor.rs`",
        &rust(),
        impure,
    );
}

#[test]
fn rooms_do_not_know_each_other() {
    hold("send it through the Manager, or move the noun to `model`", &rust(), nosy);
}

#[test]
fn the_simulator_knows_the_rule_books_and_no_clerk() {
    hold(
        "simulate drives machines with their messages: what reads, writes or waits is not simulated",
        &rust(),
        unreal,
    );
}

#[test]
fn foundations_do_not_know_who_stands_on_them() {
    hold("model knows nothing of ours, keeper and store know `model` alone", &rust(), upward);
}

#[test]
fn no_two_files_need_each_other() {
    let broken = circles::unexcused(&rust(), circles::KNOWN);
    let what_to_do = "move what both need into the file that is needed, or into one of its own";
    assert!(broken.is_empty(), "{what_to_do}:\n  {}", broken.join("\n  "));
}

#[test]
fn the_web_talks_to_the_facade() {
    hold("ask `ProcessManager`; what it cannot answer yet is a method to add there", &rust(), webbed);
}

#[test]
fn examples_use_what_users_can_use() {
    hold("use what `actix_process` exports, as an application would", &rust(), privileged);
}

#[test]
fn files_of_users_are_opened_in_one_place() {
    hold(
        "read it by `user_file`, which waits for nobody; if the file is ours or the kernel's, add yours to `OPENERS`",
        &rust(),
        opening::unlooked,
    );
}

#[test]
fn no_path_of_one_machine_is_committed() {
    hold("use a relative path, `env!(\"CARGO_MANIFEST_DIR\")` or a temporary folder", &everything(), local);
}

#[test]
fn dependencies_with_known_holes_stay_above_their_fixes() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let broken = below_floors(&lock);
    assert!(broken.is_empty(), "run `cargo update -p NAME`:\n  {}", broken.join("\n  "));
}

// ------------------------------------------------------------------------------------------------ checkers

fn long(file: &Source) -> Broken {
    let text = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = text.lines().filter(is_code).count();
    let most = MAX_CODE_LINES;
    if lines > most { vec![format!("has {lines} lines of code, {most} are allowed")] } else { vec![] }
}

fn headless(file: &Source) -> Broken {
    let first = file.text.lines().next().unwrap_or_default();
    if first.starts_with("//! ") { vec![] } else { vec![format!("begins with `{first}`")] }
}

fn nameless(file: &Source) -> Broken {
    let names = file.path.split('/').map(|part| part.trim_end_matches(".rs"));
    names
        .filter(|name| matches!(*name, "util" | "utils" | "common" | "helper" | "helpers" | "misc"))
        .map(|name| format!("`{name}` says nothing"))
        .collect()
}

fn allowed(file: &Source) -> Broken {
    let pattern = concat!("[allow", "(");
    each_line(&code(&file.text), |line| {
        let compact: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        compact.contains(pattern).then(|| "silences a lint for ever".to_owned())
    })
}

fn clocked(file: &Source) -> Broken {
    let exempt = file.path == "actors/src/clock.rs"
        || ["actors/src/keeper/", "examples/", "tests/", "actors/tests/", "benches/", "actors/benches/"]
            .iter()
            .any(|folder| file.path.starts_with(folder))
        || is_test_file(&file.path);
    if exempt {
        return vec![];
    }
    each_line(&without_tests(&code(&file.text)), |line| {
        ["Instant::now", "SystemTime::now", "thread::sleep", "Timestamp::now", "Zoned::now"]
            .iter()
            .find(|call| line.contains(*call))
            .map(|call| format!("calls `{call}`"))
    })
}

fn impure(file: &Source) -> Broken {
    let Some(room) = room_of(&file.path) else { return vec![] };
    let rest = file.path.trim_start_matches("actors/src/").trim_start_matches(room);
    if rest != "/machine.rs" && !rest.starts_with("/machine/") || is_test_file(&file.path) {
        return vec![];
    }
    let own = format!("crate::{room}::machine");
    // The Manager's decisions are made of what it hears from everybody and tells everybody.
    let messages = |path: &str| {
        let mut all = ROOMS.iter().chain(["manager"].iter());
        // What people are told of what it knows is worded by a room without an actor.
        let worded = is_within(path, "crate::explain");
        room == "manager" && (worded || all.any(|other| is_within(path, &format!("crate::{other}"))))
    };
    let fine = |path: &str| is_within(path, "crate::model") || is_within(path, &own) || messages(path);
    // Numbers that the kernel gave names, and the bytes of an `OsStr`, are no I/O.
    let pure = |path: &str| {
        let name = path.rsplit("::").next().unwrap_or_default();
        let constant = name.len() > 1 && name.chars().all(|c| !c.is_lowercase());
        path.starts_with("libc::") && constant || is_within(path, "std::os::unix::ffi")
    };
    paths(&without_tests(&code(&file.text)))
        .into_iter()
        .filter(|path| {
            path.starts_with("crate::") && !fine(path)
                || IO.iter().any(|root| path.starts_with(root)) && !pure(path)
        })
        .map(|path| format!("uses `{path}`"))
        .collect()
}

fn nosy(file: &Source) -> Broken {
    let Some(room) = room_of(&file.path) else { return vec![] };
    let paths = paths(&code(&file.text)).into_iter();
    let strangers: Vec<String> = match room {
        // The Manager hears and tells everybody, by messages alone.
        "manager" => ROOMS
            .iter()
            .flat_map(|other| ["machine", "actor"].map(|part| format!("crate::{other}::{part}")))
            .collect(),
        _ => ROOMS
            .iter()
            .filter(|other| **other != room)
            .chain(["manager"].iter())
            .map(|other| format!("crate::{other}"))
            .collect(),
    };
    paths
        .filter(|path| strangers.iter().any(|stranger| is_within(path, stranger)))
        .map(|path| format!("uses `{path}`"))
        .collect()
}

fn unreal(file: &Source) -> Broken {
    if !file.path.starts_with("actors/src/simulate/") {
        return vec![];
    }
    let rooms = ROOMS.iter().chain(["manager"].iter());
    let inner: Vec<String> =
        rooms.flat_map(|room| CLERKS.map(|part| format!("crate::{room}::{part}"))).collect();
    let known = ["model", "simulate", "manager", "launcher", "monitor", "retry", "breaker"];
    paths(&without_tests(&code(&file.text)))
        .into_iter()
        .filter(|path| {
            let ours = path.starts_with("crate::");
            let room = known.iter().any(|known| is_within(path, &format!("crate::{known}")))
                // How rule books are asked; not the actor around them.
                || path == "crate::clerk::Rules";
            ours && (!room || inner.iter().any(|inner| is_within(path, inner)) || path.ends_with("Actor"))
                || IO.iter().any(|root| path.starts_with(root))
        })
        .map(|path| format!("uses `{path}`"))
        .collect()
}

fn upward(file: &Source) -> Broken {
    let Some(folder) = ["model", "keeper", "store"]
        .into_iter()
        .find(|folder| file.path.starts_with(&format!("actors/src/{folder}/")))
    else {
        return vec![];
    };
    let mut known = vec![format!("crate::{folder}"), "crate::model".to_owned()];
    let mut foreign = vec!["actix::", "actix_rt::"];
    match folder {
        "keeper" => {
            known.push("crate::owned".into());
            foreign.push("sled::");
        }
        "store" => known.extend(["crate::clock".into(), "crate::owned".into()]),
        _ => foreign.extend(["sled::", "tokio::", "std::fs", "std::process", "std::thread"]),
    }
    paths(&without_tests(&code(&file.text)))
        .into_iter()
        .filter(|path| {
            let ours = path.starts_with("crate::") && !known.iter().any(|known| is_within(path, known));
            ours || foreign.iter().any(|root| path.starts_with(root))
        })
        .map(|path| format!("uses `{path}`"))
        .collect()
}

fn webbed(file: &Source) -> Broken {
    if !file.path.starts_with("src/web/") || is_test_file(&file.path) {
        return vec![];
    }
    let behind = ["keeper", "store", "launcher", "retry"];
    let roots = ["actix_process_actors", "crate::actors"];
    paths(&without_tests(&code(&file.text)))
        .into_iter()
        .filter(|path| {
            let rooms = behind.iter().flat_map(|room| roots.map(|root| format!("{root}::{room}")));
            let mut closed = rooms.chain(["crate::config".to_owned()]);
            closed.any(|closed| is_within(path, &closed)) || path.ends_with("::ManagerActor")
        })
        .map(|path| format!("uses `{path}`"))
        .collect()
}

fn privileged(file: &Source) -> Broken {
    if !file.path.starts_with("examples/") {
        return vec![];
    }
    let code = code(&file.text);
    let mut found = paths(&code);
    if code.contains("actix_process_actors") {
        found.push("actix_process_actors".into());
    }
    let inner = ["actix_process::actors::keeper", "actix_process::actors::store", "actix_process_actors"];
    found.retain(|path| inner.iter().any(|inner| is_within(path, inner)));
    found.into_iter().map(|path| format!("uses `{path}`")).collect()
}

fn local(file: &Source) -> Broken {
    // Spelled apart, so that this file may say what it looks for.
    let mut homes: Vec<String> = ["home", "root", "Users"].iter().map(|home| format!("/{home}/")).collect();
    let here = root().display().to_string();
    if here.matches('/').count() > 1 {
        homes.push(here);
    }
    each_line(&file.text, |line| {
        homes
            .iter()
            .find(|home| line.contains(home.as_str()))
            .map(|home| format!("has a path under `{home}`"))
    })
}

/// The lowest versions without a known hole, for a machine that cannot ask the advisory database.
fn below_floors(lock: &str) -> Broken {
    /// Name, the versions that the advisory is about (a prefix), and the first good one among them.
    const FLOORS: [(&str, &str, &str); 2] =
        [("crossbeam-epoch", "0.9.", "0.9.20"), ("rand", "0.8.", "0.8.6")];
    let parse = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    let field = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches([' ', '=', '"']).to_owned())
    };
    let mut broken = Broken::new();
    for package in lock.split("[[package]]").skip(1) {
        let (Some(name), Some(version)) = (field(package, "name"), field(package, "version")) else {
            continue;
        };
        for (floored, line, floor) in FLOORS {
            if name == floored && version.starts_with(line) && parse(&version) < parse(floor) {
                broken.push(format!("{name} {version} is older than {floor}"));
            }
        }
    }
    broken
}

// ------------------------------------------------------------------------------------------------ reading Rust

/// The text without what stands behind `//` on each line. Strings that hold `//` lose their rest, which no rule minds.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The text up to its `mod tests`, which by custom stands last.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// Every path that begins at a crate: those of `use` with their braces opened, and those that stand in the code.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let begins = code[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        let Some(end) = code[at..].find(';') else { continue };
        if begins {
            open_braces("", &code[at + 4..at + end], &mut found);
        }
    }
    for root in [
        "crate",
        "actix",
        "actix_process",
        "actix_process_actors",
        "tokio",
        "std",
        "sled",
        "libc",
        "rustix",
        "log",
    ] {
        let start = format!("{root}::");
        for (at, _) in code.match_indices(&start) {
            let inside =
                code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            let path: String =
                code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            if !inside && !path.ends_with("::") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn open_braces(before: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        found.push(format!("{before}{path}"));
        return;
    };
    let before = format!("{before}{}", head.trim());
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    open_braces(&before, &inner[start..at], found);
                }
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
    }
}

fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn room_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("actors/src/")?.split('/').next()?;
    (name == "manager" || ROOMS.contains(&name)).then_some(name)
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn each_line(text: &str, check: impl Fn(&str) -> Option<String>) -> Broken {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(at, line)| Some(format!("line {}: {}", at + 1, check(line)?))).collect()
}

// ------------------------------------------------------------------------------------------------ the repository

#[track_caller]
fn hold(what_to_do: &str, files: &[Source], check: impl Fn(&Source) -> Broken) {
    assert!(files.len() > 20, "the files of the repository were not found");
    let broken: Vec<_> = files
        .iter()
        .flat_map(|file| {
            check(file).into_iter().map(|what| format!("{}: {what}", file.path)).collect::<Vec<_>>()
        })
        .collect();
    assert!(broken.is_empty(), "{what_to_do}:\n  {}", broken.join("\n  "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust() -> Vec<Source> {
    let mut files = everything();
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

/// Every text file that is or may be committed.
fn everything() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files
}

fn collect(folder: &Path, before: &str, files: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { panic!("{} cannot be read", folder.display()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{before}{name}");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !matches!(name.as_str(), ".git" | "target" | "supervise-data" | "node_modules") {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && name != ".git" {
            // What is no text is none of our business.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(Source { path, text });
            }
        }
    }
}

#[path = "tidy/checkers.rs"]
mod checkers;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/opening.rs"]
mod opening;
