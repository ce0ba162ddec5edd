//! Where a living run is on its way.

use crate::model::{EndReason, Phase, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a living run is. Finer than [`Phase`]: it says which answer is awaited.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// It has no process, and nothing of an attempt is left to be judged.
    Waits(Wait),
    /// The start is being written, or the Launcher is at it.
    Starting,
    /// The process lives.
    Running,
    /// The leader ended; the Monitor is asked what kind of end it was.
    Draining,
    /// The Breaker hears of it, then Retry is asked.
    Judging,
    /// Decided, but members of the tree are still being stopped.
    Emptying(Next),
}

/// What a run without a process waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// A place (phase `queued`).
    Queued,
    /// Retry's word whether the budget has tokens for the start.
    Reserving,
    /// The breakers' word.
    Asking,
    /// A breaker that refused, or tokens that there are not (phase `blocked`).
    Blocked,
    /// Retry's word on the parameters.
    Preparing,
    /// Its time (phase `backoff`).
    Backoff,
    /// The next manager: this one is being shut down, and the run goes on with the next one.
    Suspended,
}

impl Stage {
    /// Whether an end, or the start that follows it, is being decided: questions to Retry and the Breaker are under way.
    pub(super) const fn is_being_decided(&self) -> bool {
        match self {
            Self::Judging | Self::Waits(Wait::Reserving | Wait::Asking | Wait::Preparing) => true,
            Self::Waits(Wait::Queued | Wait::Blocked | Wait::Backoff | Wait::Suspended)
            | Self::Starting
            | Self::Running
            | Self::Draining
            | Self::Emptying(_) => false,
        }
    }

    /// Whether it has no process, and nothing of an attempt is left to be judged.
    pub(super) const fn waits(&self) -> bool {
        matches!(self, Self::Waits(_))
    }

    /// Whether something holds its start back: a place, a breaker, or tokens.
    pub(super) const fn is_held_back(&self) -> bool {
        matches!(self, Self::Waits(Wait::Queued | Wait::Blocked))
    }

    /// Whether its process is there, or is being made.
    pub(super) const fn has_process(&self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// What follows once the tree is empty.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Next {
    /// Another attempt at this time.
    Start(Timestamp),
    /// The run is over.
    Finish(Phase, EndReason, String),
}

/// Why a living tree is being stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StopCause {
    /// Somebody asked.
    Operator,
    /// Somebody asked for another attempt at once.
    Restart,
    /// `timeout`.
    Timeout,
    /// `idle_timeout`.
    Idle,
    /// Errors of a class with `inline.action = "restart"`.
    Errors,
    /// Errors of a class with `inline.action = "stop"`.
    TooManyErrors,
    /// The manager ends.
    Shutdown,
    /// It was found after the death of its manager.
    Lost,
    /// A breaker opened, and its rules say `on_open = "stop"`.
    Breaker,
}
