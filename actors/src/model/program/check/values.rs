//! What is wrong with one value, whatever it stands in.

use crate::model::{Problem, format_size};
use regex::bytes::RegexBuilder;

/// The largest compiled expression in bytes, the same for the check and for the users of the expression. One that
/// needs more would cost every line of output more than it can tell.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// The highest priority, and with a minus sign the lowest: more ranks than are ever told apart.
pub const HIGHEST_PRIORITY: i32 = 1_000;
/// The variable that we set ourselves, so that leftovers of a lost attempt can be told.
const TAG_VARIABLE: &str = "ACTIX_PROCESS";

pub(super) fn range(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem::new("config.range", path, message, help)
}

pub(super) fn invalid(
    path: impl Into<String>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Problem {
    Problem::new("config.value", path, message, help)
}

pub(super) fn check_exit_code(path: &str, code: i32, found: &mut Vec<Problem>) {
    if !(0..=255).contains(&code) {
        let help = "for a signal write a rule with signal = \"SIGKILL\"";
        found.push(range(path, format!("{code} is not an exit code; these are 0 to 255"), help));
    }
}

pub(super) fn check_variable(path: &str, name: &str, found: &mut Vec<Problem>) {
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("`{name}` cannot be the name of an environment variable");
        found.push(invalid(path, message, "a name is not empty and has no `=`"));
    } else if name == TAG_VARIABLE {
        let message = format!("`{TAG_VARIABLE}` is set for every attempt to its own name");
        found.push(invalid(path, message, "choose another variable"));
    }
}

pub(in crate::model::program) fn check_regex(
    path: &str,
    expression: &str,
    captures: usize,
    found: &mut Vec<Problem>,
) {
    if expression.is_empty() {
        found.push(Problem::new(
            "config.regex",
            path,
            "an empty expression matches every line",
            "write what to look for",
        ));
        return;
    }
    match RegexBuilder::new(expression).size_limit(REGEX_SIZE_LIMIT).build() {
        Ok(regex) if regex.captures_len() <= captures => found.push(Problem::new(
            "config.regex",
            path,
            format!("`{expression}` has no capture group"),
            r"put what says how long in parentheses, as in '(?i)retry-after:\s*(.+)'",
        )),
        Ok(_) => {}
        Err(regex::Error::CompiledTooBig(_)) => found.push(Problem::new(
            "config.regex",
            path,
            format!("the expression needs more than {} compiled", format_size(REGEX_SIZE_LIMIT as u64)),
            "write smaller repetitions, or (?-u) before classes such as \\w",
        )),
        Err(error) => {
            // The engine draws the expression and a caret over several lines; its last line says what is wrong.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "the syntax is that of the Rust crate regex; in TOML write it in 'single quotes'";
            found.push(Problem::new("config.regex", path, format!("not a regular expression: {why}"), help));
        }
    }
}

/// Whether a priority, of a class or of a start, is in its range.
#[must_use]
pub fn is_priority(priority: i32) -> bool {
    (-HIGHEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority)
}

pub(super) fn wrong_priority(path: impl Into<String>) -> Problem {
    range(
        path,
        "`priority` must be between -1000 and 1000",
        "write for example 10; where nothing is said it is 0",
    )
}
