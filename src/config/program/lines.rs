//! `[[program.NAME.classify]]` and `[program.NAME.ready]`: what a line, or an end, means.

use super::super::{
    diagnostic::{At, Finding},
    fields::Fields,
    keys::{
        Kind::{Integer, Signal, Text, Word},
        Rows, Written, key,
    },
    tree::{Node, Value},
};
use crate::{
    Program, Ready, StreamChoice,
    actors::model::{ClassifyRule, Matcher},
};

const STREAMS: &[&str] = &["stdout", "stderr", "any"];

/// What stands in place of a pattern or a class that cannot be read.
const UNREADABLE: &str = "unreadable";

/// One rule, as far as it is written.
pub(in super::super) struct Draft {
    class: Option<String>,
    pattern: Option<String>,
    stream: StreamChoice,
    retry_after: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

pub(in super::super) static READY: Rows<Ready> = Rows(&[
    key(
        "pattern",
        Text,
        "",
        "Rust regex on one line of output; the first line that matches counts, one without an end after 100 ms of silence.",
    )
    .sets(|it, key| key.put(&mut it.pattern)),
    key("stream", Word(STREAMS), "\"any\"", "Where the pattern looks.")
        .sets(|it, key| {
            key.word(&mut it.stream, &[StreamChoice::Stdout, StreamChoice::Stderr, StreamChoice::Any]);
        }),
]);

pub(in super::super) static CLASSIFY: Rows<Draft> = Rows(&[
    key("class", Text, "", "The class it finds.")
        .sets(|it, key| key.put(&mut it.class)),
    key("pattern", Text, "", "Rust regex on one line of output; or `exit_code`, or `signal`.")
        .sets(|it, key| key.put(&mut it.pattern)),
    key("stream", Word(STREAMS), "\"any\"", "Where the pattern looks.")
        .sets(|it, key| {
            key.word(&mut it.stream, &[StreamChoice::Stdout, StreamChoice::Stderr, StreamChoice::Any]);
        }),
    key(
        "retry_after",
        Text,
        "",
        "Regex on the same line whose capture 1 says how long to wait: `7`, `2.5`, `1500ms`, `5 minutes`, a date of HTTP or RFC 3339; anything else is no hint.",
    )
    .sets(|it, key| key.put(&mut it.retry_after)),
    key("exit_code", Integer, "", "The exit code.")
        .sets(|it, key| key.put(&mut it.exit_code)),
    key("signal", Signal, "", "The signal that ended it.")
        .sets(|it, key| key.put(&mut it.signal)),
]);

pub(super) fn ready(program: &mut Program, key: &mut Written<'_>) {
    let Some(table) = key.table() else { return };
    table.require("pattern", key.node.at, key.findings);
    key.fill(&READY, program.ready.insert(Ready::pattern(UNREADABLE)));
}

pub(super) fn classify(program: &mut Program, key: &mut Written<'_>) {
    let Value::List(nodes) = &key.node.value else { return };
    for node in nodes {
        let rule = node.as_table().and_then(|table| rule(&key.fields.of(table), node.at, key.findings));
        // Keeps its place, so that the numbers of the others stay true.
        let matcher =
            Matcher::Pattern { pattern: UNREADABLE.to_owned(), stream: StreamChoice::Any, retry_after: None };
        program.classify.push(rule.unwrap_or_else(|| ClassifyRule::new(UNREADABLE, matcher)));
    }
}

fn rule(fields: &Fields<'_>, at: At, findings: &mut Vec<Finding>) -> Option<ClassifyRule> {
    fields.require("class", at, findings);
    contradictions(fields, at, findings);
    let mut draft = Draft {
        class: None,
        pattern: None,
        stream: StreamChoice::Any,
        retry_after: None,
        exit_code: None,
        signal: None,
    };
    CLASSIFY.fill(&mut draft, fields, findings);
    let Draft { class, pattern, stream, retry_after, exit_code, signal } = draft;
    let matcher = if let Some(pattern) = pattern {
        Matcher::Pattern { pattern, stream, retry_after }
    } else if let Some(code) = exit_code {
        Matcher::ExitCode(code)
    } else {
        Matcher::Signal(signal?)
    };
    Some(ClassifyRule::new(class.unwrap_or_else(|| UNREADABLE.to_owned()), matcher))
}

/// What cannot stand in one rule.
fn contradictions(fields: &Fields<'_>, at: At, findings: &mut Vec<Finding>) {
    let written = |key: &&str| fields.table.get(*key);
    let ends: Vec<&Node> = ["pattern", "exit_code", "signal"].iter().filter_map(written).collect();
    if ends.len() != 1 {
        let place = ends.get(1).map_or(at, |node| node.at);
        let message = "a rule needs exactly one of `pattern`, `exit_code` and `signal`";
        findings.push(Finding::error(place, "config.conflict", message, "write one rule for each"));
    }
    for key in ["stream", "retry_after"] {
        if let (Some(node), false) = (fields.table.get(key), fields.table.contains_key("pattern")) {
            let message = format!("`{key}` needs a `pattern`: an exit code or signal has no line to look at");
            findings.push(Finding::error(node.at, "config.conflict", message, "give the rule a pattern"));
        }
    }
}
