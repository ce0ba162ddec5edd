//! `[program.NAME]`, also `[defaults]`: the keys of a program, a file for each of its tables.

mod classes;
mod lines;
mod output;
mod params;
mod retry;

use self::{
    classes::CLASS,
    lines::{CLASSIFY, READY, classify, ready},
    output::OUTPUT,
    params::{PARAM, param},
    retry::{RETRY, retry},
};
use super::{
    breaker::{BREAKER, breaker_of},
    diagnostic::{At, Finding},
    fields::Fields,
    keys::{
        Kind::{
            Args, Argv, Count, Duration, Flag, Integer, List, Map, Path, Rows as TableRows, Signal, Table,
            TableOrFalse, Tables, Text, Word,
        },
        Rows, Written, key,
    },
};
use crate::{Leftovers, OnLost, Param, Program, Restart, actors::model::Command};

pub(super) static PROGRAM: Rows<Program> = Rows(&[
    key("description", Text, "\"\"", "For people.")
        .sets(|it, key| key.put(&mut it.description)),
    key(
        "script",
        Text,
        "",
        "A file on `script_path`, with or without a known extension (.py .sh .js .rb .pl).",
    )
    .sets(script),
    key("script_path", List(&Path), "[\".\"]", "Folders of the script; it never resolves outside them.")
        .sets(script_path),
    key("interpreter", List(&Text), "(by extension, else the file's `#!`)", "What runs the script.")
        .sets(interpreter),
    key("command", Argv, "", "Instead of a script: the argument vector, or a text split as a shell would.")
        .sets(command),
    key(
        "args",
        Args,
        "[]",
        "Arguments; `{name}` stays inside one element, no shell. `[\"--since\", \"{since}\"]` is left out whole when `since` is unset.",
    )
    .sets(|it, key| it.args = key.arguments().unwrap_or_default()),
    key(
        "cwd",
        Path,
        "\".\"",
        "Working directory; may hold `{name}`, and no value leads out of the text before it.",
    )
    .sets(|it, key| {
        if let Some(folder) = key.fields.folder_with_places(key.node) {
            it.cwd = folder;
        }
    }),
    key(
        "env",
        Map(&Text),
        "{}",
        "Environment beside what is inherited; a value that holds an unset parameter is not set.",
    )
    .sets(|it, key| key.put(&mut it.env)),
    key(
        "env_file",
        Path,
        "",
        "A file of `KEY=value` lines, regular and of at most 1 MiB; [child.md](child.md#env_file) has the grammar. Missing, or a line that is none, is an error at the start.",
    )
    .sets(|it, key| key.put(&mut it.env_file)),
    key("env_clear", Flag, "false", "Inherit only PATH, HOME, LANG, TZ.")
        .sets(|it, key| key.put(&mut it.env_clear)),
    key(
        "restart",
        Word(&["no", "on-failure", "always"]),
        "\"on-failure\"",
        "`on-failure`: a job; `always`: a daemon.",
    )
    .sets(|it, key| key.word(&mut it.restart, &[Restart::No, Restart::OnFailure, Restart::Always])),
    key("autostart", Flag, "false", "Start with the manager.")
        .sets(|it, key| key.put(&mut it.autostart)),
    key("success_exit_codes", List(&Integer), "[0]", "Exit codes that are success.")
        .sets(|it, key| key.put(&mut it.success_exit_codes)),
    key(
        "success",
        Table(&SUCCESS),
        "",
        "What a job must have brought beside that; less is `empty_result`, as is a line of such a class.",
    )
    .sets(|it, key| key.fill(&SUCCESS, it)),
    key("timeout", Duration, "", "Longest life of one attempt; class `timeout_run`.")
        .sets(|it, key| key.put(&mut it.timeout_ms)),
    key("idle_timeout", Duration, "", "Longest silence of one attempt; class `stalled`.")
        .sets(|it, key| key.put(&mut it.idle_timeout_ms)),
    key("max_concurrent", Count, "(no limit; a daemon has one living run)", "Runs of this program at once.")
        .sets(|it, key| key.put(&mut it.max_concurrent)),
    key("queue", Count, "100", "Runs that may wait for a place; one more is refused.")
        .sets(|it, key| key.put(&mut it.queue)),
    key(
        "priority",
        Integer,
        "0",
        "Who goes first of those that wait for the same place, breaker or tokens: the highest, of equal ones who waits longest; -1000 to 1000.",
    )
    .sets(|it, key| key.put(&mut it.priority)),
    key("labels", Map(&Text), "{}", "For people and filters.")
        .sets(|it, key| key.put(&mut it.labels)),
    key(
        "breakers",
        List(&Text),
        "[]",
        "Shared scopes that gate it beside its own, at most 5, as in `site:{url.host}` or `site:{host:lower}`; each begins with a word of yours.",
    )
    .sets(|it, key| key.put(&mut it.breakers)),
    key("stop_signal", Signal, "\"SIGTERM\"", "Asks it to end.")
        .sets(|it, key| key.put(&mut it.stop_signal)),
    key("stop_timeout", Duration, "\"10s\"", "Then SIGKILL to the whole tree.")
        .sets(|it, key| key.put(&mut it.stop_timeout_ms)),
    key("leftovers", Word(&["stop", "keep"]), "\"stop\"", "Members of its group that outlive it.")
        .sets(|it, key| key.word(&mut it.leftovers, &[Leftovers::Stop, Leftovers::Keep])),
    key("on_lost", Word(&["retry", "fail", "success"]), "\"retry\"", "What an end that nobody saw means.")
        .sets(|it, key| key.word(&mut it.on_lost, &[OnLost::Retry, OnLost::Fail, OnLost::Success])),
    key("params", Tables(&PARAM), "", "A parameter.")
        .sets(params),
    key("retry", Table(&RETRY), "", "When and how it is tried again.")
        .sets(|it, key| {
            if let Some(table) = key.table() {
                it.retry = retry(&table, key.findings);
            }
        }),
    key("breaker", TableOrFalse(&BREAKER), "", "Rules of its own scope; `false`: off.")
        .sets(breaker),
    key("ready", Table(&READY), "", "The line by which an attempt says that it is ready.")
        .sets(ready),
    key(
        "classify",
        TableRows(&CLASSIFY),
        "",
        "Rules that find classes; first match wins, before the built-in ones. Of an end that shows several: `priority` of a class.",
    )
    .sets(classify),
    key("classes", Tables(&CLASS), "", "What a class does here, key by key over the built-in rule.")
        .sets(classes),
    key("output", Table(&OUTPUT), "", "How output is kept.")
        .sets(|it, key| key.fill(&OUTPUT, &mut it.output)),
]);

static SUCCESS: Rows<Program> = Rows(&[
    key("min_lines", Count, "0", "Lines of standard output, complete or not.")
        .sets(|it, key| key.put(&mut it.success_min_lines)),
    key(
        "items",
        Text,
        "",
        "Rust regex on one line of either stream: capture 1 is how many items there are by then, and the largest counts; without a capture each matching line is one.",
    )
    .sets(|it, key| key.put(&mut it.success_items)),
    key("min_items", Count, "0", "Items; needs `items`.")
        .sets(|it, key| key.put(&mut it.success_min_items)),
]);

/// What the table of a program says. It stands at this place.
pub(super) fn program(name: &str, at: At, fields: &Fields<'_>) -> (Program, Vec<Finding>) {
    let mut findings = Vec::new();
    contradictions(fields, at, &mut findings);
    let nameless = Command::Script { name: NAMELESS.into(), path: vec![".".into()], interpreter: Vec::new() };
    let mut program = Program::new(name, nameless);
    program.base_dir = fields.home_folder();
    PROGRAM.fill(&mut program, fields, &mut findings);
    (program, findings)
}

/// What stands in place of a script or a command that cannot be read.
const NAMELESS: &str = "-";

/// What a program cannot say together about what is run, and what it must say.
fn contradictions(fields: &Fields<'_>, at: At, findings: &mut Vec<Finding>) {
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
}

// ── what is run: a script with its path and interpreter, unless there is a command alone ───────────────────────────────

fn script(program: &mut Program, key: &mut Written<'_>) {
    if let Command::Script { name, .. } = &mut program.command {
        key.put(name);
    }
}

fn script_path(program: &mut Program, key: &mut Written<'_>) {
    if let Command::Script { path, .. } = &mut program.command {
        key.put(path);
    }
}

fn interpreter(program: &mut Program, key: &mut Written<'_>) {
    if let Command::Script { interpreter, .. } = &mut program.command {
        key.put(interpreter);
    }
}

fn command(program: &mut Program, key: &mut Written<'_>) {
    if !key.fields.table.contains_key("script") {
        program.command = Command::Argv(key.arguments().unwrap_or_else(|| vec![NAMELESS.into()]));
    }
}

// ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn params(program: &mut Program, key: &mut Written<'_>) {
    for (name, node) in key.node.as_table().into_iter().flatten() {
        // One that cannot be read exists all the same: what names it is right.
        let spec = match node.as_table() {
            Some(table) => param(name, &key.fields.of(table), key.findings),
            None => Param::string(name),
        };
        program.params.insert(name.clone(), spec);
    }
}

fn breaker(program: &mut Program, key: &mut Written<'_>) {
    if key.is_off() {
        program.breaker = None;
    } else if let Some(table) = key.table() {
        program.breaker = Some(breaker_of(&table, key.findings).into());
    }
}

fn classes(program: &mut Program, key: &mut Written<'_>) {
    for (name, node) in key.node.as_table().into_iter().flatten() {
        if let Some(table) = node.as_table() {
            let rule = program.classes.entry(name.clone()).or_default();
            CLASS.fill(rule, &key.fields.of(table), key.findings);
        }
    }
}
