//! The values of a program, and what they mean for a start.

use super::Ready;
use crate::model::{
    Adjust, Arg, BreakerPolicy, ClassRule, Inline, OnFloor, ParamProblem, ParamSpec, ParamValue, Params,
    Problem, RetryPolicy, RetryTerms, ScopeKind, Stream, builtin_class_rule, builtin_retry_terms,
    did_you_mean,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What to run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A script found by name on a search path.
    Script {
        /// The file's name, with or without a known extension (`.py .sh .js .rb .pl`).
        name: String,
        /// Folders to look in, in order; relative ones are relative to [`Program::base_dir`].
        path: Vec<PathBuf>,
        /// Interpreter and its arguments; empty: by extension, else the file's own `#!`.
        interpreter: Vec<String>,
    },
    /// An argument vector as it is. The first is a text, what is run; what follows may have places for parameters.
    Argv(Vec<Arg>),
}

/// When a run is started again by itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// After a failure: a job.
    #[default]
    OnFailure,
    /// Always: a daemon.
    Always,
}

/// What becomes of members of a group that outlive its leader.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// They are stopped before the next attempt.
    #[default]
    Stop,
    /// They go on.
    Keep,
}

impl Leftovers {
    /// Its name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Keep => "keep",
        }
    }
}

/// What a run's unseen end means.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It is tried again; the lost attempt does not count.
    #[default]
    Retry,
    /// The run failed.
    Fail,
    /// The run succeeded.
    Success,
}

/// Which output a rule looks at.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamChoice {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both.
    #[default]
    Any,
}

impl StreamChoice {
    /// Whether the rule looks at this stream.
    #[must_use]
    pub const fn includes(self, stream: Stream) -> bool {
        match self {
            Self::Any => true,
            Self::Stdout => matches!(stream, Stream::Stdout),
            Self::Stderr => matches!(stream, Stream::Stderr),
        }
    }
}

/// What a classification rule matches.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matcher {
    /// A Rust regular expression on one line of output.
    Pattern {
        /// The expression.
        pattern: String,
        /// Where it looks.
        stream: StreamChoice,
        /// An expression whose capture 1 says how long the other side asks to wait.
        retry_after: Option<String>,
    },
    /// The exit code.
    ExitCode(i32),
    /// The number of the signal that ended it.
    Signal(i32),
}

/// One classification rule; the first match in file order wins, before the built-in rules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassifyRule {
    /// The class it finds.
    pub class: String,
    /// What it matches.
    pub matcher: Matcher,
}

/// What a class does here, key by key over the built-in rule.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassOverride {
    /// See [`ClassRule::retry`].
    pub retry: Option<bool>,
    /// See [`ClassRule::counts`].
    pub counts: Option<bool>,
    /// See [`ClassRule::weight_permille`].
    pub weight_permille: Option<u32>,
    /// See [`ClassRule::scopes`].
    pub scopes: Option<Vec<ScopeKind>>,
    /// See [`ClassRule::trips`].
    pub trips: Option<bool>,
    /// See [`ClassRule::delay_ms`].
    pub delay_ms: Option<u64>,
    /// See [`ClassRule::max_delay_ms`].
    pub max_delay_ms: Option<u64>,
    /// See [`ClassRule::max_retries`].
    pub max_retries: Option<u32>,
    /// See [`ClassRule::cost_permille`].
    pub cost_permille: Option<u32>,
    /// See [`ClassRule::adjust`].
    pub adjust: BTreeMap<String, Adjust>,
    /// See [`ClassRule::inline`].
    pub inline: Option<Inline>,
    /// See [`ClassRule::priority`].
    #[serde(default)]
    pub priority: Option<i32>,
    /// What a builder method was given and could not read; [`Program::check`] tells.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

/// What happens when output comes faster than it can be stored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backlog {
    /// Drop what is oldest, with a counted gap record.
    Drop,
    /// Stop reading, so that the child waits while the store makes progress. Once it has stood still for
    /// [`stall_ms`](OutputPolicy::stall_ms), drop.
    #[default]
    Wait,
    /// Stop reading, so that the child waits, however long that is.
    Block,
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StderrMode {
    /// A stream of its own.
    #[default]
    Separate,
    /// Into standard output, in exact order.
    Merge,
}

/// How output is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutputPolicy {
    /// Longest line in bytes; a longer one is split and marked. Default 64 KiB.
    pub max_line: u64,
    /// Bytes kept in memory for each attempt. Default 1 MiB.
    pub recent: u64,
    /// Default separate.
    pub stderr: StderrMode,
    /// Bytes written by the child and not yet stored. Default 256 MiB.
    pub backlog: u64,
    /// What happens beyond. Default wait.
    pub on_backlog: Backlog,
    /// How long nothing is stored before what waits is dropped (`on_backlog = "wait"`). Milliseconds. Default 5s.
    #[serde(default = "usual_stall")]
    pub stall_ms: u64,
    /// Regular expressions on one line whose matches are stored, shown and told as `***`. A match is hidden as a whole wherever
    /// a line is split or not finished yet, up to 1 MiB of it; of a longer one the rest is looked at as a line of its own.
    pub redact: Vec<String>,
    /// Whether terminal escapes are removed before storing. Default false: kept. Rules, `ready` and searches look at the text
    /// without them either way.
    pub strip_ansi: bool,
    /// What a builder method was given and could not read; [`Program::check`] tells.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

/// Longer than a store takes that has much to do, shorter than most time-outs of who waits for a child.
const fn usual_stall() -> u64 {
    5_000
}

impl Default for OutputPolicy {
    fn default() -> Self {
        Self {
            max_line: 64 << 10,
            recent: 1 << 20,
            stderr: StderrMode::Separate,
            backlog: 256 << 20,
            on_backlog: Backlog::Wait,
            stall_ms: usual_stall(),
            redact: Vec::new(),
            strip_ansi: false,
            rejected: Vec::new(),
        }
    }
}

/// A named definition: what to run and by which rules. Checked as a whole before it is used.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Program {
    /// `[a-z][a-z0-9_-]{0,62}`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What to run.
    pub command: Command,
    /// Arguments after the command, with places for parameters.
    pub args: Vec<Arg>,
    /// What relative paths are relative to: the folder of the configuration file, else the process's own.
    pub base_dir: PathBuf,
    /// Working directory, with places for parameters; default [`Program::base_dir`].
    pub cwd: PathBuf,
    /// Environment beside what is inherited; values may have places for parameters.
    pub env: BTreeMap<String, String>,
    /// A file of `KEY=value` lines, read at each start.
    pub env_file: Option<PathBuf>,
    /// Inherit only `PATH`, `HOME`, `LANG` and `TZ`.
    pub env_clear: bool,
    /// When it is started again by itself.
    pub restart: Restart,
    /// Started with the manager.
    pub autostart: bool,
    /// Exit codes that are success. Default 0.
    pub success_exit_codes: Vec<i32>,
    /// Lines of standard output without which such an end of a job is no success but `empty_result`. Default 0.
    #[serde(default)]
    pub success_min_lines: u32,
    /// A regular expression on one line of either stream that tells of items. Its capture 1 is how many there are by then,
    /// and the largest counts; without a capture each line that matches is one. Default none: nothing is counted.
    #[serde(default)]
    pub success_items: Option<String>,
    /// Items without which such an end of a job is `empty_result`. Default 0.
    #[serde(default)]
    pub success_min_items: u32,
    /// Longest life of one attempt; none by default.
    pub timeout_ms: Option<u64>,
    /// Longest silence of one attempt; none by default.
    pub idle_timeout_ms: Option<u64>,
    /// Runs at once; none by default for jobs, one for a daemon.
    pub max_concurrent: Option<u32>,
    /// Runs that may wait for a place; one more is refused. Default 100.
    pub queue: u32,
    /// Which of those that wait for the same thing goes first: the highest, of equal ones who waits longest. From -1,000 to
    /// 1,000, default 0. A start may say otherwise. Who has a low one waits for as long as there are others.
    #[serde(default)]
    pub priority: i32,
    /// For people and filters.
    pub labels: BTreeMap<String, String>,
    /// Shared scopes that gate it beside its own, with places for parameters.
    pub breakers: Vec<String>,
    /// Default SIGTERM.
    pub stop_signal: i32,
    /// Then SIGKILL to the whole tree. Default 10,000.
    pub stop_timeout_ms: u64,
    /// What becomes of members that outlive the leader.
    pub leftovers: Leftovers,
    /// What an unseen end means.
    pub on_lost: OnLost,
    /// Parameters by name.
    pub params: BTreeMap<String, ParamSpec>,
    /// Retry rules.
    pub retry: RetryPolicy,
    /// Rules of its own scope `program:NAME`; `None`: off.
    pub breaker: Option<Arc<BreakerPolicy>>,
    /// The line by which an attempt says that it is ready; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Classification rules, before the built-in ones.
    pub classify: Vec<ClassifyRule>,
    /// What classes do here.
    pub classes: BTreeMap<String, ClassOverride>,
    /// How output is kept.
    pub output: OutputPolicy,
    /// What a builder method was given and could not read; [`Program::check`] tells.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

impl Program {
    /// A program of this name and command; everything else at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            command,
            args: Vec::new(),
            base_dir: PathBuf::from("."),
            cwd: PathBuf::from("."),
            env: BTreeMap::new(),
            env_file: None,
            env_clear: false,
            restart: Restart::OnFailure,
            autostart: false,
            success_exit_codes: vec![0],
            success_min_lines: 0,
            success_items: None,
            success_min_items: 0,
            timeout_ms: None,
            idle_timeout_ms: None,
            max_concurrent: None,
            queue: 100,
            priority: 0,
            labels: BTreeMap::new(),
            breakers: Vec::new(),
            stop_signal: libc::SIGTERM,
            stop_timeout_ms: 10_000,
            leftovers: Leftovers::Stop,
            on_lost: OnLost::Retry,
            params: BTreeMap::new(),
            retry: RetryPolicy::default(),
            breaker: Some(Arc::default()),
            ready: None,
            classify: Vec::new(),
            classes: BTreeMap::new(),
            output: OutputPolicy::default(),
            rejected: Vec::new(),
        }
    }

    /// Whether it is a daemon, which should always be up.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.restart == Restart::Always
    }

    /// Restarts of one run in a row by Retry, after its first start: `retry.max_retries`, else [`RetryPolicy::JOB_RETRIES`]
    /// for a job. `None`: a daemon, which has no limit unless it says one.
    #[must_use]
    pub fn max_retries(&self) -> Option<u32> {
        let unless_given = if self.is_daemon() { None } else { Some(RetryPolicy::JOB_RETRIES) };
        self.retry.max_retries.or(unless_given)
    }

    /// Attempts that one run has at most, unless somebody asks for more of them; `None`: no limit.
    #[must_use]
    pub fn max_attempts(&self) -> Option<u32> {
        let retries = if self.restart == Restart::No { Some(0) } else { self.max_retries() };
        retries.map(|retries| retries.saturating_add(1))
    }

    /// Runs that may live at once.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.max_concurrent.unwrap_or(if self.is_daemon() { 1 } else { u32::MAX })
    }

    /// What this class does here: the program's word over the built-in one, key by key.
    #[must_use]
    pub fn class_rule(&self, class: &str) -> ClassRule {
        let mut rule = builtin_class_rule(class);
        let Some(own) = self.classes.get(class) else { return rule };
        let (terms, adjust) = self.retry_terms(class);
        (rule.retry, rule.counts, rule.cost_permille) = (terms.retry, terms.counts, terms.cost_permille);
        (rule.delay_ms, rule.max_delay_ms) = (terms.delay_ms, terms.max_delay_ms);
        rule.max_retries = terms.max_retries;
        rule.adjust.clone_from(adjust);
        rule.weight_permille = own.weight_permille.unwrap_or(rule.weight_permille);
        if let Some(scopes) = &own.scopes {
            rule.scopes.clone_from(scopes);
        }
        rule.trips = own.trips.unwrap_or(rule.trips);
        rule.inline = own.inline.or(rule.inline);
        rule.priority = own.priority.unwrap_or(rule.priority);
        rule
    }

    /// As much of it as Retry asks for at each end, and what the class adjusts: nothing is copied that has to be made.
    pub(crate) fn retry_terms(&self, class: &str) -> (RetryTerms, &BTreeMap<String, Adjust>) {
        static NOTHING: BTreeMap<String, Adjust> = BTreeMap::new();
        let mut terms = builtin_retry_terms(class);
        let Some(own) = self.classes.get(class) else { return (terms, &NOTHING) };
        terms.retry = own.retry.unwrap_or(terms.retry);
        terms.counts = own.counts.unwrap_or(terms.counts);
        terms.delay_ms = own.delay_ms.or(terms.delay_ms);
        terms.max_delay_ms = own.max_delay_ms.or(terms.max_delay_ms);
        terms.max_retries = own.max_retries.or(terms.max_retries);
        terms.cost_permille = own.cost_permille.unwrap_or(terms.cost_permille);
        // No built-in class adjusts anything: it knows no parameter.
        (terms, &own.adjust)
    }

    /// See [`ClassRule::priority`]: every built-in class has none.
    #[must_use]
    pub fn class_priority(&self, class: &str) -> i32 {
        self.classes.get(class).and_then(|own| own.priority).unwrap_or_default()
    }

    /// The same program without what is run and with which environment: the rules, as the journal keeps them. An
    /// environment may hold what nobody else should read.
    #[must_use]
    pub fn rules_only(&self) -> Self {
        Self {
            command: Command::Argv(Vec::new()),
            args: Vec::new(),
            base_dir: PathBuf::new(),
            cwd: PathBuf::new(),
            env: BTreeMap::new(),
            env_file: None,
            ..self.clone()
        }
    }

    /// Whether a failure of some class opens breakers of this kind at once.
    #[must_use]
    pub fn some_class_trips(&self, kind: ScopeKind) -> bool {
        let trips = |name: &String| {
            let rule = self.class_rule(name);
            rule.trips && rule.scopes.contains(&kind)
        };
        self.classes.keys().any(trips)
    }

    /// Whether a failure of this class finds a parameter at its floor that its rule would lower, where that opens
    /// breakers (`on_floor = "trip"`). What the attempt ran with counts, not what siblings made of it since.
    #[must_use]
    pub fn trips_at_floor(&self, rule: &ClassRule, effective: &Params) -> bool {
        rule.adjust.iter().any(|(name, adjust)| {
            let spec = self.params.get(name).filter(|spec| spec.on_floor == OnFloor::Trip);
            let at = spec.zip(effective.get(name)).and_then(|(spec, value)| spec.position(value));
            let floor = spec.and_then(|spec| spec.position(&spec.floor()?));
            let (Some(at), Some(floor)) = (at, floor) else { return false };
            adjust.lowers(at) && at <= floor
        })
    }

    /// Whether a failure of this class lowers a parameter, so that the next attempt asks for less: one that its rule lowers was
    /// above its floor. What the attempt ran with counts, also where siblings lowered it a moment ago for the same incident.
    #[must_use]
    pub fn lowers(&self, rule: &ClassRule, effective: &Params) -> bool {
        rule.adjust.iter().any(|(name, adjust)| {
            let spec = self.params.get(name);
            let at = spec.zip(effective.get(name)).and_then(|(spec, value)| spec.position(value));
            let Some((spec, at)) = spec.zip(at) else { return false };
            let floor = spec.floor().and_then(|floor| spec.position(&floor));
            adjust.lowers(at) && at > floor.unwrap_or(0)
        })
    }

    /// Checks a start's parameters and fills in defaults. Values of secrets are set apart, so that what is stored and
    /// shown never holds them.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn resolve_params(
        &self,
        given: &Params,
    ) -> Result<(Params, BTreeMap<String, String>), Vec<ParamProblem>> {
        let mut problems = Vec::new();
        let mut params = Params::new();
        let mut secrets = BTreeMap::new();
        for name in given.keys().filter(|name| !self.params.contains_key(*name)) {
            let known = self.params.keys().map(String::as_str);
            let detail = match did_you_mean(name, known.clone()) {
                Some(near) => format!("is unknown, did you mean `{near}`?"),
                None if self.params.is_empty() => "is unknown; the program has no parameters".to_owned(),
                None => format!("is unknown; the program has {}", known.collect::<Vec<_>>().join(", ")),
            };
            problems.push(ParamProblem { name: name.clone(), detail });
        }
        for (name, spec) in &self.params {
            let value = match given.get(name).or(spec.default.as_ref()) {
                None if spec.required => Err("is required".to_owned()),
                None => continue,
                Some(value) => spec.check(value.clone()),
            };
            match value {
                Ok(value) if spec.secret => {
                    if value != ParamValue::Secret {
                        secrets.insert(name.clone(), value.to_variable());
                    }
                    params.insert(name.clone(), ParamValue::Secret);
                }
                Ok(value) => {
                    params.insert(name.clone(), value);
                }
                Err(_) if spec.secret => {
                    problems.push(ParamProblem { name: name.clone(), detail: spec.secret_refusal(given) });
                }
                Err(detail) => problems.push(ParamProblem { name: name.clone(), detail }),
            }
        }
        problems.extend(self.misleading_values(&params));
        if problems.is_empty() { Ok((params, secrets)) } else { Err(problems) }
    }
}
