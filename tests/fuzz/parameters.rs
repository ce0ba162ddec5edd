//! Hostile values of parameters: refused with a reason before anything runs, or in the child byte for byte.

use crate::{draw::Draw, witness};
use actix_process::{ErrorKind, Param, ProcessManager, Program, RetryPolicy, actors::model::Stream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// What means something to somebody: a shell, a template, a terminal, a C string, an option parser, a path.
const PIECES: [&str; 44] = [
    "$(id)",
    "`id`",
    "; id",
    "| id",
    "&& id",
    "$HOME",
    "${IFS}",
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "*",
    "?",
    "~",
    "{x}",
    "{{x}}",
    "{",
    "}",
    "{text}",
    "%s%n",
    "%00",
    "\u{0}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "ä",
    "日本",
    "🦀",
    "-",
    "--",
    "-rf",
    "=",
    "../",
    "/",
    "a",
    "\u{fffd}",
    "-c",
];

fn value(draw: &mut Draw) -> String {
    let length = draw.one_of(&[0, 1, 1, 2, 3, 5, 12, 40]);
    let mut text: String = (0..length).map(|_| draw.one_of(&PIECES)).collect();
    if draw.between(0, 30) == 0 {
        text = text.repeat(usize::try_from(draw.between(2, 40)).expect("a number"));
    }
    text
}

/// Says its arguments and a variable, each with a NUL behind it.
const SAYS: &str = r#"printf '%s\0' "$@" "$FROM_PARAM""#;

fn program(name: &str, param: Param) -> Program {
    Program::command(name, ["sh", "-c", SAYS, "sh", "{text}", "--option={text}", "a{text}b{text}"])
        .env("FROM_PARAM", "{text}")
        .param(param)
        .retry(RetryPolicy::exponential("1s").max_retries(0).no_intensity())
        .no_breaker()
        .queue(100_000)
        .max_concurrent(8)
}

#[actix::test]
async fn hostile_values_are_refused_with_a_reason_or_reach_the_child_byte_for_byte() {
    witness::watch();
    let (count, mut draw) = crate::cases(150);
    let folder = tempfile::tempdir().expect("a folder");
    let pm = ProcessManager::builder()
        .store(folder.path().join("store"))
        .programs([
            program("plain", Param::string("text").required()),
            program("dashes", Param::string("text").required().allow_dash()),
        ])
        .start()
        .await
        .expect("it starts");
    let (mut runs, mut refused) = (Vec::new(), 0);
    for _ in 0..count {
        let (name, text) = (draw.one_of(&["plain", "dashes"]), value(&mut draw));
        match pm.start(name).param("text", text.as_str()).send().await {
            Ok(run) => runs.push((run, name, text)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidParams, "{error}: {text:?}");
                assert!(!error.param_problems().is_empty(), "{error}: {text:?}");
                let reason =
                    text.contains('\0') || text.starts_with('-') && name == "plain" || text.len() > 2_000;
                assert!(reason || text.is_empty(), "there is no reason to refuse {text:?}: {error}");
                refused += 1;
            }
        }
    }
    assert!(runs.len() as u64 > count / 2 && refused > 0, "{} taken, {refused} refused", runs.len());
    for (run, name, text) in &runs {
        assert!(
            !text.contains('\0') && (*name == "dashes" || !text.starts_with('-')),
            "{name} took {text:?}"
        );
        let end = tokio::time::timeout(PATIENCE, run.wait()).await;
        let end = end.unwrap_or_else(|_| panic!("{name} does not end: {text:?}")).expect("it ends");
        let status = run.status().await.expect("known");
        assert!(end.is_success(), "{name}, {text:?}: {status:#?}");
        let mut reader = run.logs().stream(Stream::Stdout).read();
        let mut said = Vec::new();
        while let Some(record) = reader.next_record().await.expect("it reads") {
            said.extend(record.bytes);
            said.extend(record.newline.then_some(b'\n'));
        }
        let meant = format!("{text}\0--option={text}\0a{text}b{text}\0{text}\0");
        assert!(said == meant.as_bytes(), "{name} got {:?} for {text:?}", String::from_utf8_lossy(&said));
    }
    pm.shutdown().await.expect("an orderly end");
    witness::assert_no_panic("a parameter");
}
