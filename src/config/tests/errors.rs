//! Each mistake: where it is found, and what is said.

use super::{bad, good};
use crate::config::{ConfigErrors, parse};
use actix_process_actors::model::is_obeyed;
use std::path::Path;

/// One mistake in a file; everything else in it is right.
#[track_caller]
fn mistake(text: &str, line: usize, column: usize, code: &str, help: &str) {
    let errors = bad(text);
    let found: Vec<_> = errors.iter().map(|e| (e.line, e.column, e.code.as_str())).collect();
    assert_eq!(found, [(line, column, code)], "{errors:#?}");
    assert!(errors[0].help.contains(help), "help: {}", errors[0].help);
}

/// The same below `[program.p]`, whose first two lines are sound.
#[track_caller]
fn in_program(text: &str, line: usize, column: usize, code: &str, help: &str) {
    let head = "[program.p]\nscript = \"x\"\n";
    mistake(&format!("{head}{text}\n"), line + 2, column, code, help);
}

#[test]
fn unknown_keys_are_answered_with_the_name_that_was_meant() {
    let code = "config.unknown_key";
    mistake("[program.p]\ncommand = [\"x\"]\nscrpt = 1\n", 3, 1, code, "did you mean `script`?");
    mistake("[progam.p]\n", 1, 2, code, "did you mean `program`?");
    in_program("max_delay = \"5m\"", 1, 1, code, "belongs in [program.p.retry]");
    in_program("autorestart = true", 1, 1, code, "it is called `restart` here");
    in_program("  wholly_new = true", 1, 3, code, "the keys here are description, script");
    in_program("retry.jiter = \"full\"", 1, 7, code, "did you mean `jitter`?");
    in_program("output = { max_lin = \"1KiB\" }", 1, 12, code, "did you mean `max_line`?");
    in_program(
        "[[program.p.classify]]\nclass = \"oom\"\nexit_code = 1\nstreem = \"any\"",
        4,
        1,
        code,
        "`stream`",
    );
    in_program("breaker.half_open.permit = 2", 1, 19, code, "did you mean `permits`?");
}

#[test]
fn numbers_without_a_unit_are_answered_with_what_to_write() {
    in_program("[program.p.retry]\ndelay = 5", 2, 9, "config.duration", "write \"5s\" (seconds) or \"5ms\"");
    in_program("timeout = 0.5", 1, 11, "config.duration", "\"500ms\"");
    in_program("timeout = \"5 parsecs\"", 1, 11, "config.duration", "\"1m30s\"");
    in_program("timeout = \"5\"", 1, 11, "config.duration", "\"5s\"");
    in_program("timeout = true", 1, 11, "config.type", "\"5s\"");
    in_program("timeout = \"400000000000d\"", 1, 11, "config.duration", "");
    in_program("output.recent = 65536", 1, 17, "config.size", "\"65536B\"");
    in_program("output.recent = \"64KB\"", 1, 17, "config.size", "\"64KiB\"");
}

#[test]
fn values_of_another_type_are_answered_with_an_example() {
    in_program("restart = true", 1, 11, "config.type", "\"no\", \"on-failure\", \"always\"");
    in_program("restart = \"on_failure\"", 1, 11, "config.value", "did you mean \"on-failure\"?");
    in_program("restart = \"never\"", 1, 11, "config.value", "write one of");
    in_program("autostart = \"yes\"", 1, 13, "config.type", "without quotes");
    in_program("args = \"--x\"", 1, 8, "config.type", "brackets");
    in_program("args = [\"a\", 1]", 1, 14, "config.type", "quotes");
    in_program("env = { PORT = 8081 }", 1, 16, "config.type", "quotes");
    in_program("env = [\"A=1\"]", 1, 7, "config.type", "{ key = value }");
    in_program("queue = -1", 1, 9, "config.range", "from 0");
    in_program("queue = 1.5", 1, 9, "config.type", "write for example 5");
    in_program("stop_signal = \"SIGTREM\"", 1, 15, "config.signal", "did you mean \"SIGTERM\"?");
    in_program("stop_signal = 9", 1, 15, "config.signal", "\"SIGKILL\"");
    in_program("breaker = true", 1, 11, "config.type", "leave it out");
    in_program("breaker.failure_rate = 0.3333", 1, 24, "config.range", "three decimals");
    in_program("retry.factor = \"2\"", 1, 16, "config.type", "0.5");
    in_program("retry.jitter = \"equl\"", 1, 16, "config.value", "did you mean \"equal\"?");
    in_program("classify = { class = \"oom\" }", 1, 12, "config.type", "[[double brackets]]");
    mistake("program = 1\n", 1, 11, "config.type", "a [table]");
    mistake("version = 2\n", 1, 11, "config.version", "version = 1");
    mistake("[server]\nlisten = \"9700\"\n", 2, 10, "config.value", "127.0.0.1:9700");
}

#[test]
fn contradictions_are_told_where_they_are_written() {
    let conflict = "config.conflict";
    in_program("[program.p.retry]\ndelay = \"10m\"", 2, 9, conflict, "max_delay = \"10m\"");
    in_program("[program.p.retry]\nmax_delay = \"500ms\"", 2, 13, conflict, "\"1s\" or longer");
    in_program("[program.p.retry]\ndelay = \"0s\"", 2, 9, conflict, "min_delay = \"0s\" as well");
    in_program("[program.p.retry]\nmin_delay = \"2s\"", 2, 13, conflict, "");
    in_program("[program.p.retry]\nfactor = 0.5", 2, 10, "config.range", "");
    in_program("[program.p.retry]\nreset_after = \"10ms\"", 2, 15, conflict, "");
    in_program(
        "[program.p.retry]\nintensity = { restarts = 600, window = \"1m\" }",
        2,
        1,
        conflict,
        "intensity = false",
    );
    in_program("[program.p.breaker]\nfailures = 0\nfailure_rate = 0.0", 2, 12, conflict, "breaker = false");
    in_program("[program.p.breaker]\nwindow = { size = 4 }", 2, 19, conflict, "");
    in_program(
        "[program.p.breaker]\nhalf_open = { lease = \"90s\" }",
        2,
        23,
        conflict,
        "lease = \"2m\" or longer",
    );
    in_program("[program.p.breaker]\nhalf_open = { stable = \"10m\" }", 2, 24, conflict, "lease = \"11m\"");
    in_program("[program.p.breaker]\nhalf_open = { permits = 2 }", 2, 25, conflict, "permits = 1");
    in_program("[program.p.breaker]\npenalty = \"1h\"", 2, 11, conflict, "max_penalty");
    mistake("[breaker.\"site:*\"]\nfailures = 0\nfailure_rate = 0\n", 2, 12, conflict, "");
    mistake("[breaker.\"*:x\"]\n", 1, 10, "config.name", "site:*");
    in_program("priority = 99999999999", 1, 12, "config.range", "fewer digits");
    in_program("priority = 1001", 1, 12, "config.range", "for example 10");
    mistake("[retry_budget]\ndeposit = 0\nrefill_per_minute = 0\n", 2, 11, conflict, "set one");
    mistake(
        "[retry_budget]\ncapacity = 2\n[program.p]\nscript = \"p\"\nclasses.oom.cost = 2.5\n",
        5,
        20,
        conflict,
        "a cost of 2 or less",
    );
    in_program(
        "params.n = { type = \"integer\", on_floor = \"give_up\" }",
        1,
        43,
        "config.value",
        "write min",
    );
    in_program("classes.oom.delay = \"10m\"", 1, 21, conflict, "max_delay = \"10m\"");
}

#[test]
fn a_program_must_say_what_is_run_once() {
    mistake("[program.p]\n", 1, 10, "config.required", "script = ");
    mistake("[program.P]\nscript = \"x\"\n", 1, 10, "config.name", "a-z");
    in_program("command = [\"x\"]", 1, 1, "config.conflict", "keep one");
    mistake("[program.p]\ncommand = []\n", 2, 1, "config.required", "./server");
    mistake("[program.p]\ncommand = \"\"\n", 2, 1, "config.required", "./server");
    mistake("[program.p]\ncommand = \"cat a | wc\"\n", 2, 11, "config.command", "\"sh\", \"-c\"");
    mistake(
        "[program.p]\ncommand = [\"x\"]\ninterpreter = [\"sh\"]\n",
        3,
        1,
        "config.conflict",
        "leave interpreter out",
    );
    mistake("[program.p]\nscript = \"a/b\"\n", 2, 10, "config.value", "script_path");
    in_program("max_concurrent = 0", 1, 18, "config.range", "1 or more");
}

#[test]
fn a_choice_changes_by_steps_and_a_number_does_not() {
    let ladder = |choices: &str, rule: &str| {
        format!(
            "classes.oom.adjust = {{ n = {rule} }}\n[program.p.params.n]\ntype = \"choice\"\nchoices = {choices}"
        )
    };
    let two = "[\"slow\", \"fast\"]";
    in_program(&ladder(two, "{ multiply = 0.5 }"), 1, 24, "config.value", "step = -1");
    in_program(&ladder(two, "{ step = 0 }"), 1, 24, "config.range", "-1");
    in_program(&ladder(two, "{ step = 0.5 }"), 1, 28, "config.type", "write for example 5");
    in_program(&ladder("[\"slow\", \"slow\"]", "{ step = -1 }"), 4, 1, "config.value", "once");
    in_program(
        "classes.oom.adjust = { n = { step = -1 } }\nparams.n.type = \"integer\"",
        1,
        24,
        "config.value",
        "multiply = 0.5",
    );
}

#[test]
fn rules_must_name_what_exists() {
    in_program("args = [\"ok\", \"{host}\"]", 1, 15, "config.unknown_param", "[program.p.params.host]");
    in_program("args = [\"{hots}\"]\nparams.host.type = \"string\"", 1, 9, "config.unknown_param", "`host`?");
    in_program("env = { \"A.B\" = \"{x\" }", 1, 17, "config.template", "{{ and }}");
    in_program("classes.oom.adjust = { n = { set = 1 } }", 1, 24, "config.unknown_param", "");
    in_program(
        "params.n = {}\nclasses.oom.adjust = { n = { mul = 1 } }",
        2,
        28,
        "config.unknown_key",
        "`multiply`?",
    );
    in_program(
        "params.n.type = \"integer\"\nclasses.oom.adjust = { n = {} }",
        2,
        28,
        "config.value",
        "multiply = 0.5",
    );
    in_program("params.n.type = \"integr\"\nparams.n.min = 1", 1, 17, "config.value", "\"integer\"");
    in_program(
        "[program.p.params.n]\ntype = \"integer\"\nmin = 5\ndefault = 1",
        4,
        11,
        "config.conflict",
        "min ≤",
    );
    in_program("[program.p.params.n]\ntype = \"integer\"\nmin = 5\nmax = 1", 4, 7, "config.conflict", "");
    in_program("[program.p.params.n]\nsecret = true", 2, 10, "config.secret", "env = \"N\"");
    in_program(
        "args = [\"{n}\"]\n[program.p.params.n]\nsecret = true\nenv = \"N\"",
        1,
        9,
        "config.secret",
        "take {n} out",
    );
    in_program("[program.p.params.n]\nchoices = [\"a\"]", 2, 1, "config.conflict", "type = \"choice\"");
    in_program("[program.p.params.n]\ntype = \"choice\"", 2, 8, "config.required", "choices = ");
    in_program(
        "[program.p.params.n]\ntype = \"integer\"\nrestore = { add = 0 }",
        3,
        19,
        "config.range",
        "tenth",
    );
    in_program("[[program.p.classify]]\nclass = \"oom\"", 1, 1, "config.conflict", "one rule for each");
    in_program(
        "[[program.p.classify]]\nclass = \"oom\"\npattern = '('",
        3,
        11,
        "config.regex",
        "single quotes",
    );
    in_program(
        "[[program.p.classify]]\nclass = \"oom\"\npattern = 'x'\nretry_after = 'y'",
        4,
        15,
        "config.regex",
        "parentheses",
    );
    in_program("output.redact = ['a', '[']", 1, 23, "config.regex", "");
}

#[test]
fn all_errors_of_a_file_come_at_once() {
    let text = "\
version = 3
[sever]
[program.p]
comand = [\"x\"]
script = \"x\"
restart = \"sometimes\"
timeout = 30
args = [\"{host}\"]
[program.p.retry]
max_delay = \"1ms\"
[program.p.breaker]
failure_rate = 1.5
[[program.p.classify]]
class = \"oom\"
pattern = '('
";
    let lines: Vec<_> = bad(text).iter().map(|e| e.line).collect();
    assert_eq!(lines, [1, 2, 4, 6, 7, 8, 10, 12, 15]);
}

#[test]
fn a_flood_of_errors_is_cut_and_says_so() {
    let text: String = (0..1500).map(|n| format!("x{n} = 1\n")).collect();
    let errors = bad(&text);
    assert_eq!(errors.len(), 101);
    assert_eq!((errors[100].code.as_str(), errors[100].line), ("config.too_many", 101));
    assert!(errors[100].message.starts_with("1400 more"), "{}", errors[100]);
}

#[test]
fn a_key_as_long_as_the_file_is_told_by_its_begin_and_end() {
    let text = format!("{} = 1\n", "k".repeat(1 << 20));
    let errors = bad(&text);
    assert!(
        errors[0].message.contains("unknown key") && errors[0].message.contains(" characters … "),
        "{}",
        errors[0]
    );
    assert!(errors[0].to_string().len() < 2_000, "{} bytes", errors[0].to_string().len());
}

#[test]
fn broken_syntax_is_told_with_everything_else() {
    let errors = bad("[program.p]\nscript = \n[program.q]\ncomand = [\"x\"]\ntimeout = 5\n");
    let found: Vec<_> = errors.iter().map(|e| (e.line, e.code.as_str())).collect();
    assert_eq!(
        found,
        [(2, "config.syntax"), (4, "config.unknown_key"), (5, "config.duration")],
        "{errors:#?}"
    );
    assert_eq!(bad("a = 1\na = 2\n").iter().filter(|e| e.code == "config.syntax").count(), 1);
}

#[test]
fn what_stands_in_defaults_is_told_once() {
    let text =
        "[defaults.retry]\nmax_delay = \"1ms\"\n[program.a]\nscript = \"a\"\n[program.b]\nscript = \"b\"\n";
    mistake(text, 2, 13, "config.conflict", "");
}

#[test]
fn a_consequence_of_an_error_is_not_told() {
    in_program("[program.p.retry]\ndelay = 5\nmax_delay = \"500ms\"", 2, 9, "config.duration", "");
    in_program("params.x = 3\nargs = [\"{x}\"]", 1, 12, "config.type", "");
    mistake("[program.p]\nscript = 3\n", 2, 10, "config.type", "quotes");
    mistake("[program.p]\ncommand = 3\n", 2, 11, "config.type", "./server");
}

#[test]
fn an_error_shows_its_line_with_a_caret() {
    let text =
        "[program.scraper]\nscript = \"é\"\ntimeout = 5 # é\n\tcomand = [\"python3\", \"scrape.py\"]\n";
    let errors = bad(text);
    assert_eq!(
        errors[0].to_string(),
        "error[config.duration]: `timeout` needs a unit: timeout = 5
 --> /etc/shop/supervise.toml:3:11
  |
3 | timeout = 5 # é
  |           ^
  help: write \"5s\" (seconds) or \"5ms\" (milliseconds)"
    );
    assert_eq!(
        errors[1].to_string(),
        "error[config.unknown_key]: unknown key `comand` in [program.scraper]
 --> /etc/shop/supervise.toml:4:2
  |
4 |  comand = [\"python3\", \"scrape.py\"]
  |  ^^^^^^
  help: did you mean `command`?"
    );
}

#[test]
fn a_long_line_is_cut_around_the_caret_and_control_characters_are_shown_as_such() {
    let long = format!(
        "[program.p]\nscript = \"x\"\nenv = {{ A = \"{}\", B = 5, C = \"{}\" }}\n",
        "a".repeat(300),
        "c".repeat(300)
    );
    let shown = bad(&long)[0].to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[3].starts_with("3 | …a") && lines[3].ends_with("c…"), "{shown}");
    assert_eq!(lines[3].chars().nth(lines[4].chars().count() - 1), Some('5'), "{shown}");
    let shown = bad("\"\u{1b}[31m\" = 1\n")[0].to_string();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_long_word_for_a_shell_is_left_to_the_shell() {
    let config = good("[program.p]\ncommand = \"sh -c 'a | b; exit 3'\"\n");
    assert_eq!(config.programs[0].check(), []);
}

#[test]
fn errors_of_one_table_are_told_all_at_once() {
    let told = |text: &str| -> Vec<String> {
        let errors = bad(&format!("[program.p]\nscript = \"x\"\n{text}\n"));
        errors.iter().map(|error| error.message.clone()).collect()
    };
    for (text, words) in [
        ("retry = { delay = 5, factor = 0.0 }", ["needs a unit", "factor"]),
        ("retry = { max_delay = \"x\", jitter = \"none\", factor = 99.0 }", ["not a duration", "factor"]),
        ("breaker = { penalty = 5, failure_rate = 3.0 }", ["needs a unit", "failure_rate"]),
        ("breaker = { window = { age = 5, min = 0 } }", ["needs a unit", "window.min"]),
        ("breaker = { half_open = { lease = 5, permits = 0 } }", ["needs a unit", "half_open.permits"]),
        ("params.n = { type = \"integer\", required = 1, min = 9, max = 3 }", ["true", "max"]),
    ] {
        let told = told(text);
        assert_eq!(told.len(), 2, "{text}: {told:#?}");
        for word in words {
            assert!(told.iter().any(|message| message.contains(word)), "{text}: {word}: {told:#?}");
        }
    }
    // What only follows from an error is none.
    for text in [
        "breaker = { penalty = 5, max_penalty = \"10s\" }",
        "retry = { delay = 5, max_delay = \"100ms\" }",
        "breaker = { failures = 0, failure_rate = \"x\" }",
    ] {
        assert_eq!(told(text).len(), 1, "{text}");
    }
}

#[test]
fn no_message_of_a_file_obeys_what_the_file_says() {
    let files = [
        "include = [\"a\\u001b[31mb\"]\n",
        "[program.\"a\\u202eb\"]\nscript = 5\n",
        "[program.p]\nscript = \"x\"\n\"k\\u0007\\u009b31m\" = 1\n",
        "[program.p]\nscript = \"x\"\nargs = [\"{a\\u001b]0;t\\u0007}\"]\n",
        "[program.p]\nscript = \"x\"\nrestart = \"\\u001b[2J\"\n",
        "[program.p]\nscript = \"x\"\nbreakers = [\"\\u200b\\u2028{no}\"]\n",
        "version = 1 # \u{1b}[31m\n[program.p\n",
    ];
    for file in files {
        let path = Path::new("/etc/sh\u{1b}[31mop/\u{202e}supervise.toml");
        let Err(ConfigErrors(errors)) = parse(file, path) else { panic!("accepted: {file:?}") };
        for error in errors {
            let shown = error.to_string();
            let obeyed = shown.chars().find(|&c| is_obeyed(c) && c != '\n');
            assert_eq!(obeyed, None, "{file:?}: {shown:?}");
        }
    }
}

#[test]
fn a_lease_is_as_short_as_what_proves_the_probe() {
    let table =
        |half_open: &str| format!("[program.p]\nscript = \"x\"\nbreaker = {{ half_open = {half_open} }}\n");
    good(&table("{ success = \"exit\", stable = \"1s\", lease = \"4s\" }"));
    good(&table("{ success = \"first_output\", lease = \"1s\" }"));
    for (half_open, code) in [
        ("{ success = \"exit\", lease = \"999ms\" }", "config.range"),
        ("{ success = \"auto\", stable = \"1s\", lease = \"4s\" }", "config.conflict"),
        ("{ stable = \"1s\", lease = \"60s\" }", "config.conflict"),
    ] {
        assert_eq!(bad(&table(half_open))[0].code, code, "{half_open}");
    }
}
