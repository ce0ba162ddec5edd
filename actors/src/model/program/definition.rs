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
        /// The name of the file, with or without a known extension (`.py .sh .js .rb .pl`).
        name: String,
        /// The folders to look in, in order; relative ones are relative to [`Program::base_dir`].
        path: Vec<PathBuf>,
        /// The interpreter and its arguments; empty: by extension, else the file's own `#!`.
        interpreter: Vec<String>,
    },
    /// An argument vector as it is. The first element is a text and names what is run; the others may have places for
    /// parameters.
    Argv(Vec<Arg>),
}

/// Whether the supervisor starts another attempt after one ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never; the run ends with its attempt.
    No,
    /// After a failed attempt: a job.
    #[default]
    OnFailure,
    /// After every end: a daemon.
    Always,
}

/// What becomes of members of a process group that outlive its leader.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// They are stopped before the next attempt.
    #[default]
    Stop,
    /// They go on running.
    Keep,
}

impl Leftovers {
    /// The name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Keep => "keep",
        }
    }
}

/// What the end of a run means that was not seen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// The run is tried again; the lost attempt does not count.
    #[default]
    Retry,
    /// The run failed.
    Fail,
    /// The run succeeded.
    Success,
}

/// The output that a rule looks at.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamChoice {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both streams.
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
        /// The regular expression.
        pattern: String,
        /// The streams in which the rule looks.
        stream: StreamChoice,
        /// An expression whose capture 1 says how long the other side asks to wait.
        retry_after: Option<String>,
    },
    /// An end with this exit code.
    ExitCode(i32),
    /// An end by the signal with this number.
    Signal(i32),
}

/// One classification rule; the first match in file order wins, before the built-in rules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassifyRule {
    /// The class that the rule finds.
    pub class: String,
    /// What the rule matches.
    pub matcher: Matcher,
}

/// What a class does in this program: each key that is set replaces that of the built-in rule.
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
    /// Values given to builder methods that could not be read; [`Program::check`] reports them.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

/// What happens when output comes faster than it can be stored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backlog {
    /// Drops the oldest output, with a counted gap record.
    Drop,
    /// Stops reading, so that the child waits while the store makes progress. Once the store has stood still for
    /// [`stall_ms`](OutputPolicy::stall_ms), drops.
    #[default]
    Wait,
    /// Stops reading, so that the child waits, however long that is.
    Block,
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StderrMode {
    /// It is a stream of its own.
    #[default]
    Separate,
    /// It goes into standard output, in exact order.
    Merge,
}

/// How output is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutputPolicy {
    /// The longest line in bytes; a longer one is split and marked. Default 64 KiB.
    pub max_line: u64,
    /// The bytes kept in memory for each attempt. Default 1 MiB.
    pub recent: u64,
    /// Where standard error goes. Default separate.
    pub stderr: StderrMode,
    /// The bytes that the child may have written and that are not stored yet. Default 256 MiB.
    pub backlog: u64,
    /// What happens to output beyond the backlog. Default wait.
    pub on_backlog: Backlog,
    /// How long the store may take nothing before waiting output is dropped (`on_backlog = "wait"`), in milliseconds.
    /// Default 5,000.
    #[serde(default = "usual_stall")]
    pub stall_ms: u64,
    /// Regular expressions on one line whose matches are stored, shown and reported as `***`. A match is hidden as a
    /// whole wherever a line is split or not finished yet, up to 1 MiB of it; of a longer match the rest is looked at
    /// as a line of its own.
    pub redact: Vec<String>,
    /// Whether terminal escapes are removed before storing. Rules, `ready` and searches look at the text without them
    /// either way. Default false: kept.
    pub strip_ansi: bool,
    /// Values given to builder methods that could not be read; [`Program::check`] reports them.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

/// Longer than a busy store takes, shorter than most time-outs of callers that wait for a child.
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
    /// The program's name: `[a-z][a-z0-9_-]{0,62}`.
    pub name: String,
    /// A description for readers.
    pub description: String,
    /// What to run.
    pub command: Command,
    /// The arguments after the command, with places for parameters.
    pub args: Vec<Arg>,
    /// The folder to which relative paths are relative: that of the configuration file, else the process's own.
    pub base_dir: PathBuf,
    /// The working directory, with places for parameters. Default [`Program::base_dir`].
    pub cwd: PathBuf,
    /// The environment in addition to what is inherited; values may have places for parameters.
    pub env: BTreeMap<String, String>,
    /// A file of `KEY=value` lines, read at each start; `None`: no such file.
    pub env_file: Option<PathBuf>,
    /// Whether only `PATH`, `HOME`, `LANG` and `TZ` are inherited.
    pub env_clear: bool,
    /// When the supervisor starts another attempt by itself. Default after a failure.
    pub restart: Restart,
    /// Whether a run is started with the manager.
    pub autostart: bool,
    /// Exit codes that are success. Default 0.
    pub success_exit_codes: Vec<i32>,
    /// The fewest lines of standard output with which such an end of a job is a success; with fewer it is
    /// `empty_result`. Default 0.
    #[serde(default)]
    pub success_min_lines: u32,
    /// A regular expression on one line of either stream that finds items. Its capture 1 is how many there are by
    /// then, and the largest number counts; without a capture each line that matches is one item. Default `None`:
    /// items are not counted.
    #[serde(default)]
    pub success_items: Option<String>,
    /// The fewest items with which such an end of a job is a success; with fewer it is `empty_result`. Default 0.
    #[serde(default)]
    pub success_min_items: u32,
    /// The longest life of one attempt, in milliseconds. Default `None`: no limit.
    pub timeout_ms: Option<u64>,
    /// The longest silence of one attempt, in milliseconds. Default `None`: no limit.
    pub idle_timeout_ms: Option<u64>,
    /// The most runs at once; `None`: no limit for jobs, one for a daemon.
    pub max_concurrent: Option<u32>,
    /// How many runs may wait for a slot; one more is refused. Default 100.
    pub queue: u32,
    /// Order among runs that wait for the same thing: higher first, then longest wait. A run with a low priority
    /// waits for as long as there are others. A start may set its own. From -1,000 to 1,000; default 0.
    #[serde(default)]
    pub priority: i32,
    /// Labels for readers and filters.
    pub labels: BTreeMap<String, String>,
    /// The shared scopes that gate the program besides its own, with places for parameters.
    pub breakers: Vec<String>,
    /// The number of the signal that asks an attempt to end. Default SIGTERM.
    pub stop_signal: i32,
    /// The grace after the signal until SIGKILL to the whole tree, in milliseconds. Default 10,000.
    pub stop_timeout_ms: u64,
    /// What becomes of members of the process group that outlive the leader. Default stop.
    pub leftovers: Leftovers,
    /// What an end means that was not seen. Default retry.
    pub on_lost: OnLost,
    /// The parameters by name.
    pub params: BTreeMap<String, ParamSpec>,
    /// The rules of retries.
    pub retry: RetryPolicy,
    /// The rules of the program's own scope `program:NAME`; `None`: off.
    pub breaker: Option<Arc<BreakerPolicy>>,
    /// The line with which an attempt says that it is ready. Default `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// The classification rules, tried before the built-in ones.
    pub classify: Vec<ClassifyRule>,
    /// What classes do in this program.
    pub classes: BTreeMap<String, ClassOverride>,
    /// How output is kept.
    pub output: OutputPolicy,
    /// Values given to builder methods that could not be read; [`Program::check`] reports them.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

impl Program {
    /// Creates a program with this name and command; everything else has its default.
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

    /// Whether the program is a daemon, which should always be up.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.restart == Restart::Always
    }

    /// The restarts of one run in a row by Retry, after its first start: `retry.max_retries`, else
    /// [`RetryPolicy::JOB_RETRIES`] for a job. `None`: a daemon, which has no limit unless it sets one.
    #[must_use]
    pub fn max_retries(&self) -> Option<u32> {
        let unless_given = if self.is_daemon() { None } else { Some(RetryPolicy::JOB_RETRIES) };
        self.retry.max_retries.or(unless_given)
    }

    /// The attempts that one run has at most, unless a caller asks for more; `None`: no limit.
    #[must_use]
    pub fn max_attempts(&self) -> Option<u32> {
        let retries = if self.restart == Restart::No { Some(0) } else { self.max_retries() };
        retries.map(|retries| retries.saturating_add(1))
    }

    /// The number of runs that may live at once.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.max_concurrent.unwrap_or(if self.is_daemon() { 1 } else { u32::MAX })
    }

    /// What this class does in this program: the program's rule over the built-in one, key by key.
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

    /// The part of the class's rule that Retry needs at each end, and what the class adjusts; it copies nothing that
    /// has to be allocated.
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

    /// The priority of a class, see [`ClassRule::priority`]: that of every built-in class is 0.
    #[must_use]
    pub fn class_priority(&self, class: &str) -> i32 {
        self.classes.get(class).and_then(|own| own.priority).unwrap_or_default()
    }

    /// The same program without its command and environment: the rules, as the journal keeps them. An environment may
    /// hold what no other user should read.
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

    /// Whether a failure of this class finds at its floor a parameter that its rule would lower, where that opens
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

    /// Whether a failure of this class lowers a parameter, so that the next attempt asks for less: a parameter that
    /// its rule lowers was above its floor. What the attempt ran with counts, also where siblings lowered it a moment
    /// ago for the same incident.
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

    /// Checks a start's parameters and fills in defaults. Values of secrets are returned separately, so that what is
    /// stored and shown never holds them.
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
