//! The nouns of a scenario: who asks for what and when, and what each attempt does.

use crate::model::{ExitStatus, Params, RunId, Scope, Timestamp};

/// What happens from outside while virtual time passes. Times are milliseconds since the scenario began.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// When it ends.
    pub until_ms: u64,
    /// Requests, in order of their time.
    pub starts: Vec<StartAt>,
    /// What attempts do.
    pub scripts: Vec<Script>,
    /// What people do.
    pub operators: Vec<OperatorAt>,
    /// When the supervisor dies and comes back.
    pub restarts: Vec<RestartAt>,
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct StartAt {
    /// When.
    pub at_ms: u64,
    /// The program's name.
    pub program: String,
    /// The run's name in this scenario.
    pub run: String,
    /// Who asks.
    pub requested_by: Option<String>,
    /// Parameters; the rest get their defaults.
    pub params: Params,
    /// Whether its first attempt passes the breakers.
    pub force: bool,
    /// Which of those that wait for the same thing goes first; nothing: as its program says.
    pub priority: Option<i32>,
    /// The run's identity, on which its jitter depends; nothing: made from time and order.
    pub id: Option<RunId>,
}

/// What the attempts of one run, or of every run of a program, do.
#[derive(Clone, Debug)]
pub struct Script {
    /// Whose.
    pub of: ScriptOf,
    /// What.
    pub plan: Plan,
}

/// Whose attempts a script is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScriptOf {
    /// Every run of this program that has no script of its own.
    Program(String),
    /// The run of this name.
    Run(String),
}

/// How the acts of attempts are laid out.
#[derive(Clone, Debug)]
pub enum Plan {
    /// By number: attempt 1, 2, 3 …; the last one repeats.
    Attempts(Vec<Play>),
    /// By the clock: the window that holds the attempt's start.
    Windows(Vec<PlayWindow>),
}

/// An act for attempts that start within a span of time.
#[derive(Clone, Debug)]
pub struct PlayWindow {
    /// From this time on …
    pub from_ms: u64,
    /// … and before this one; nothing: to the end.
    pub to_ms: Option<u64>,
    /// What they do.
    pub play: Play,
}

/// What one attempt does.
#[derive(Clone, Debug)]
pub enum Play {
    /// No process comes to be.
    SpawnError {
        /// The kernel's error, by its name, such as `ENOENT`.
        errno: String,
    },
    /// It lives for a while.
    Lives(Life),
}

/// The life of a scripted attempt.
#[derive(Clone, Debug)]
pub struct Life {
    /// How long; nothing: until it is stopped.
    pub lasts_ms: Option<u64>,
    /// How it ends.
    pub exit: ExitStatus,
    /// The class of its end, in place of what its output and its exit show.
    pub class: Option<String>,
    /// Its lines.
    pub output: Vec<String>,
    /// How long after its start they appear; nothing: at its end.
    pub output_at_ms: Option<u64>,
    /// How long after its start it says that it is ready, where its program has a `ready` rule; nothing: with the first of
    /// its lines that the rule matches.
    pub ready_at_ms: Option<u64>,
}

/// What somebody does, and when.
#[derive(Clone, Debug)]
pub struct OperatorAt {
    /// When.
    pub at_ms: u64,
    /// What.
    pub act: Act,
}

/// What people can do in a scenario.
#[derive(Clone, Debug)]
pub enum Act {
    /// Start what does not run.
    Start {
        /// Whom.
        target: Target,
        /// Past the breakers.
        force: bool,
    },
    /// Stop what lives.
    Stop(Target),
    /// Close a breaker, at level 0.
    ResetBreaker(Scope),
    /// Force a breaker open.
    OpenBreaker {
        /// Which.
        scope: Scope,
        /// For so long; nothing: until it is closed.
        ttl_ms: Option<u64>,
    },
    /// End a forced open.
    CloseBreaker(Scope),
}

/// Whom an act is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The run of this name.
    Run(String),
    /// Every run of this program that the act can be about.
    Program(String),
}

/// The supervisor dies and comes back.
#[derive(Clone, Copy, Debug)]
pub struct RestartAt {
    /// When it dies.
    pub at_ms: u64,
    /// For how long nobody watches.
    pub down_for_ms: u64,
    /// Whether the host stays up; if not, all children are lost and time is told by the wall clock.
    pub same_boot: bool,
    /// By how much the wall clock moves meanwhile, in milliseconds.
    pub wall_step_ms: i64,
}

impl Scenario {
    /// The script that a run of this name and program follows. A run's own wins over its program's.
    #[must_use]
    pub fn script_of(&self, run: &str, program: &str) -> Option<&Script> {
        let of = |wanted: &ScriptOf| self.scripts.iter().find(|script| script.of == *wanted);
        of(&ScriptOf::Run(run.to_owned())).or_else(|| of(&ScriptOf::Program(program.to_owned())))
    }
}

impl Plan {
    /// What attempt `number`, which starts at `now` (milliseconds since the scenario began), does; nothing when no
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
