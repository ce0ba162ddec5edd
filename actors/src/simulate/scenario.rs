//! The parts of a scenario: which runs are asked for when, and what each attempt does.

use crate::model::{ExitStatus, Params, RunId, Scope, Timestamp};

/// What happens from outside while virtual time passes. Times are milliseconds since the scenario began.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// When the scenario ends, in milliseconds.
    pub until_ms: u64,
    /// The requests, in order of time.
    pub starts: Vec<StartAt>,
    /// What attempts do.
    pub scripts: Vec<Script>,
    /// What operators do.
    pub operators: Vec<OperatorAt>,
    /// When the supervisor dies and comes back.
    pub restarts: Vec<RestartAt>,
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct StartAt {
    /// When the run is asked for, in milliseconds.
    pub at_ms: u64,
    /// The program's name.
    pub program: String,
    /// The run's name in this scenario.
    pub run: String,
    /// The name of the caller, where there is one.
    pub requested_by: Option<String>,
    /// The parameters; parameters that are left out get their defaults.
    pub params: Params,
    /// Whether the run's first attempt passes the breakers.
    pub force: bool,
    /// Order among runs that wait for the same thing: higher first; `None`: the program's priority.
    pub priority: Option<i32>,
    /// The run's identity, on which its jitter depends; `None`: made from time and order.
    pub id: Option<RunId>,
}

/// What the attempts of one run, or of every run of a program, do.
#[derive(Clone, Debug)]
pub struct Script {
    /// The run or program whose attempts follow the script.
    pub of: ScriptOf,
    /// What these attempts do.
    pub plan: Plan,
}

/// The attempts for which a script is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScriptOf {
    /// All runs of this program that have no script of their own.
    Program(String),
    /// The run with this name.
    Run(String),
}

/// How a script assigns plays to attempts.
#[derive(Clone, Debug)]
pub enum Plan {
    /// By number: attempt 1, 2, 3 …; the last one repeats.
    Attempts(Vec<Play>),
    /// By the clock: the window that holds the attempt's start.
    Windows(Vec<PlayWindow>),
}

/// A play for attempts that start within a span of time.
#[derive(Clone, Debug)]
pub struct PlayWindow {
    /// The beginning of the span, in milliseconds.
    pub from_ms: u64,
    /// The end of the span, in milliseconds, which is not part of it; `None`: the span has no end.
    pub to_ms: Option<u64>,
    /// What the attempts do.
    pub play: Play,
}

/// What one attempt does.
#[derive(Clone, Debug)]
pub enum Play {
    /// No process is made.
    SpawnError {
        /// The kernel's error, by its name, such as `ENOENT`.
        errno: String,
    },
    /// The attempt lives for a while.
    Lives(Life),
}

/// The life of a scripted attempt.
#[derive(Clone, Debug)]
pub struct Life {
    /// How long the attempt lives, in milliseconds; `None`: until it is stopped.
    pub lasts_ms: Option<u64>,
    /// How the attempt ends.
    pub exit: ExitStatus,
    /// The class of its end, in place of what its output and its exit show.
    pub class: Option<String>,
    /// The lines that the attempt writes.
    pub output: Vec<String>,
    /// How long after the start the lines appear, in milliseconds; `None`: at the end.
    pub output_at_ms: Option<u64>,
    /// How long after the start the attempt says that it is ready, in milliseconds, where its program has a `ready`
    /// rule; `None`: with the first of its lines that the rule matches.
    pub ready_at_ms: Option<u64>,
}

/// What an operator does, and when.
#[derive(Clone, Debug)]
pub struct OperatorAt {
    /// When the operator acts, in milliseconds.
    pub at_ms: u64,
    /// What the operator does.
    pub act: Act,
}

/// What an operator can do in a scenario.
#[derive(Clone, Debug)]
pub enum Act {
    /// Starts what does not run.
    Start {
        /// The run or program to start.
        target: Target,
        /// Whether the start passes the breakers.
        force: bool,
    },
    /// Stops what is alive.
    Stop(Target),
    /// Closes a breaker and sets its level to 0.
    ResetBreaker(Scope),
    /// Forces a breaker open.
    OpenBreaker {
        /// The scope of the breaker.
        scope: Scope,
        /// How long the breaker stays open, in milliseconds; `None`: until it is closed.
        ttl_ms: Option<u64>,
    },
    /// Ends a forced open.
    CloseBreaker(Scope),
}

/// What an act applies to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The run with this name.
    Run(String),
    /// Every run of this program to which the act can apply.
    Program(String),
}

/// The supervisor dies and comes back.
#[derive(Clone, Copy, Debug)]
pub struct RestartAt {
    /// When the supervisor dies, in milliseconds.
    pub at_ms: u64,
    /// How long no supervisor runs, in milliseconds.
    pub down_for_ms: u64,
    /// Whether the host stays up. If not, all children are lost and time is told by the wall clock.
    pub same_boot: bool,
    /// By how much the wall clock moves meanwhile, in milliseconds.
    pub wall_step_ms: i64,
}

impl Scenario {
    /// The script that a run with this name and program follows. A run's own script comes before its program's.
    #[must_use]
    pub fn script_of(&self, run: &str, program: &str) -> Option<&Script> {
        let of = |wanted: &ScriptOf| self.scripts.iter().find(|script| script.of == *wanted);
        of(&ScriptOf::Run(run.to_owned())).or_else(|| of(&ScriptOf::Program(program.to_owned())))
    }
}

impl Plan {
    /// What attempt `number`, which starts at `now` (milliseconds since the scenario began), does; `None` when no
    /// window holds that time.
    #[must_use]
    pub fn play(&self, number: u32, now: Timestamp) -> Option<&Play> {
        match self {
            Self::Attempts(plays) => {
                let at = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
                plays.get(at).or_else(|| plays.last())
            }
            Self::Windows(windows) => windows
                .iter()
                .find(|window| window.from_ms <= now.0 && window.to_ms.is_none_or(|to| now.0 < to))
                .map(|window| &window.play),
        }
    }
}
