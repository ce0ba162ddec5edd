//! Classes of errors, and what a class does.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, collections::BTreeMap, fmt};

/// The kind of an error, in lower snake case: `rate_limited`, `network`, `oom`, `exit_nonzero` …
///
/// Programs may name classes of their own.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Class(pub String);

impl Class {
    /// Too many requests: HTTP 429 and similar answers.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// A captcha, a ban, a wall of 403.
    pub const BLOCKED: &str = "blocked";
    /// The other side answered 5xx.
    pub const UPSTREAM: &str = "upstream";
    /// DNS, connect, TLS, timeout.
    pub const NETWORK: &str = "network";
    /// No output came for `idle_timeout`.
    pub const STALLED: &str = "stalled";
    /// The attempt lived longer than `timeout`.
    pub const TIMEOUT_RUN: &str = "timeout_run";
    /// The attempt was ended by a signal.
    pub const CRASH: &str = "crash";
    /// The attempt ran out of memory.
    pub const OOM: &str = "oom";
    /// A failure that no rule knows.
    pub const EXIT_NONZERO: &str = "exit_nonzero";
    /// A daemon that ended before it was healthy.
    pub const EARLY_EXIT: &str = "early_exit";
    /// A daemon that ended by itself with success after it was healthy.
    pub const CLEAN_EXIT: &str = "clean_exit";
    /// A job that ended with success and brought too little: fewer lines or items than `success` asks for, or a line
    /// that says so.
    pub const EMPTY_RESULT: &str = "empty_result";
    /// Wrong usage or configuration: trying again cannot help.
    pub const CONFIG: &str = "config";
    /// The program cannot be started as it is.
    pub const SPAWN_PERMANENT: &str = "spawn_permanent";
    /// The program could not be started just now.
    pub const SPAWN_TRANSIENT: &str = "spawn_transient";
    /// A caller asked for the stop.
    pub const OPERATOR_STOP: &str = "operator_stop";
    /// The supervisor was shut down.
    pub const SHUTDOWN: &str = "shutdown";
    /// The end was not seen, or the death of the supervisor brought it about.
    pub const LOST: &str = "lost";
    /// A breaker of the run's scopes opened, and its rules stop living runs (`on_open = "stop"`).
    pub const BREAKER_STOP: &str = "breaker_stop";

    /// Every class that is found without a rule of the program.
    pub const BUILTIN: [&str; 19] = [
        Self::RATE_LIMITED,
        Self::BLOCKED,
        Self::UPSTREAM,
        Self::NETWORK,
        Self::STALLED,
        Self::TIMEOUT_RUN,
        Self::CRASH,
        Self::OOM,
        Self::EXIT_NONZERO,
        Self::EARLY_EXIT,
        Self::CLEAN_EXIT,
        Self::EMPTY_RESULT,
        Self::CONFIG,
        Self::SPAWN_PERMANENT,
        Self::SPAWN_TRANSIENT,
        Self::OPERATOR_STOP,
        Self::SHUTDOWN,
        Self::LOST,
        Self::BREAKER_STOP,
    ];

    /// Whether a class says why the supervisor ended an attempt. Such an end is no failure of the program, and leaves
    /// the run's last reason as it is.
    #[must_use]
    pub fn is_ours(class: &str) -> bool {
        matches!(
            class,
            Self::OPERATOR_STOP | Self::SHUTDOWN | Self::LOST | Self::CLEAN_EXIT | Self::BREAKER_STOP
        )
    }

    /// The class of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name of the class.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Class {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Which of the breakers that gate a start are told of a failure of the class.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// The breaker of the program itself.
    Program,
    /// The breakers that the program names in `breakers`.
    Shared,
    /// The breaker of the requesting user.
    User,
    /// The breaker of everything.
    Global,
}

/// How a class changes a parameter for the next attempt; never outside the parameter's `min..max`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjust {
    /// Multiplies the value.
    Multiply {
        /// The factor in thousandths; 500 halves.
        permille: u32,
    },
    /// Adds to the value.
    Add {
        /// The amount in millionths of the parameter's unit; 1,000,000 is one, negative subtracts.
        micros: i64,
    },
    /// Sets the value.
    Set {
        /// The new value in millionths of the parameter's unit; 1,000,000 is one.
        micros: i64,
    },
    /// Moves along the list of a `choice`, whose first entry is the most cautious.
    Step {
        /// The number of places: negative towards the first choice, not 0; -1 is one place towards it.
        steps: i32,
    },
}

impl Adjust {
    /// Whether it makes more cautious a value that stands at this many millionths, see [`ParamSpec::position`].
    ///
    /// [`ParamSpec::position`]: super::ParamSpec::position
    #[must_use]
    pub fn lowers(self, at: i128) -> bool {
        match self {
            Self::Multiply { permille } => permille < 1_000,
            Self::Add { micros } => micros < 0,
            Self::Set { micros } => i128::from(micros) <= at,
            Self::Step { steps } => steps < 0,
        }
    }
}

/// What happens when errors of a class are seen while the attempt still runs. Each time that `count` of them have
/// come, counting begins anew.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Inline {
    /// The number of errors that triggers the action.
    pub count: u32,
    /// The span of time in which they must come, in milliseconds.
    pub per_ms: u64,
    /// What happens then.
    pub action: InlineAction,
}

/// The action of an [`Inline`] rule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InlineAction {
    /// Counts the errors only.
    None,
    /// Adjusts the parameters as the class says, now: siblings that share them get it at their next start.
    Adjust,
    /// Stops the attempt; it ended with this class then, and is judged like any end.
    Restart,
    /// Stops the attempt; the run has failed.
    Stop,
}

/// What a class does: whether to retry, how much it weighs in which scopes, the delay and the adjustment, in one
/// table so that they agree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClassRule {
    /// Whether another attempt may follow.
    pub retry: bool,
    /// Whether the failure counts towards `max_retries` and lengthens the delay.
    pub counts: bool,
    /// The weight of the failure in a breaker, in thousandths; 0 is neutral.
    pub weight_permille: u32,
    /// Which breakers are told of it; the others are told "neutral".
    pub scopes: Vec<ScopeKind>,
    /// Whether one such failure opens these breakers at once, whatever their counters say.
    pub trips: bool,
    /// The base delay in place of the program's, in milliseconds.
    pub delay_ms: Option<u64>,
    /// The longest delay in place of the program's, in milliseconds.
    pub max_delay_ms: Option<u64>,
    /// How many failures of this class in one row are tried again, besides the program's `max_retries`; `None`: no
    /// such limit.
    pub max_retries: Option<u32>,
    /// How much a retry takes from the retry budget, in thousandths of a token; 0 is free.
    pub cost_permille: u32,
    /// The changes of parameters for the next attempt, by name.
    pub adjust: BTreeMap<String, Adjust>,
    /// What repeated errors do while the attempt still runs.
    pub inline: Option<Inline>,
    /// Decides which class an end has that shows several: the one with the highest priority, of equal ones that of
    /// the first rule. From -1,000 to 1,000; default 0. The class of a single line is that of the first rule that
    /// matches it.
    pub priority: i32,
}

/// What Retry needs from a [`ClassRule`] at each end of an attempt: numbers alone, so that nothing else is copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RetryTerms {
    /// The class, where it is a built-in one; else `None`.
    pub(crate) builtin: Option<&'static str>,
    /// See [`ClassRule::retry`].
    pub(crate) retry: bool,
    /// See [`ClassRule::counts`].
    pub(crate) counts: bool,
    /// See [`ClassRule::delay_ms`].
    pub(crate) delay_ms: Option<u64>,
    /// See [`ClassRule::max_delay_ms`].
    pub(crate) max_delay_ms: Option<u64>,
    /// See [`ClassRule::max_retries`].
    pub(crate) max_retries: Option<u32>,
    /// See [`ClassRule::cost_permille`].
    pub(crate) cost_permille: u32,
}

/// A built-in class: the fields of its [`ClassRule`] that are not the same for every class.
struct Builtin {
    class: &'static str,
    retry: bool,
    counts: bool,
    weight_permille: u32,
    scopes: &'static [ScopeKind],
    delay_ms: Option<u64>,
    max_delay_ms: Option<u64>,
    cost_permille: u32,
}

impl Builtin {
    /// A failure of the program's own work: an unknown class is treated as this.
    const FAILURE: Self = Self {
        class: Class::EXIT_NONZERO,
        retry: true,
        counts: true,
        weight_permille: 1_000,
        scopes: &[ScopeKind::Program],
        delay_ms: None,
        max_delay_ms: None,
        cost_permille: 1_000,
    };

    /// A failure at the other end.
    const OUTSIDE: Self = Self { weight_permille: 500, scopes: &[ScopeKind::Shared], ..Self::FAILURE };

    /// No failure of the work: it does not count, and its retry costs nothing.
    const NEUTRAL: Self =
        Self { counts: false, weight_permille: 0, scopes: &[], cost_permille: 0, ..Self::FAILURE };

    /// A failure that another attempt cannot help.
    const HOPELESS: Self = Self { retry: false, cost_permille: 1_000, ..Self::NEUTRAL };

    const TABLE: [Self; Class::BUILTIN.len()] = [
        Self::FAILURE,
        Self { class: Class::CRASH, ..Self::FAILURE },
        Self { class: Class::EARLY_EXIT, ..Self::FAILURE },
        Self { class: Class::STALLED, ..Self::FAILURE },
        Self { class: Class::TIMEOUT_RUN, weight_permille: 500, ..Self::FAILURE },
        Self { class: Class::OOM, delay_ms: Some(10_000), ..Self::FAILURE },
        Self {
            class: Class::RATE_LIMITED,
            weight_permille: 1_000,
            delay_ms: Some(30_000),
            max_delay_ms: Some(3_600_000),
            ..Self::OUTSIDE
        },
        Self {
            class: Class::BLOCKED,
            weight_permille: 2_500,
            scopes: &[ScopeKind::Shared, ScopeKind::User],
            delay_ms: Some(300_000),
            max_delay_ms: Some(21_600_000),
            cost_permille: 2_000,
            ..Self::OUTSIDE
        },
        Self { class: Class::UPSTREAM, ..Self::OUTSIDE },
        Self { class: Class::NETWORK, ..Self::OUTSIDE },
        Self { class: Class::EMPTY_RESULT, ..Self::OUTSIDE },
        Self { class: Class::CONFIG, ..Self::HOPELESS },
        Self { class: Class::SPAWN_PERMANENT, ..Self::HOPELESS },
        Self {
            class: Class::SPAWN_TRANSIENT,
            scopes: &[ScopeKind::Global],
            delay_ms: Some(1_000),
            max_delay_ms: Some(30_000),
            ..Self::NEUTRAL
        },
        Self { class: Class::CLEAN_EXIT, ..Self::NEUTRAL },
        Self { class: Class::OPERATOR_STOP, ..Self::NEUTRAL },
        Self { class: Class::SHUTDOWN, ..Self::NEUTRAL },
        Self { class: Class::LOST, ..Self::NEUTRAL },
        // The breaker stopped it, not the work; the retry is one all the same.
        Self { class: Class::BREAKER_STOP, cost_permille: 1_000, ..Self::NEUTRAL },
    ];

    fn of(class: &str) -> Option<&'static Self> {
        static TABLE: [Builtin; Class::BUILTIN.len()] = Builtin::TABLE;
        TABLE.iter().find(|builtin| builtin.class == class)
    }
}

/// What Retry needs of [`builtin_class_rule`].
pub(crate) fn builtin_retry_terms(class: &str) -> RetryTerms {
    let known = Builtin::of(class);
    let Builtin { retry, counts, delay_ms, max_delay_ms, cost_permille, .. } =
        *known.unwrap_or(&Builtin::FAILURE);
    let builtin = known.map(|known| known.class);
    RetryTerms { builtin, retry, counts, delay_ms, max_delay_ms, max_retries: None, cost_permille }
}

/// The built-in rule of a class; an unknown class is treated as `exit_nonzero` is.
#[must_use]
pub fn builtin_class_rule(class: &str) -> ClassRule {
    let known = Builtin::of(class).unwrap_or(&Builtin::FAILURE);
    ClassRule {
        retry: known.retry,
        counts: known.counts,
        weight_permille: known.weight_permille,
        scopes: known.scopes.to_vec(),
        trips: false,
        delay_ms: known.delay_ms,
        max_delay_ms: known.max_delay_ms,
        max_retries: None,
        cost_permille: known.cost_permille,
        adjust: BTreeMap::new(),
        inline: None,
        priority: 0,
    }
}
