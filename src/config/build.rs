//! From walked files to checked values.

use super::{
    Config, ConfigErrors, Diagnostic, RetryBudget, Severity,
    breaker::breaker_of,
    diagnostic::{At, Finding, Source},
    document::Document,
    fields::Fields,
    files::{read_text, unreadable},
    place::{report, report_certain},
    program::program,
    retry_budget::BUDGET,
    server::server,
    store::store,
    tree::{Node, Table, Value},
};
use crate::{
    BreakerPolicy, Problem, Program,
    actors::model::{Advised, Scope, advice_between, scope_pattern_problem},
};
use std::{collections::BTreeSet, path::Path};

/// Reads a configuration file and all it includes.
///
/// # Errors
/// Everything that is wrong, in the order of the files; also a file that cannot be read.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    match read_text(path) {
        Ok(text) => parse(&text, path),
        Err(error) => Err(unread(path, "configuration", &error)),
    }
}

/// A file that cannot be read at all.
pub(super) fn unread(path: &Path, what: &str, error: &std::io::Error) -> ConfigErrors {
    let (why, help) = unreadable(error);
    let message = format!("cannot read the {what} file: {why}");
    let finding = Finding::error(At { file: 0, start: 0, end: 0 }, "config.read", message, help);
    let mut diagnostic = finding.into_diagnostic(&[]);
    diagnostic.file = path.to_owned();
    ConfigErrors(vec![diagnostic])
}

/// Reads a configuration from text. `origin` is the file that messages name and that paths are relative to; it need not
/// exist. Included files are read.
///
/// # Errors
/// Everything that is wrong, in the order of the files.
pub fn parse(text: &str, origin: &Path) -> Result<Config, ConfigErrors> {
    read(Document::default(), text, origin)
}

/// As [`parse`], but for text from elsewhere: no file is read, and an `include` is an error, because messages show the
/// lines of included files.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn parse_alone(text: &str, origin: &Path) -> Result<Config, ConfigErrors> {
    let mut document = Document::default();
    document.alone = true;
    read(document, text, origin)
}

fn read(mut document: Document, text: &str, origin: &Path) -> Result<Config, ConfigErrors> {
    document.add(origin, text.to_owned());
    let config = build(&mut document, origin);
    let (errors, warnings) = diagnostics(document.findings, &document.sources);
    if errors.is_empty() {
        return Ok(Config { warnings, ..config });
    }
    Err(ConfigErrors(errors))
}

/// Most errors, and most warnings, that are told: beyond, nobody reads on, and finding their lines takes time that a
/// hostile file must not have. The rest is counted.
const MOST_TOLD: usize = 100;

/// In the order of the files, each thing once, errors and warnings apart.
pub(super) fn diagnostics(findings: Vec<Finding>, sources: &[Source]) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    (told(errors, sources), told(warnings, sources))
}

fn told(mut findings: Vec<Finding>, sources: &[Source]) -> Vec<Diagnostic> {
    findings.sort_by_key(|finding| (finding.at.file, finding.at.start));
    // What stands in [defaults] is wrong for every program that inherits it, but written once.
    let mut seen = BTreeSet::new();
    findings.retain(|finding| seen.insert((finding.at.file, finding.at.start, finding.message.clone())));
    if findings.len() > MOST_TOLD {
        let rest = findings.split_off(MOST_TOLD);
        if let Some(first) = rest.first() {
            let (message, help) = (format!("{} more like these", rest.len()), "mend those above first");
            findings.push(Finding {
                severity: first.severity,
                ..Finding::error(first.at, "config.too_many", message, help)
            });
        }
    }
    findings.into_iter().map(|finding| finding.into_diagnostic(sources)).collect()
}

fn build(document: &mut Document, origin: &Path) -> Config {
    let sound = document.is_sound();
    let defaults = document.tables.get("defaults").and_then(Node::as_table).cloned().unwrap_or_default();
    let retry_budget = retry_budget(document);
    let programs = std::mem::take(&mut document.programs);
    let (mut built, mut tables) = (Vec::new(), Vec::new());
    for (name, node) in &programs {
        let Value::Table(own) = &node.value else { continue };
        let merged = merge(&defaults, own);
        let (program, mut found) = program(name, node.at, &document.fields(&merged, node.at.file));
        let problems = program.check();
        if !sound {
            // Behind a syntax error keys are missing that were written: what is wrong by itself is wrong all the same.
            report_certain(document, &merged, problems);
        } else {
            document.findings.append(&mut found);
            report(document, node.at, &merged, problems, Severity::Error);
            report(document, node.at, &merged, program.advice(), Severity::Warning);
            report(document, node.at, &merged, dear_classes(&program, retry_budget), Severity::Error);
        }
        built.push(program);
        tables.push((node.at, merged));
    }
    let breakers = std::mem::take(&mut document.breakers);
    let shared_breakers: Vec<_> =
        breakers.iter().map(|entry| shared_breaker(document, entry, &built)).collect();
    for (about, problem) in advice_between(&built, &shared_breakers) {
        let place = match about {
            Advised::Program(n) => tables.get(n).map(|(at, table)| (*at, table)),
            Advised::Breaker(n) => breakers.get(n).and_then(|(_, node)| Some((node.at, node.as_table()?))),
        };
        if let Some((at, table)) = place {
            report(document, at, table, vec![problem], Severity::Warning);
        }
    }
    let mut found = Vec::new();
    let server = server(&document.section("server"), &mut found);
    let store = store(&document.section("store"), origin, &mut found);
    document.findings.append(&mut found);
    Config { server, store, programs: built, shared_breakers, retry_budget, warnings: Vec::new() }
}

impl Document {
    /// Access to a table of the program, or the breaker, that begins in this file.
    fn fields<'a>(&'a self, table: &'a Table, home: usize) -> Fields<'a> {
        Fields { table, sources: &self.sources, home }
    }

    /// Access to one of the tables that stand once; an empty one where it is not written.
    fn section(&self, name: &str) -> Fields<'_> {
        static EMPTY: Table = Table::new();
        let node = self.tables.get(name);
        self.fields(node.and_then(Node::as_table).unwrap_or(&EMPTY), node.map_or(0, |node| node.at.file))
    }
}

fn retry_budget(document: &mut Document) -> Option<RetryBudget> {
    let node = document.tables.get("retry_budget")?.clone();
    let (mut budget, mut found) = (RetryBudget::default(), Vec::new());
    BUDGET.fill(&mut budget, &document.section("retry_budget"), &mut found);
    document.findings.append(&mut found);
    let empty = Table::new();
    report(document, node.at, node.as_table().unwrap_or(&empty), budget.check(), Severity::Error);
    Some(budget)
}

/// Classes whose retries the budget could never pay.
fn dear_classes(program: &Program, budget: Option<RetryBudget>) -> Vec<Problem> {
    let costs = program.classes.iter().map(|(name, rule)| (name, rule.cost_permille));
    budget.map(|budget| budget.check_costs(costs)).unwrap_or_default()
}

/// The defaults, overridden key by key, also within tables.
fn merge(defaults: &Table, own: &Table) -> Table {
    let mut merged = defaults.clone();
    // A program says what is run as a whole: half a script under a command would contradict it.
    if own.contains_key("command") {
        for key in ["script", "script_path", "interpreter"] {
            merged.remove(key);
        }
    } else if own.contains_key("script") {
        merged.remove("command");
    }
    for (key, node) in own {
        let joined = match (merged.get(key).map(|node| &node.value), &node.value) {
            (Some(Value::Table(theirs)), Value::Table(ours)) => {
                Node { at: node.at, value: Value::Table(merge(theirs, ours)) }
            }
            _ => node.clone(),
        };
        merged.insert(key.clone(), joined);
    }
    merged
}

fn shared_breaker(
    document: &mut Document,
    (name, node): &(String, Node),
    programs: &[Program],
) -> (String, BreakerPolicy) {
    if let Some(message) = scope_pattern_problem(name) {
        let help = "write for example [breaker.\"site:*\"]";
        document.findings.push(Finding::error(node.at, "config.name", message, help));
    }
    let name = name.clone();
    let Value::Table(table) = &node.value else { return (name, BreakerPolicy::default()) };
    let mut found = Vec::new();
    let policy = breaker_of(&document.fields(table, node.at.file), &mut found);
    document.findings.append(&mut found);
    let kind = Scope(name.clone()).kind();
    let trips = programs.iter().any(|program| program.some_class_trips(kind));
    let problems = if trips { policy.check_where_a_class_trips() } else { policy.check() };
    report(document, node.at, table, problems, Severity::Error);
    (name, policy)
}
