//! The one error of the facade.

use crate::RunStatus;
use actix_process_actors::{
    clock,
    manager::{GetRun, LookupError, NoAnswer, OpenError, RetryRunError, RunError, StartError},
    model::{ParamProblem, did_you_mean, edit_distance},
    monitor::QueryError,
};
use std::fmt;

/// What kind of thing went wrong: what a program branches on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No program of this name.
    UnknownProgram,
    /// No run of this id.
    UnknownRun,
    /// The end of an id fits more than one run, or is too short to be told from others.
    AmbiguousRun,
    /// No breaker of this scope.
    UnknownScope,
    /// Parameters or labels do not fit; see [`Error::param_problems`].
    InvalidParams,
    /// A question for output or runs cannot be asked like this.
    InvalidQuery,
    /// An idempotency key was used for another request before.
    KeyReused,
    /// As many runs wait as the program's `queue` allows.
    QueueFull,
    /// A breaker is open, and the start asked to be refused then; see [`Error::retry_after_ms`].
    Blocked,
    /// A daemon has one living run already.
    AlreadyRunning,
    /// The run has no process, or is over.
    NotRunning,
    /// The supervisor is being shut down.
    ShuttingDown,
    /// The supervisor is gone: shut down, or its thread died.
    Closed,
    /// A part of the supervisor has ended, by a fault of ours, and what it knows cannot be told.
    NoAnswer,
    /// The store cannot be opened, read or written.
    Store,
    /// Another process owns the store.
    StoreLocked,
    /// The keeper or a thread of ours cannot be started.
    Keeper,
    /// The configuration is wrong.
    Config,
}

impl ErrorKind {
    /// The code in messages and in the HTTP API: lower snake case, never changed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownProgram => "unknown_program",
            Self::UnknownRun => "unknown_run",
            Self::AmbiguousRun => "ambiguous_run",
            Self::UnknownScope => "unknown_scope",
            Self::InvalidParams => "invalid_params",
            Self::InvalidQuery => "invalid_query",
            Self::KeyReused => "idempotency_key_reused",
            Self::QueueFull => "queue_full",
            Self::Blocked => "breaker_open",
            Self::AlreadyRunning => "already_running",
            Self::NotRunning => "not_running",
            Self::ShuttingDown => "shutting_down",
            Self::Closed => "shut_down",
            Self::NoAnswer => "no_answer",
            Self::Store => "store",
            Self::StoreLocked => "store_locked",
            Self::Keeper => "keeper",
            Self::Config => "config",
        }
    }
}

/// What went wrong. `Display` says what, where and why in one line (several for a configuration file);
/// [`Error::help`] says one thing to do about it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Error {
    // Boxed, so that every `Result` of ours stays small.
    inner: Box<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    retry_after_ms: Option<u64>,
    param_problems: Vec<ParamProblem>,
}

/// The result of everything that the facade does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            message: message.into(),
            help: None,
            retry_after_ms: None,
            param_problems: Vec::new(),
        };
        Self { inner: Box::new(inner) }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.inner.help = Some(help.into());
        self
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the supervisor does not answer: it was shut down, or its thread died")
            .with_help("start a new ProcessManager on the same store; it takes up what this one left")
    }

    pub(crate) fn unknown_program(name: &str, known: &[String]) -> Self {
        let help = match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no program is configured".to_owned(),
            None => format!("there is {}", known.join(", ")),
        };
        Self::new(ErrorKind::UnknownProgram, format!("there is no program `{name}`")).with_help(help)
    }

    pub(crate) fn unknown_run(typed: &str, newest_first: &[RunStatus]) -> Self {
        let error = Self::from(LookupError::Unknown(typed.to_owned()));
        let near = nearest_runs(typed, newest_first);
        if typed.len() < GetRun::MIN_SUFFIX {
            return error;
        }
        match near.is_empty() {
            false => error.with_help(format!("did you mean {}?", either(&near))),
            true => error,
        }
    }

    pub(crate) fn unknown_scope<'a>(
        why: String,
        scope: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let help = match did_you_mean(scope, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "a breaker is there once a run has asked it; the list of breakers has all of them".to_owned()
            }
        };
        Self::new(ErrorKind::UnknownScope, why).with_help(help)
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// One thing to do about it, where there is one.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.inner.help.as_deref()
    }

    /// After how many milliseconds asking again may help, where that is known.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.inner.retry_after_ms
    }

    /// For [`ErrorKind::InvalidParams`]: every problem at once.
    #[must_use]
    pub fn param_problems(&self) -> &[ParamProblem] {
        &self.inner.param_problems
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `main` returning an error prints: it has to read like an error, not like a struct.
        write!(f, "{}: {}", self.inner.kind.name(), self.inner.message)?;
        match &self.inner.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::UnknownProgram { name, known } => Self::unknown_program(&name, &known),
            StartError::Params { program, problems, usage } => {
                let help = match usage.as_str() {
                    "" => format!("`{program}` takes no parameters"),
                    usage => format!("`{program}` takes {usage}"),
                };
                let mut error = Self::new(ErrorKind::InvalidParams, message).with_help(help);
                error.inner.param_problems = problems;
                error
            }
            StartError::TooLarge { .. } => Self::new(ErrorKind::InvalidParams, message)
                .with_help("put large input into a file and give its path as a parameter"),
            StartError::Priority { .. } => {
                Self::new(ErrorKind::InvalidParams, message).with_help("leave it out for the program's own")
            }
            StartError::QueueFull { program, .. } => {
                Self::new(ErrorKind::QueueFull, message).with_help(queue_help(&program))
            }
            StartError::Blocked { scope, retry_at, .. } => {
                // One that is forced open has no time when it lets anybody through.
                let help = match retry_at {
                    Some(_) => format!("ask again then, or reset the breaker `{scope}`"),
                    None => format!("close or reset the breaker `{scope}`"),
                };
                let mut error = Self::new(ErrorKind::Blocked, message).with_help(help);
                error.inner.retry_after_ms = retry_at.map(|at| at.since(clock::now()));
                error
            }
            StartError::AlreadyRunning { .. } => {
                Self::new(ErrorKind::AlreadyRunning, message).with_help(ONE_RUN_HELP)
            }
            StartError::KeyReused { .. } => Self::new(ErrorKind::KeyReused, message).with_help(
                "for a new run use a new key; to ask again after a lost answer send what was sent first",
            ),
            StartError::ShuttingDown => Self::new(ErrorKind::ShuttingDown, message),
            StartError::Closed => Self::new(ErrorKind::Closed, message),
            StartError::NoAnswer(error) => error.into(),
            StartError::Store(_) => Self::new(ErrorKind::Store, message).with_help(STORE_HELP),
            // The contract may grow; an error that nobody knows here still has its own words.
            _ => Self::new(ErrorKind::Store, message),
        }
    }
}

/// What to do about a daemon that lives already.
const ONE_RUN_HELP: &str = "a daemon has one living run: restart that one";

fn queue_help(program: &str) -> String {
    format!("wait until a run ends, or raise `queue` or `max_concurrent` of `{program}`")
}

/// What to do about a store that refuses.
const STORE_HELP: &str = "look at the free space and the permissions of the store's folder";

impl From<NoAnswer> for Error {
    fn from(error: NoAnswer) -> Self {
        Self::new(ErrorKind::NoAnswer, error.to_string()).with_help(
            "start the supervisor again on the same store, and report what its log says of a panic",
        )
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::Unknown(_) => Self::new(ErrorKind::UnknownRun, message)
                .with_help("ended runs are forgotten after a while; see the retention of runs"),
            RunError::NotRunning { phase, .. } => {
                let help = match phase.is_ended() {
                    true => "start a new run, or retry this one: the same program with the same parameters",
                    false => "wait until it runs, or stop it",
                };
                Self::new(ErrorKind::NotRunning, message).with_help(help)
            }
            RunError::ProgramGone(name) => Self::new(ErrorKind::UnknownProgram, message)
                .with_help(format!("configure `{name}` again, or start another program")),
            RunError::AlreadyRunning { .. } => {
                Self::new(ErrorKind::AlreadyRunning, message).with_help(ONE_RUN_HELP)
            }
            RunError::QueueFull { program, .. } => {
                Self::new(ErrorKind::QueueFull, message).with_help(queue_help(&program))
            }
            RunError::ShuttingDown => Self::new(ErrorKind::ShuttingDown, message),
            RunError::Closed => Self::new(ErrorKind::Closed, message),
            RunError::NoAnswer(error) => error.into(),
            RunError::Store(_) => Self::new(ErrorKind::Store, message).with_help(STORE_HELP),
            _ => Self::new(ErrorKind::Store, message),
        }
    }
}

impl From<RetryRunError> for Error {
    fn from(error: RetryRunError) -> Self {
        match error {
            RetryRunError::Run(error) => error.into(),
            RetryRunError::Start(error) => error.into(),
        }
    }
}

impl From<LookupError> for Error {
    fn from(error: LookupError) -> Self {
        let message = error.to_string();
        match error {
            LookupError::Unknown(_) => Self::new(ErrorKind::UnknownRun, message)
                .with_help("a run is named by its id, or by a unique end of it of at least 6 characters"),
            LookupError::Ambiguous { .. } => {
                Self::new(ErrorKind::AmbiguousRun, message).with_help("give more characters of the id's end")
            }
        }
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Pattern(_) => Self::new(ErrorKind::InvalidQuery, message)
                .with_help("`grep` is a Rust regular expression; escape . ( ) [ ] with a backslash"),
            QueryError::NoAnswer(error) => error.into(),
            QueryError::Store(_) => Self::new(ErrorKind::Store, message).with_help(STORE_HELP),
            _ => Self::new(ErrorKind::Store, message),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Locked(_) => Self::new(ErrorKind::StoreLocked, message).with_help(
                "one supervisor owns a store: end that one or give this one a folder of its own; within a \
                     program, build the ProcessManager once and clone it",
            ),
            OpenError::Folder { help, .. } => Self::new(ErrorKind::Store, message).with_help(help),
            OpenError::Store(_) => Self::new(ErrorKind::Store, message).with_help(format!(
                "{STORE_HELP}, and at the limits of this process (ulimit -n, -u, -v)"
            )),
            OpenError::Scarce(_) => Self::new(ErrorKind::Store, message).with_help(
                "raise the limits of this process: ulimit -n (LimitNOFILE=), ulimit -u (TasksMax=), ulimit -v",
            ),
            _ => Self::new(ErrorKind::Keeper, message),
        }
    }
}

/// Suggestions for a mistyped id: more would hide the one that was meant.
const SUGGESTED: usize = 3;

/// The short ids of the runs whose ids end most like what was typed, nearest first; none when nothing is near.
fn nearest_runs(typed: &str, runs: &[RunStatus]) -> Vec<String> {
    let typed = typed.to_ascii_uppercase();
    // Half the letters may be wrong: a guess among many ids that look alike is still better than none.
    let limit = typed.chars().count() / 2;
    let end = |run: &RunStatus| {
        let id = run.id.to_string();
        let end = id.get(id.len().saturating_sub(typed.len())..).unwrap_or(&id).to_owned();
        (edit_distance(&typed, &end), run.id.short())
    };
    let mut near: Vec<_> = runs.iter().map(end).filter(|(distance, _)| *distance <= limit).collect();
    near.sort_by_key(|(distance, _)| *distance); // Stable: of two that are as near the newer comes first.
    near.into_iter().take(SUGGESTED).map(|(_, id)| id).collect()
}

fn either(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_process_actors::model::{Params, RunId, Scope};

    #[test]
    fn an_unknown_program_names_the_one_that_was_meant() {
        let known = vec!["scraper".to_owned(), "api".to_owned()];
        let error = Error::from(StartError::UnknownProgram { name: "scrapr".into(), known });
        assert_eq!(error.kind(), ErrorKind::UnknownProgram);
        assert_eq!(error.help(), Some("did you mean `scraper`?"));
        assert_eq!(error.to_string(), "there is no program `scrapr`");
        assert_eq!(
            format!("{error:?}"),
            "unknown_program: there is no program `scrapr`\n  help: did you mean `scraper`?"
        );
    }

    #[test]
    fn a_refusal_by_a_breaker_says_when_to_ask_again() {
        let error = Error::from(StartError::Blocked {
            program: "scraper".into(),
            scope: Scope("site:a".into()),
            retry_at: Some(clock::now().plus(60_000)),
            why: "its breaker is open".into(),
        });
        assert_eq!(error.kind(), ErrorKind::Blocked);
        assert!(error.retry_after_ms().is_some_and(|ms| (50_000..=60_000).contains(&ms)));
    }

    #[test]
    fn a_mistyped_id_names_the_three_that_end_most_like_it() {
        let run = |low: u128| {
            RunStatus::new(RunId::from_parts(1_000, low), "p".into(), Params::new(), clock::now())
        };
        let runs: Vec<_> = [0x1234_5678, 0x1234_5679, 0x1234_567a, 0x9999_9999_9999].map(run).into();
        let id = runs[0].id.to_string();
        let typed = format!("{}0", &id[id.len() - 8..id.len() - 1]);
        let near = nearest_runs(&typed.to_lowercase(), &runs);
        let expected: Vec<_> = runs.iter().take(3).map(|run| run.id.short()).collect();
        assert_eq!(near, expected);
        let help = Error::unknown_run(&typed, &runs);
        assert!(help.help().is_some_and(|help| help.starts_with("did you mean `")), "{help:?}");
        let far = Error::unknown_run("UVWXYZUVWXYZ", &runs);
        assert_eq!(far.help(), Error::from(LookupError::Unknown("x".into())).help());
    }

    #[test]
    fn a_mistyped_scope_names_the_one_that_was_meant() {
        let known = ["program:api", "site:shop.example"];
        let help =
            |scope| Error::unknown_scope("w".into(), scope, known).help().unwrap_or_default().to_owned();
        assert_eq!(help("site:shop.exampel"), "did you mean `site:shop.example`?");
        assert!(help("user:alice").contains("list of breakers"));
    }
}
