//! From walked files to checked values.

use super::{
    Config, ConfigErrors, Diagnostic, Listen, ServerConfig, Severity, StoreConfig,
    build_retry::{dear_classes, retry_budget},
    build_rules::{Fields, absolute, policy_of_breaker},
    diagnostic::{At, Finding, Source},
    document::{Document, folder_of, read_text, unreadable},
    place::{report, report_certain},
    walk::{Node, Table, Value},
};
use crate::{
    BreakerPolicy, Program,
    actors::model::{Advised, Command, Scope, advice_between, scope_pattern_problem},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

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
    let defaults = document.tables.get("defaults").and_then(as_table).cloned().unwrap_or_default();
    let retry_budget = retry_budget(document);
    let programs = std::mem::take(&mut document.programs);
    let (mut built, mut tables) = (Vec::new(), Vec::new());
    for (name, node) in &programs {
        let Value::Table(own) = &node.value else { continue };
        let merged = merge(&defaults, own);
        let (program, mut found) = program(document, name, node.at, &merged);
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
            Advised::Breaker(n) => breakers.get(n).and_then(|(_, node)| Some((node.at, as_table(node)?))),
        };
        if let Some((at, table)) = place {
            report(document, at, table, vec![problem], Severity::Warning);
        }
    }
    let server = server(document);
    let store = store(document, origin);
    Config { server, store, programs: built, shared_breakers, retry_budget, warnings: Vec::new() }
}

pub(super) fn as_table(node: &Node) -> Option<&Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
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

fn program(document: &Document, name: &str, at: At, table: &Table) -> (Program, Vec<Finding>) {
    let home =
        document.sources.get(at.file).map(|source| absolute(folder_of(&source.path))).unwrap_or_default();
    let fields = Fields { table, sources: &document.sources, home: at.file };
    let mut findings = Vec::new();
    let command = command(&fields, at, &mut findings);
    let mut program = Program::new(name, command);
    program.base_dir = home;
    fields.fill_program(&mut program);
    fields.fill_rules(&mut program, &mut findings);
    (program, findings)
}

fn command(fields: &Fields<'_>, at: At, findings: &mut Vec<Finding>) -> Command {
    let table = fields.table;
    match (table.get("script"), table.get("command")) {
        (Some(script), Some(command)) => {
            let message = "`script` and `command` both say what is run";
            let second = if script.at.start > command.at.start { script } else { command };
            findings.push(Finding::error(second.at, "config.conflict", message, "keep one of them"));
        }
        (None, None) => {
            let help = "write script = \"NAME\" or command = [\"PROGRAM\", \"ARGUMENT\"]";
            let message = "the program says neither `script` nor `command`";
            findings.push(Finding::error(at, "config.required", message, help));
        }
        (None, Some(_)) => {
            for key in ["script_path", "interpreter"] {
                if let Some(node) = table.get(key) {
                    let message = format!("`{key}` needs a `script`: a command is run as it is");
                    let help = format!("leave {key} out, or write script in place of command");
                    findings.push(Finding::error(node.at, "config.conflict", message, help));
                }
            }
        }
        (Some(_), None) => {}
    }
    if table.contains_key("command") && !table.contains_key("script") {
        return match table.get("command").map(|node| &node.value) {
            Some(Value::List(_)) => Command::Argv(fields.args("command").unwrap_or_default()),
            // Wrong, and said so.
            _ => Command::Argv(vec!["-".into()]),
        };
    }
    Command::Script {
        name: fields.text("script").unwrap_or_else(|| "-".into()),
        path: fields.paths("script_path").unwrap_or_else(|| vec![PathBuf::from(".")]),
        interpreter: fields.texts("interpreter").unwrap_or_default(),
    }
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
    let policy = policy_of_breaker(&Fields { table, sources: &document.sources, home: node.at.file });
    let kind = Scope(name.clone()).kind();
    let trips = programs.iter().any(|program| program.some_class_trips(kind));
    let problems = if trips { policy.check_where_a_class_trips() } else { policy.check() };
    report(document, node.at, table, problems, Severity::Error);
    (name, policy)
}

fn server(document: &mut Document) -> ServerConfig {
    let mut server = ServerConfig::default();
    let empty = Table::new();
    let node = document.tables.get("server");
    let table = node.and_then(as_table).unwrap_or(&empty);
    let fields = Fields { table, sources: &document.sources, home: node.map_or(0, |node| node.at.file) };
    if let Some(file) = fields.path("tokens_file") {
        server.tokens_file = file;
    }
    let home = document.sources.get(fields.home).map(|source| absolute(folder_of(&source.path)));
    let home = home.unwrap_or_default();
    server.tokens_file = home.join(server.tokens_file);
    server.allowed_hosts = fields.texts("allowed_hosts").unwrap_or_default();
    for node in fields.items("allowed_hosts").unwrap_or_default() {
        if let Value::Text(host) = &node.value
            && !is_host(host)
        {
            let message = format!("`{host}` is no name of a host, and nobody would be answered by it");
            let help = "write the name alone, as in \"ops.example\": no port, no pattern";
            document.findings.push(Finding::error(node.at, "config.value", message, help));
        }
    }
    if let (Some(text), Some(node)) = (fields.text("listen"), table.get("listen")) {
        match text.parse::<Listen>() {
            Ok(Listen::Unix(socket)) => {
                server.listen = Listen::Unix(home.join(socket));
                let message =
                    "`listen` is accepted, but `supervise up` does not listen on a socket of this kind yet";
                document.findings.push(Finding {
                    severity: Severity::Warning,
                    ..Finding::error(
                        node.at,
                        "config.not_yet",
                        message,
                        "write an address such as \"127.0.0.1:9700\"",
                    )
                });
            }
            Ok(listen) => server.listen = listen,
            Err(message) => {
                let help = "write for example \"127.0.0.1:9700\" or \"unix:supervise.sock\"";
                let finding = Finding::error(node.at, "config.value", message, help);
                document.findings.push(finding);
            }
        }
    }
    server
}

/// Whether a `Host` header may say so: letters, digits, dots and hyphens, or an address of version 6 in brackets.
fn is_host(text: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.trim_matches('.').is_empty() && text.chars().all(named),
    }
}

fn store(document: &mut Document, origin: &Path) -> StoreConfig {
    let mut store = StoreConfig::default();
    let node = document.tables.get("store");
    let empty = Table::new();
    let fields = Fields {
        table: node.and_then(as_table).unwrap_or(&empty),
        sources: &document.sources,
        home: node.map_or(0, |node| node.at.file),
    };
    let file = document.sources.get(fields.home).map_or(origin, |source| source.path.as_path());
    let path = fields.path("path").unwrap_or(store.path);
    let unnamed = path.as_os_str().is_empty();
    store.path = absolute(folder_of(file)).join(path);
    if let Some(retention) = fields.below("retention") {
        if let Some(logs) = retention.below("logs") {
            logs.number("max_age", &mut store.logs_max_age_ms);
            logs.number("max_size", &mut store.logs_max_bytes);
        }
        if let Some(runs) = retention.below("runs") {
            runs.number("max_age", &mut store.runs_max_age_ms);
            runs.number("max_count", &mut store.runs_max_count);
        }
        if let Some(journal) = retention.below("journal") {
            journal.number("max_age", &mut store.journal_max_age_ms);
            journal.number("max_size", &mut store.journal_max_bytes);
        }
    }
    if let Some(node) = fields.table.get("path").filter(|_| unnamed) {
        let help = "name a folder for the store alone, for example path = \"supervise-data\"";
        let finding = Finding::error(node.at, "config.value", "`path` of the store is empty", help);
        document.findings.push(finding);
    }
    store
}
