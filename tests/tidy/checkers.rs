//! Every checker finds what it is for, and nothing else.

use super::{circles::unexcused, opening::unlooked, *};

#[track_caller]
fn finds(check: impl Fn(&Source) -> Broken, path: &str, text: &str) {
    let broken = check(&Source { path: path.into(), text: text.into() });
    assert!(!broken.is_empty(), "nothing found in {path}:\n{text}");
}

#[track_caller]
fn passes(check: impl Fn(&Source) -> Broken, path: &str, text: &str) {
    let broken = check(&Source { path: path.into(), text: text.into() });
    assert!(broken.is_empty(), "{broken:?} in {path}:\n{text}");
}

#[test]
fn lengths_headers_and_names() {
    finds(long, "src/a.rs", &"x\n".repeat(601));
    passes(long, "src/a.rs", &"x\n".repeat(600));
    passes(long, "src/a.rs", &"    // why\n\n".repeat(601));
    passes(long, "src/a.rs", &format!("x\n#[cfg(test)]\nmod tests {{\n{}}}", "x\n".repeat(601)));
    finds(headless, "src/a.rs", "use std::fmt;\n");
    finds(headless, "src/a.rs", "");
    passes(headless, "src/a.rs", "//! What it is.\n");
    finds(nameless, "src/utils.rs", "");
    finds(nameless, "actors/src/common/mod.rs", "");
    passes(nameless, "src/uncommon.rs", "");
}

#[test]
fn silenced_lints() {
    finds(allowed, "src/a.rs", concat!("#[allow", "(dead_code)]"));
    finds(allowed, "src/a.rs", concat!("#![ allow", " (dead_code)]"));
    passes(allowed, "src/a.rs", "#[expect(dead_code, reason = \"soon\")]");
    passes(allowed, "src/a.rs", concat!("// never #[allow", "(x)]"));
}

#[test]
fn clocks() {
    finds(clocked, "actors/src/retry/actor.rs", "let t = tokio::time::Instant::now();");
    finds(clocked, "src/web/a.rs", "std::thread::sleep(x);");
    passes(clocked, "actors/src/clock.rs", "Instant::now()");
    passes(clocked, "actors/src/keeper/reap.rs", "Instant::now()");
    passes(clocked, "actors/src/retry/tests.rs", "Instant::now()");
    passes(clocked, "src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n Instant::now()\n}");
}

#[test]
fn files_of_users() {
    finds(unlooked, "actors/src/launcher/compose.rs", "let text = fs::read_to_string(&path)?;");
    finds(unlooked, "src/config/document.rs", "let mut file = File::open(path)?;");
    finds(unlooked, "examples/supervise/up.rs", "std::fs::OpenOptions::new()");
    passes(unlooked, "actors/src/user_file.rs", "File::open(path)");
    passes(unlooked, "src/config/tests/errors.rs", "fs::read_to_string(path)");
    passes(unlooked, "src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n fs::read(path)\n}");
}

#[test]
fn the_simulator() {
    let simulator = "actors/src/simulate/engine.rs";
    finds(unreal, simulator, "use crate::clock;");
    finds(unreal, simulator, "use crate::{model::Run, store::Store};");
    finds(unreal, simulator, "use crate::keeper::Spawn;");
    finds(unreal, simulator, "use crate::retry::{self, RetryActor};");
    finds(unreal, simulator, "fn a() { crate::manager::wiring::open(x) }");
    finds(unreal, simulator, "use std::time::Instant;");
    finds(unreal, simulator, "use actix::Message;");
    passes(
        unreal,
        simulator,
        "use crate::{breaker, manager::machine::{Effect, Machine}, model::Run, monitor};",
    );
    passes(unreal, "actors/src/retry/actor.rs", "use crate::clock;");
}

#[test]
fn machines() {
    let machine = "actors/src/retry/machine/law.rs";
    finds(impure, machine, "use crate::clock;");
    finds(impure, machine, "use crate::{model::Run, clock};");
    finds(impure, machine, "pub(super) use tokio::time::Instant;");
    finds(impure, "actors/src/breaker/machine.rs", "fn a() { std::fs::read(x) }");
    finds(impure, "actors/src/breaker/machine.rs", "use crate::breaker::messages::Admit;");
    finds(impure, machine, "fn a() { unsafe { libc::kill(1, libc::SIGTERM) } }");
    finds(impure, "actors/src/manager/machine/start.rs", "use crate::store::Store;");
    passes(impure, "actors/src/manager/machine/start.rs", "use crate::{breaker::Admit, manager::Start};");
    passes(impure, machine, "use libc::{ENOENT, SIGTERM};\nuse std::os::unix::ffi::OsStrExt;");
    passes(impure, machine, "use crate::model::{Run, Timestamp};\nuse super::jitter::Seed;\nuse std::fmt;");
    passes(impure, "actors/src/retry/actor.rs", "use crate::clock;");
}

#[test]
fn rooms() {
    finds(nosy, "actors/src/retry/actor.rs", "use crate::breaker::Admit;");
    finds(
        nosy,
        "actors/src/monitor/query.rs",
        "use crate::{\n    model::Run,\n    manager::{Start, Stop},\n};",
    );
    finds(nosy, "actors/src/launcher/spawn.rs", "fn a() -> crate::monitor::Watch {}");
    finds(nosy, "actors/src/manager/actor.rs", "use crate::retry::machine::Law;");
    passes(nosy, "actors/src/manager/actor.rs", "use crate::{breaker::Admit, retry::Ended};");
    passes(
        nosy,
        "actors/src/retry/actor.rs",
        "use crate::{clock, model::Run, retry::Ended};\n// crate::breaker::X",
    );
}

#[test]
fn foundations() {
    finds(upward, "actors/src/model/run.rs", "use crate::clock::now;");
    finds(upward, "actors/src/keeper/reap.rs", "use crate::store::Chunk;");
    finds(upward, "actors/src/keeper/reap.rs", "use actix::Actor;");
    finds(upward, "actors/src/store/chunk.rs", "use crate::monitor::Record;");
    passes(upward, "actors/src/store/chunk.rs", "use crate::{model::Cursor, store::StoreError};");
    passes(upward, "actors/src/keeper/reap.rs", "use crate::model::ExitStatus;\nuse std::thread;");
}

#[test]
fn web_and_examples() {
    finds(webbed, "src/web/routes.rs", "use actix_process_actors::{model::Run, store::Store};");
    finds(webbed, "src/web/routes.rs", "use actix_process_actors::manager::{ManagerActor, Start};");
    passes(webbed, "src/web/routes.rs", "use crate::ProcessManager;\nuse actix_process_actors::model::Run;");
    finds(privileged, "examples/a.rs", "use actix_process_actors::model::Run;");
    finds(privileged, "examples/a.rs", "actix_process::actors::keeper::init();");
    passes(privileged, "examples/a.rs", "use actix_process::{ProcessManager, actors::model::RunId};");
}

#[test]
fn paths_of_one_machine() {
    finds(local, "README.md", &format!("see {}alice/notes", "/home".to_owned() + "/"));
    passes(local, "README.md", "see /srv/app and ./scripts");
}

#[test]
fn floors() {
    let lock = |name: &str, version: &str| {
        below_floors(&format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"))
    };
    assert_eq!(lock("crossbeam-epoch", "0.9.18").len(), 1);
    assert_eq!(lock("rand", "0.8.5").len(), 1);
    assert!(lock("crossbeam-epoch", "0.9.20").is_empty());
    assert!(lock("rand", "0.9.1").is_empty() && lock("rand_core", "0.8.1").is_empty());
}

/// What the rule on circles says of these files of one crate.
fn circles_of(files: &[(&str, &str)], known: &[(&[&str], &str)]) -> Broken {
    let source =
        |(path, text): &(&str, &str)| Source { path: format!("actors/src/{path}"), text: (*text).into() };
    unexcused(&files.iter().map(source).collect::<Vec<_>>(), known)
}

#[test]
fn circles_of_files() {
    let circles = |files: &[(&str, &str)]| circles_of(files, &[]).len();
    assert_eq!(circles(&[("a.rs", "use crate::b::B;"), ("b.rs", "use super::a::{self, A};")]), 1);
    assert_eq!(circles(&[("s/a.rs", "use super::b::B;"), ("s/b.rs", "fn b(_: super::a::A) {}")]), 1);
    assert_eq!(circles(&[("a.rs", "use self::a::b::B;"), ("a/b.rs", "use super::A;")]), 0, "no such file");
    assert_eq!(circles(&[("a.rs", "mod b;\nuse b::B;"), ("a/b.rs", "use super::A;")]), 1, "a child");
    let three = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
    let said = circles_of(&three, &[]);
    assert_eq!(said, ["actors/src/a.rs, actors/src/b.rs, actors/src/c.rs need each other"]);
    assert_eq!(circles(&three[..2]), 0, "a line is no circle");
    let two = [&three[..], &[("d.rs", "use crate::{a::A, e};"), ("e.rs", "use crate::d::D;")]].concat();
    assert_eq!(circles(&two), 2, "one that leads to another is not of it");
    for text in [
        "// use crate::a::A;",
        "use crate::aa::A;",
        "use std::a::A;",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n use crate::a::A;\n}",
    ] {
        assert_eq!(circles(&[("a.rs", "use crate::b::B;"), ("b.rs", text)]), 0, "{text}");
    }
    let doors = [("s/mod.rs", "pub use self::a::A;"), ("s/a.rs", "use super::B;"), ("lib.rs", "use s::A;")];
    assert_eq!(circles(&doors), 0, "what goes through a door is not seen");
    assert_eq!(circles(&[("a.rs", "use crate::tests::T;"), ("tests.rs", "use crate::a::A;")]), 0, "tests");
}

#[test]
fn circles_that_are_excused() {
    let pair = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
    let known: &[(&[&str], &str)] = &[(&["actors/src/a.rs", "actors/src/b.rs"], "for now")];
    assert!(circles_of(&pair, known).is_empty());
    assert_eq!(circles_of(&pair[..1], known).len(), 1, "an excuse that nobody needs goes");
    let larger = [pair[0], ("b.rs", "use crate::{a::A, c::C};"), ("c.rs", "use crate::b::B;")];
    assert_eq!(circles_of(&larger, known).len(), 1, "a circle does not grow unseen");
}

#[test]
fn braces_open() {
    let mut found = Vec::new();
    open_braces("", "a::{b, c::{d as x, self},\n e::*}", &mut found);
    assert_eq!(found, ["a::b", "a::c::d", "a::c::self", "a::e::*"]);
}
