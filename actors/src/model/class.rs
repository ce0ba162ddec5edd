//! Classes of errors, and what a class does.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, collections::BTreeMap, fmt};

/// What kind of error it was, in lower snake case: `rate_limited`, `network`, `oom`, `exit_nonzero` …
///
/// Programs may name classes of their own.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Class(pub String);

impl Class {
    /// Too many requests: HTTP 429 and its like.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// A captcha, a ban, a wall of 403.
    pub const BLOCKED: &str = "blocked";
    /// The other side answered 5xx.
    pub const UPSTREAM: &str = "upstream";
    /// DNS, connect, TLS, timeout.
    pub const NETWORK: &str = "network";
    /// No output for `idle_timeout`.
    pub const STALLED: &str = "stalled";
    /// Longer than `timeout`.
    pub const TIMEOUT_RUN: &str = "timeout_run";
    /// Ended by a signal.
    pub const CRASH: &str = "crash";
    /// Out of memory.
    pub const OOM: &str = "oom";
    /// A failure that no rule knows.
    pub const EXIT_NONZERO: &str = "exit_nonzero";
    /// A daemon that ended before it was healthy.
    pub const EARLY_EXIT: &str = "early_exit";
    /// A daemon that ended by itself with success after it was healthy.
    pub const CLEAN_EXIT: &str = "clean_exit";
    /// A job that ended well and brought nothing: fewer lines or items than `success` asks for, or a line that says so.
    pub const EMPTY_RESULT: &str = "empty_result";
    /// Wrong usage or configuration: trying again cannot help.
    pub const CONFIG: &str = "config";
    /// It cannot be started as it is.
    pub const SPAWN_PERMANENT: &str = "spawn_permanent";
    /// It could not be started just now.
    pub const SPAWN_TRANSIENT: &str = "spawn_transient";
    /// Somebody asked for the stop.
    pub const OPERATOR_STOP: &str = "operator_stop";
    /// The supervisor was shut down.
    pub const SHUTDOWN: &str = "shutdown";
    /// The end was not seen, or was our own death's doing.
    pub const LOST: &str = "lost";
    /// A breaker of its scopes opened, and its rules stop living runs (`on_open = "stop"`).
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

    /// The class of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
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

/// Which of the breakers that gate a start hear of a failure of the class.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// The program's own.
    Program,
    /// Those that the program names in `breakers`.
    Shared,
    /// The requesting user's.
    User,
    /// Everything's.
    Global,
}

/// How a class changes a parameter for the next attempt; never outside the parameter's `min..max`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjust {
    /// Times this many thousandths.
    Multiply {
        /// 500 halves.
        permille: u32,
    },
    /// Plus this many millionths of the parameter's unit (negative: minus).
    Add {
        /// 1,000,000 is one.
        micros: i64,
    },
    /// To this value, in millionths of the parameter's unit.
    Set {
        /// 1,000,000 is one.
        micros: i64,
    },
    /// So many places along the list of a `choice`, whose first entry is the most cautious: -1 is one place towards it.
    Step {
        /// Negative towards the first choice, not 0.
        steps: i32,
    },
}

impl Adjust {
    /// Whether it makes a value more cautious that stands at so many millionths, see [`ParamSpec::position`].
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

/// What happens when errors of a class are seen while the attempt still runs. Each time that so many have come, they are
/// counted anew.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Inline {
    /// So many …
    pub count: u32,
    /// … within so many milliseconds …
    pub per_ms: u64,
    /// … do this.
    pub action: InlineAction,
}

/// See [`Inline`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InlineAction {
    /// Nothing but counting.
    None,
    /// Adjust the parameters as the class says, now: siblings that share them get it at their next start.
    Adjust,
    /// Stop the attempt; it ended by this class then, and is judged like any end.
    Restart,
    /// Stop the attempt; the run has failed.
    Stop,
}

/// What a class does: whether to retry, how much it weighs in which scopes, the delay and the adjustment, in one table so
/// that they agree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClassRule {
    /// Whether another attempt may follow.
    pub retry: bool,
    /// Whether the failure counts towards `max_retries` and lengthens the delay.
    pub counts: bool,
    /// What the failure weighs in a breaker, in thousandths; 0 is neutral.
    pub weight_permille: u32,
    /// Which breakers hear of it; the others hear "neutral".
    pub scopes: Vec<ScopeKind>,
    /// Whether one such failure opens these breakers at once, whatever their counters say.
    pub trips: bool,
    /// Base delay in place of the program's.
    pub delay_ms: Option<u64>,
    /// Longest delay in place of the program's.
    pub max_delay_ms: Option<u64>,
    /// Failures of this class in one row that are tried again, beside the program's `max_retries`; `None`: no such limit.
    pub max_retries: Option<u32>,
    /// What a retry takes from the retry budget, in thousandths of a token; 0 is free.
    pub cost_permille: u32,
    /// Parameters to change for the next attempt.
    pub adjust: BTreeMap<String, Adjust>,
    /// What repeated errors do while the attempt still runs.
    pub inline: Option<Inline>,
    /// Which class an end has that shows several: the one of the highest priority, of equal ones that of the first rule.
    /// From -1,000 to 1,000, 0 where nothing is said. The class of a single line is that of the first rule that matches it.
    pub priority: i32,
}

/// The built-in rule of a class; a class nobody knows is treated as `exit_nonzero` is.
#[must_use]
pub fn builtin_class_rule(class: &str) -> ClassRule {
    use ScopeKind::{Global, Program, Shared, User};
    let rule = |retry, counts, weight_permille, scopes: &[ScopeKind], delay_ms, max_delay_ms| ClassRule {
        retry,
        counts,
        weight_permille,
        scopes: scopes.to_vec(),
        trips: false,
        delay_ms,
        max_delay_ms,
        max_retries: None,
        cost_permille: match class {
            Class::BLOCKED => 2_000,
            // Retries that are no answer to a failure of the work.
            Class::SPAWN_TRANSIENT
            | Class::CLEAN_EXIT
            | Class::OPERATOR_STOP
            | Class::SHUTDOWN
            | Class::LOST => 0,
            _ => 1_000,
        },
        adjust: BTreeMap::new(),
        inline: None,
        priority: 0,
    };
    match class {
        Class::RATE_LIMITED => rule(true, true, 1000, &[Shared], Some(30_000), Some(3_600_000)),
        Class::BLOCKED => rule(true, true, 2500, &[Shared, User], Some(300_000), Some(21_600_000)),
        Class::UPSTREAM | Class::NETWORK | Class::EMPTY_RESULT => {
            rule(true, true, 500, &[Shared], None, None)
        }
        Class::STALLED => rule(true, true, 1000, &[Program], None, None),
        Class::TIMEOUT_RUN => rule(true, true, 500, &[Program], None, None),
        Class::OOM => rule(true, true, 1000, &[Program], Some(10_000), None),
        Class::CONFIG | Class::SPAWN_PERMANENT => rule(false, false, 0, &[], None, None),
        Class::SPAWN_TRANSIENT => rule(true, false, 0, &[Global], Some(1_000), Some(30_000)),
        Class::CLEAN_EXIT | Class::OPERATOR_STOP | Class::SHUTDOWN | Class::LOST | Class::BREAKER_STOP => {
            rule(true, false, 0, &[], None, None)
        }
        _ => rule(true, true, 1000, &[Program], None, None),
    }
}
