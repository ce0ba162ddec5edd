//! The rules of resilience, one row each: what a file says wrongly, where that is told, and in which words.

use super::{
    bad,
    doubts::WARNINGS,
    each_table, good,
    rows::{ERRORS, Row, arguments, readiness},
};
use crate::{
    BreakerPolicy, Classify, Param, ProcessManager, Program, Ready, RetryPolicy,
    config::{Diagnostic, Severity, root::ROOT},
};
use std::path::Path;

const P: &str = "[program.p]\nscript = \"x\"\n";

#[track_caller]
fn told(row: &Row, severity: Severity, told: &[Diagnostic]) {
    let Row(rule, text, (line, column), code, message, help) = row;
    let [one] = told else { panic!("{rule}: {told:#?}\nin\n{text}") };
    let found = (one.severity, one.line, one.column, one.code.as_str());
    assert_eq!(found, (severity, *line, *column, *code), "{rule}: {one}");
    assert!(one.message.contains(message), "{rule}: message {:?}", one.message);
    assert!(one.help.contains(help), "{rule}: help {:?}", one.help);
}

#[test]
fn each_rule_is_told_with_its_place_and_one_thing_to_do() {
    for &Row(rule, text, place, code, message, help) in
        ERRORS.iter().chain(readiness::ERRORS).chain(arguments::ERRORS)
    {
        let text: &'static str = format!("{P}{text}\n").leak();
        told(&Row(rule, text, place, code, message, help), Severity::Error, &bad(text));
    }
}

#[test]
fn each_doubt_is_told_with_its_place_and_the_file_is_used() {
    for &Row(rule, text, place, code, message, help) in
        WARNINGS.iter().chain(readiness::WARNINGS).chain(arguments::WARNINGS)
    {
        // A command is instead of the script.
        let head = if text.starts_with("command") { "[program.p]\n\n" } else { P };
        let text: &'static str = format!("{head}{text}\n").leak();
        let config = good(text);
        told(&Row(rule, text, place, code, message, help), Severity::Warning, &config.warnings);
        assert!(config.program("p").is_some(), "{rule}");
    }
}

#[test]
fn all_rules_are_told_together() {
    // Each row becomes a program of its own; a budget stands once.
    let rows = ERRORS.iter().chain(readiness::ERRORS).chain(arguments::ERRORS);
    let rows: Vec<_> = rows
        .filter(|row| !["[retry_budget]", "[store]", "[server]"].iter().any(|once| row.1.contains(once)))
        .collect();
    let mut text = String::new();
    let mut expected = Vec::new();
    for (n, Row(_, rule, (line, column), code, ..)) in rows.iter().enumerate() {
        let before = text.lines().count();
        let name = format!("p{n}");
        text.push_str(
            &format!("{P}{rule}\n")
                .replace("program.p]", &format!("program.{name}]"))
                .replace("program.p.", &format!("program.{name}.")),
        );
        let header = text.lines().nth(before + line - 1).unwrap_or_default().starts_with('[');
        let shift = if header { n.to_string().len() } else { 0 };
        expected.push((before + line, column + shift, (*code).to_owned()));
    }
    let found: Vec<_> = bad(&text).into_iter().map(|e| (e.line, e.column, e.code)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_slip_in_any_key_of_any_table_is_answered_with_the_key() {
    let mut count = 0;
    each_table("", &ROOT, &mut |path, keys| {
        let header = match path {
            "" => String::new(),
            "program.NAME.classify" => "[[program.x.classify]]\n".to_owned(),
            _ => format!("[{}]\n", path.replace("NAME", "x")),
        };
        for key in keys.iter().filter(|key| key.name.len() > 3) {
            let (head, tail) = key.name.split_at(key.name.len() / 2);
            let typo = format!("{head}{tail}{}", tail.chars().last().unwrap_or('x'));
            let errors = bad(&format!("{header}{typo} = 1\n"));
            let found = errors.iter().find(|error| error.code == "config.unknown_key");
            let Some(error) = found else { panic!("{path}.{typo}: {errors:#?}") };
            assert_eq!((error.line, error.column), (header.lines().count() + 1, 1), "{path}.{typo}");
            // `breakerr` is as near to `breakers`.
            assert!(error.help.starts_with(&format!("did you mean `{}", key.name)), "{path}: {}", error.help);
            count += 1;
        }
    });
    assert!(count > 80, "{count}");
}

#[test]
fn a_program_built_in_code_is_told_the_same() {
    let program = || Program::script("p", "x");
    for (program, path, message) in [
        (
            program().retry(RetryPolicy::exponential("10m")),
            "retry.max_delay",
            "is shorter than `delay` (10m)",
        ),
        (program().retry(RetryPolicy::default().factor(f64::NAN)), "retry.factor", "between 1.0 and 10.0"),
        (program().retry(RetryPolicy::default().factor(1.0001)), "retry.factor", "at most three decimals"),
        (
            program().breaker(BreakerPolicy::failures(0).failure_rate(0.0)),
            "breaker.failures",
            "can never open",
        ),
        (program().breaker(BreakerPolicy::failures(5).lease("1m")), "breaker.half_open.lease", "slow start"),
        (
            program().breaker(BreakerPolicy::failures(5).half_open(2, 1, 1)),
            "breaker.half_open.permits",
            "already decide",
        ),
        (
            program().param(Param::integer("n").default(5).range(10..=20)),
            "params.n.default",
            "is more than `default` (5)",
        ),
        (program().param(Param::integer("n").default("1.5")), "params.n.default", "`default`"),
        (
            program().classify(Classify::pattern("x", "y").retry_after("z")),
            "classify[0].retry_after",
            "no capture group",
        ),
        (program().ready(Ready::pattern("(")), "ready.pattern", "not a regular expression"),
        (
            program().breaker(BreakerPolicy::failures(5).slow_ready("10s", 0.5)),
            "breaker.slow_ready",
            "needs a `ready` rule",
        ),
        (
            program().ready(Ready::pattern("up")).breaker(BreakerPolicy::failures(5).slow_ready("10s", 2.0)),
            "breaker.slow_rate",
            "between 0.001 and 1.0",
        ),
        (program().classify(Classify::exit_code("x", 0)), "classify[0].exit_code", "is a success"),
    ] {
        let problems = program.check();
        let [problem] = problems.as_slice() else { panic!("{path}: {problems:#?}") };
        assert_eq!(problem.path, path);
        assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem}");
    }
}

#[tokio::test]
async fn a_manager_from_a_bad_file_says_everything_that_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("supervise.toml");
    std::fs::write(&file, format!("{P}timeot = 1\nretry.factor = 0.5\nbreaker.failures = 1001\n")).unwrap();
    let error = ProcessManager::from_config(&file).await.unwrap_err().to_string();
    for place in [":3:1", ":4:16", ":5:20"] {
        assert!(error.contains(&format!("{}{place}\n", file.display())), "{place} in\n{error}");
    }
    assert!(!Path::new(&folder.path().join("supervise-data")).exists(), "nothing is begun");
}
