//! What can be done about a run or a program, as data: an application shows it as its own buttons, commands or calls.

use super::Facts;
use crate::model::{EndReason, Phase, Program, Run, RunId, Scope, class_help};
use std::fmt;

/// One thing that can be done.
///
/// `text` says why or when; [`Advice::act`] is what to ask the supervisor for. A command line shows both: `to let it
/// go on: supervise start 7Q2K9T`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// When or what for: the beginning of a sentence. A whole sentence where there is no act.
    pub text: String,
    /// What to ask the supervisor for; `None` for what is done elsewhere, such as a program to be mended.
    pub act: Option<Act>,
}

/// An act to ask the supervisor for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// Reads the output of a run.
    ReadOutput(RunId),
    /// Reads the output of all runs of a program.
    ReadOutputOf(String),
    /// Starts a run that is not running: see [`Restart`](crate::manager::Restart).
    Start(RunId),
    /// Starts a run that is not running, past the breakers.
    ForceStart(RunId),
    /// Starts another run like it: see [`RetryRun`](crate::manager::RetryRun).
    Retry(RunId),
    /// Stops a run.
    Stop(RunId),
    /// Stops all runs of a program.
    StopAll(String),
    /// Starts a new run of a program.
    StartNew {
        /// The name of the program.
        program: String,
        /// The names of its parameters that have no default.
        required: Vec<String>,
    },
    /// Closes a breaker and forgets its failures.
    ResetBreaker(Scope),
}

impl Act {
    /// The act as a word of the command line and of JSON: `logs`, `start`, `retry`, `stop`, `run` or `breaker_reset`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReadOutput(_) | Self::ReadOutputOf(_) => "logs",
            Self::Start(_) | Self::ForceStart(_) => "start",
            Self::Retry(_) => "retry",
            Self::Stop(_) | Self::StopAll(_) => "stop",
            Self::StartNew { .. } => "run",
            Self::ResetBreaker(_) => "breaker_reset",
        }
    }
}

/// For logs: `start 7Q2K9T`, `reset breaker site:shop.example`.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOutput(run) | Self::Start(run) | Self::Retry(run) | Self::Stop(run) => {
                write!(f, "{} {}", self.name(), run.short())
            }
            Self::ForceStart(run) => write!(f, "force start {}", run.short()),
            Self::ReadOutputOf(program) | Self::StopAll(program) => write!(f, "{} {program}", self.name()),
            Self::StartNew { program, required } => {
                write!(f, "run {program}")?;
                required.iter().try_for_each(|name| write!(f, " {name}=…"))
            }
            Self::ResetBreaker(scope) => write!(f, "reset breaker {scope}"),
        }
    }
}

fn to(text: impl Into<String>, act: Act) -> Advice {
    Advice { text: text.into(), act: Some(act) }
}

/// What can be done about a run.
pub(super) fn about_run(run: &Run) -> Vec<Advice> {
    let id = run.id;
    let reason = run.reason.as_ref();
    let own = reason.map(|reason| reason.help.as_str()).filter(|help| !help.is_empty());
    let remedy = own.or_else(|| class_help(&reason?.class)).map(str::to_owned);
    let mut advice = Vec::from_iter(remedy.map(|text| Advice { text, act: None }));
    match (run.phase, run.end_reason) {
        (Phase::Failed | Phase::Stopped, Some(EndReason::ProgramRemoved)) => {
            let back = format!("put [program.{}] back into the configuration and reload", run.program);
            // What was wrong with the run is not why it stands still.
            return vec![to(format!("if it should run, {back}, then start it"), Act::Start(id))];
        }
        (Phase::Quarantined, Some(EndReason::KeeperLost)) => {
            let text = "find out how it ends its parent process (kill $PPID?), then start it";
            return vec![to(text, Act::Start(id))];
        }
        (Phase::Quarantined, _) => {
            advice.push(to("find out why it ends so fast", Act::ReadOutput(id)));
            advice.push(to("then start it", Act::Start(id)));
        }
        (Phase::Failed, Some(EndReason::MaxRetries | EndReason::Deadline | EndReason::Exit)) => {
            advice.push(to("look at its output", Act::ReadOutput(id)));
            advice.push(to("then try again", Act::Retry(id)));
        }
        (Phase::Failed, _) => advice.push(to("when it is mended, try again", Act::Retry(id))),
        (Phase::Stopped, _) => return vec![to("to let it go on", Act::Start(id))],
        (Phase::Blocked, _) => {
            let scope = run.held.as_ref().and_then(|held| held.scope.clone());
            let Some(scope) = scope else { return Vec::new() }; // No breaker: the budget refills by itself.
            return vec![
                to("to let it through all the same", Act::ResetBreaker(scope)),
                to("to start it alone and leave the breaker as it is", Act::ForceStart(id)),
            ];
        }
        (Phase::Backoff, _) => {
            advice.push(to("to try it now", Act::Start(id)));
            advice.push(to("to give it up", Act::Stop(id)));
        }
        (Phase::Queued | Phase::Starting | Phase::Running | Phase::Stopping | Phase::Succeeded, _) => {
            return Vec::new();
        }
    }
    advice
}

/// What can be done about a program, besides what can be done about its run.
pub(super) fn about_program(program: &Program, living: &[Facts]) -> Vec<Advice> {
    let name = || program.name.clone();
    if living.is_empty() {
        let required = program.params.values().filter(|spec| spec.required && spec.default.is_none());
        let required = required.map(|spec| spec.name.clone()).collect();
        return vec![to("to start it", Act::StartNew { program: name(), required })];
    }
    vec![to("to stop all of it", Act::StopAll(name())), to("to see its output", Act::ReadOutputOf(name()))]
}
