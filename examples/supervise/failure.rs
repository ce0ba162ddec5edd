//! How a verb fails: an exit code, a sentence, and one thing to do about it.

use crate::screen::escape;
use serde_json::Value;
use std::{fmt, io};

/// Exit codes of the command line.
pub(crate) mod code {
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const NOT_RUNNING: u8 = 3;
    pub(crate) const UNKNOWN: u8 = 4;
    pub(crate) const UNREACHABLE: u8 = 5;
    pub(crate) const REFUSED: u8 = 6;
}

/// Why a verb did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// What kind it is, as the daemon names it; nothing where the exit code says it all.
    pub(crate) name: Option<String>,
    /// What happened; may have more than one line.
    pub(crate) what: String,
    /// One thing to do.
    pub(crate) help: Option<String>,
    /// The reader of our output went away: nothing is said, and the exit code is 0.
    pub(crate) quiet: bool,
}

impl Failure {
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, name: None, what: what.into(), help: None, quiet: false }
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A refusal of the daemon: its status and, as RFC 9457 has it, its body.
    pub(crate) fn from_problem(status: u16, body: &Value) -> Self {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut what = match (text("detail"), text("title")) {
            ("", "") => format!("the daemon answered {status}"),
            ("", title) => escape(title),
            // A line of an error stays a line; what else a terminal would obey is shown.
            (detail, _) => detail.lines().map(escape).collect::<Vec<_>>().join("\n  "),
        };
        for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |key: &str| escape(error.get(key).and_then(Value::as_str).unwrap_or_default());
            if what.contains(&part("detail")) {
                continue;
            }
            what.push_str(&format!("\n  {} {}", part("pointer"), part("detail")));
        }
        if let Some(seconds) = body.get("retry_after_s").and_then(Value::as_f64) {
            what.push_str(&format!("\n  asking again may help in {seconds} s"));
        }
        let help = match text("help") {
            "" => None,
            help => Some(escape(help)),
        };
        let name = Some(escape(text("code"))).filter(|name| !name.is_empty());
        Self { code: code_of(status, text("code")), name, what, help, quiet: false }
    }
}

/// The exit code for an answer; the problem's own code tells apart what shares a status.
fn code_of(status: u16, problem: &str) -> u8 {
    match (status, problem) {
        (_, "already_running") => code::FAILED,
        (_, "breaker_open" | "queue_full") => code::REFUSED,
        (400 | 413 | 415 | 422, _) => code::USAGE,
        (404, _) => code::UNKNOWN,
        (409, _) => code::NOT_RUNNING,
        _ => code::FAILED,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (&self.name, self.code) {
            (Some(name), _) => name,
            (None, code::USAGE) => "usage",
            (None, code::NOT_RUNNING) => "not_running",
            (None, code::UNKNOWN) => "unknown",
            (None, code::UNREACHABLE) => "unreachable",
            _ => "failed",
        };
        // Errors of a configuration file say so themselves, each for itself.
        if !self.what.starts_with("error[") {
            write!(f, "error[{name}]: ")?;
        }
        f.write_str(&self.what)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    /// Only our own output fails this way; everything else says more.
    fn from(error: io::Error) -> Self {
        Self {
            quiet: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::new(code::FAILED, error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_every_field_and_keeps_control_characters_out_of_the_terminal() {
        let failure = Failure::from_problem(
            422,
            &json!({"code": "validation", "detail": "bad \u{1b}[2J", "help": "look",
                    "errors": [{"pointer": "/params/qpi", "detail": "must be between 10 and 200"}]}),
        );
        assert_eq!(failure.code, 2);
        assert_eq!(
            failure.to_string(),
            "error[validation]: bad \\x1b[2J\n  /params/qpi must be between 10 and 200\n  help: look"
        );
    }

    #[test]
    fn exit_codes_follow_status_and_code() {
        for (status, problem, code) in [
            (404, "unknown_run", 4),
            (409, "not_running", 3),
            (409, "already_running", 1),
            (429, "queue_full", 6),
            (503, "breaker_open", 6),
            (503, "shutting_down", 1),
            (400, "malformed", 2),
            (401, "no_token", 1),
            (500, "", 1),
        ] {
            assert_eq!(code_of(status, problem), code, "{status} {problem}");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).quiet);
        assert!(!Failure::from(io::Error::from(io::ErrorKind::StorageFull)).quiet);
    }
}
