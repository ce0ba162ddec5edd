//! What came to the machines from outside, as the journal keeps it: enough to decide everything again.
//!
//! The machines of Manager, Retry and Breaker are functions of what they were told and when. The clerk tells them one
//! thing at a time, to its end, and writes each down here with its `now`; the simulator reads it back. What follows from
//! inside (the answers of Retry and Breaker, timers) is not written: it comes out again by itself.
//!
//! What nobody decides upon is left out: command lines and environments, spools, secrets, labels, page after page of
//! errors of a kind that only is counted.

use super::{SetRetryBudget, machine::Input};
use crate::{
    breaker::OperatorAct,
    launcher,
    model::{
        AttemptId, BreakerPolicy, ClockReading, Event, Evidence, ExitStatus, Loss, Params, Place, Program,
        RetryBudget, RunId, Scope, SpawnFailure, Spool, SpoolSizes, Stream, Timestamp, Written,
    },
    monitor::{self, Drained},
};
use actix::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Commits after this place, oldest first, with what led to them. They begin with the oldest that is kept.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Recording, String>")]
pub struct GetRecording {
    /// The place of the last commit that is known; `(0, 0)`: from the oldest.
    pub after: Place,
    /// How many bytes they take at most, one commit at least.
    pub max_bytes: usize,
}

/// The answer to [`GetRecording`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recording {
    /// The store's seed, by which all chance is drawn.
    pub seed: u64,
    /// Commits.
    pub commits: Vec<Written>,
}

/// One thing that happened, and the `now` with which it was decided upon.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Recorded {
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happens from outside of the three machines.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "input", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// A supervisor opened the store; what the one before had in memory is gone.
    Opened {
        /// The first free place in the journal.
        next_seq: u64,
    },
    /// The tokens that retries share.
    Budget {
        /// The rules; nothing: no budget.
        budget: Option<RetryBudget>,
    },
    /// Programs and scopes have these rules from now on.
    Configured {
        /// Those that are new or differ, by their rules alone.
        programs: Vec<Program>,
        /// Those that are gone.
        removed: Vec<String>,
        /// Rules of shared scopes.
        shared_breakers: Vec<(String, Arc<BreakerPolicy>)>,
        /// What retries of all programs share from now on; `None`: as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_budget: Option<SetRetryBudget>,
    },
    /// A piece of saved state that the supervisor found. Runs that were over are left out.
    Saved {
        /// It.
        saved: Saved,
    },
    /// What was [`Happening::Saved`] is taken up.
    Restored {
        /// The wall clock, in milliseconds since the epoch.
        wall_ms: u64,
        /// The kernel's name for the boot, in hexadecimal digits: a number of 128 bits is none in JSON.
        boot_id: String,
        /// Milliseconds since that boot.
        boottime_ms: u64,
    },
    /// No old process is left, or those that are were adopted: every saved run goes on.
    Resumed {
        /// Ends that the old keeper saw, and attempts that were lost.
        recovered: Vec<Recovered>,
        /// How long no supervisor ran.
        down_ms: u64,
        /// Whether the last one closed the store.
        clean: bool,
    },
    /// A run was asked for, and its parameters fit.
    Started {
        /// The run.
        run: RunId,
        /// Its program.
        program: String,
        /// With defaults; secrets as `***`.
        params: Params,
        /// Who asked.
        requested_by: Option<String>,
        /// Whether it is forced past the breakers.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// Its own priority; nothing: its program's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
    },
    /// A stop was asked for.
    Stop {
        /// The run.
        run: RunId,
        /// Who asked.
        by: Option<String>,
    },
    /// Another attempt was asked for.
    Restart {
        /// The run.
        run: RunId,
        /// Who asked.
        by: Option<String>,
        /// Whether a running attempt is stopped.
        stop_running: bool,
        /// Whether the next attempt is forced past the breakers.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// The run as it was saved, when it was over.
        ended: Option<Saved>,
    },
    /// An operator's word to a breaker.
    Operate {
        /// The scope.
        scope: Scope,
        /// What to do.
        act: OperatorAct,
        /// Who.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// The store had something to say, which is written down.
    StoreSaid {
        /// It.
        event: Event,
    },
    /// The wall clock was set, or the machine slept.
    ClockSet {
        /// By so much; negative: back.
        by_ms: i64,
    },
    /// The supervisor was told to end.
    Shutdown,
    /// A process came to be.
    Launched {
        /// The attempt.
        attempt: AttemptId,
        /// Its process id.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
    },
    /// None came to be.
    LaunchFailed {
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        failure: SpawnFailure,
    },
    /// The keeper died before it said whether a process came to be.
    Unheard {
        /// The attempt.
        attempt: AttemptId,
        /// What was written.
        sizes: SpoolSizes,
    },
    /// A leader ended.
    Exited {
        /// The attempt.
        attempt: AttemptId,
        /// How.
        exit: ExitStatus,
        /// What it had written.
        sizes: SpoolSizes,
        /// Whether members of its group are still alive.
        leftovers: bool,
    },
    /// Nobody of a tree is left.
    Emptied {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The keeper died.
    KeeperLost {
        /// Attempts that were alive.
        attempts: u32,
        /// A sentence.
        why: String,
    },
    /// Output was lost.
    OutputLost {
        /// The attempt.
        attempt: AttemptId,
        /// Which of its streams.
        stream: Stream,
        /// How much.
        loss: Loss,
    },
    /// Output goes nowhere, or goes on.
    OutputWaits {
        /// The attempt.
        attempt: AttemptId,
        /// What it waits for.
        why: Option<String>,
    },
    /// Not all that an attempt wrote is in a spool.
    Unspooled {
        /// The attempt.
        attempt: AttemptId,
        /// The rest.
        bytes: u64,
    },
    /// The keeper does not answer.
    KeeperSilent {
        /// Since when.
        since: Timestamp,
    },
    /// It answers again.
    KeeperAnswers,
    /// What the output up to an end shows.
    Drained {
        /// The attempt.
        attempt: AttemptId,
        /// It.
        drained: Drained,
    },
    /// When a quiet attempt wrote last.
    WroteLast {
        /// The attempt.
        attempt: AttemptId,
        /// When; nothing when it is not watched.
        wrote_at: Option<Timestamp>,
    },
    /// Errors of a living attempt that some rule looks at.
    ErrorSeen {
        /// The attempt.
        attempt: AttemptId,
        /// The first such line.
        evidence: Evidence,
        /// How many lines.
        count: u64,
    },
    /// A line said that an attempt is ready.
    Ready {
        /// The attempt.
        attempt: AttemptId,
        /// When it was written.
        ready_at: Timestamp,
    },
    /// An attempt whose breakers go by that has written something.
    FirstOutput {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Retry was asked who is due.
    RetryRang,
    /// The Breaker's alarm rang, or somebody only looked.
    BreakerRang,
    /// The Manager's own deadline passed.
    Tick,
}

/// A key of the state with its value.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Saved {
    /// The key.
    pub key: String,
    /// The value, a character for each byte: most of them are JSON, which so stays readable.
    value: String,
}

impl Saved {
    /// As it is recorded.
    #[must_use]
    pub fn of(key: &str, value: &[u8]) -> Self {
        Self { key: key.to_owned(), value: value.iter().copied().map(char::from).collect() }
    }

    /// The value as it was.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        self.value.chars().filter_map(|byte| u8::try_from(byte).ok()).collect()
    }
}

/// What became of an attempt while no supervisor ran.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Recovered {
    /// The attempt.
    pub attempt: AttemptId,
    /// How it ended.
    pub exit: ExitStatus,
    /// Whether the keeper stopped it because its supervisor was gone.
    pub stopped_by_keeper: bool,
    /// What it had written.
    pub sizes: SpoolSizes,
    /// When, where the keeper saw it.
    #[serde(rename = "ended_at_ms", default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What of it no spool took.
    #[serde(default)]
    pub losses: [Loss; 2],
}

impl Recovered {
    /// As it is recorded.
    #[must_use]
    pub fn of(one: &launcher::Recovered) -> Self {
        let launcher::Recovered { attempt, exit, stopped_by_keeper, sizes, ended_at, losses, .. } = *one;
        Self { attempt, exit, stopped_by_keeper, sizes, ended_at, losses }
    }

    /// As the Launcher says it.
    #[must_use]
    pub fn into_report(self) -> launcher::Recovered {
        let Self { attempt, exit, stopped_by_keeper, sizes, ended_at, losses } = self;
        let (spool, secrets) = (nowhere(), Vec::new());
        launcher::Recovered { attempt, exit, ended_at, stopped_by_keeper, spool, sizes, losses, secrets }
    }
}

/// No decision looks at where output lies.
fn nowhere() -> Spool {
    Spool { token: 0, stdout: "".into(), stderr: "".into() }
}

impl Happening {
    /// Saved state is taken up, at this reading of the clocks that outlive a process.
    #[must_use]
    pub fn restored(clock: ClockReading) -> Self {
        let ClockReading { wall_ms, boot_id, boottime_ms } = clock;
        Self::Restored { wall_ms, boot_id: format!("{boot_id:x}"), boottime_ms }
    }

    /// What the Launcher, the Monitor and the Manager's clock say; nothing for what comes from inside.
    #[must_use]
    pub fn of(input: &Input) -> Option<Self> {
        Some(match input {
            Input::Launcher(report) => Self::of_launcher(report),
            Input::Monitor(report) => Self::of_monitor(report),
            Input::Drained { attempt, drained } => {
                Self::Drained { attempt: *attempt, drained: drained.clone() }
            }
            Input::WroteLast { attempt, at } => Self::WroteLast { attempt: *attempt, wrote_at: *at },
            Input::StoreSaid(event) => Self::StoreSaid { event: event.clone() },
            Input::Tick => Self::Tick,
            Input::Retry(_) | Input::Breaker(_) | Input::Due(_) | Input::BreakerDue(_) => return None,
        })
    }

    fn of_monitor(report: &monitor::Report) -> Self {
        match report {
            monitor::Report::ErrorSeen { attempt, evidence, count } => {
                Self::ErrorSeen { attempt: *attempt, evidence: evidence.clone(), count: *count }
            }
            monitor::Report::Ready { attempt, at } => Self::Ready { attempt: *attempt, ready_at: *at },
            monitor::Report::FirstOutput { attempt } => Self::FirstOutput { attempt: *attempt },
        }
    }

    fn of_launcher(report: &launcher::Report) -> Self {
        match report {
            launcher::Report::Launched { attempt, pid, start_ticks, .. } => {
                Self::Launched { attempt: *attempt, pid: *pid, start_ticks: *start_ticks }
            }
            launcher::Report::LaunchFailed { attempt, failure } => {
                Self::LaunchFailed { attempt: *attempt, failure: failure.clone() }
            }
            launcher::Report::Unheard { attempt, sizes, .. } => {
                Self::Unheard { attempt: *attempt, sizes: *sizes }
            }
            launcher::Report::Exited { attempt, exit, sizes, leftovers } => {
                Self::Exited { attempt: *attempt, exit: *exit, sizes: *sizes, leftovers: *leftovers }
            }
            launcher::Report::Emptied { attempt, .. } => Self::Emptied { attempt: *attempt },
            launcher::Report::KeeperLost { attempts, why } => {
                Self::KeeperLost { attempts: *attempts, why: why.clone() }
            }
            launcher::Report::OutputLost { attempt, stream, loss, .. } => {
                Self::OutputLost { attempt: *attempt, stream: *stream, loss: *loss }
            }
            launcher::Report::OutputWaits { attempt, why } => {
                Self::OutputWaits { attempt: *attempt, why: why.clone() }
            }
            launcher::Report::Unspooled { attempt, bytes } => {
                Self::Unspooled { attempt: *attempt, bytes: *bytes }
            }
            launcher::Report::KeeperSilent { since } => Self::KeeperSilent { since: *since },
            launcher::Report::KeeperAnswers => Self::KeeperAnswers,
        }
    }

    /// The same as an input of the Manager's machine; nothing for what goes another way into the machines.
    #[must_use]
    pub fn into_input(self) -> Option<Input> {
        let launcher = |report| Some(Input::Launcher(report));
        let monitor = |report| Some(Input::Monitor(report));
        match self {
            Self::Launched { attempt, pid, start_ticks } => {
                let (spool, secrets) = (nowhere(), Vec::new());
                launcher(launcher::Report::Launched { attempt, pid, start_ticks, spool, secrets })
            }
            Self::LaunchFailed { attempt, failure } => {
                launcher(launcher::Report::LaunchFailed { attempt, failure })
            }
            Self::Unheard { attempt, sizes } => {
                let (spool, secrets) = (nowhere(), Vec::new());
                launcher(launcher::Report::Unheard { attempt, spool, sizes, secrets })
            }
            Self::Exited { attempt, exit, sizes, leftovers } => {
                launcher(launcher::Report::Exited { attempt, exit, sizes, leftovers })
            }
            Self::Emptied { attempt } => {
                launcher(launcher::Report::Emptied { attempt, sizes: SpoolSizes::default() })
            }
            Self::KeeperLost { attempts, why } => launcher(launcher::Report::KeeperLost { attempts, why }),
            Self::OutputLost { attempt, stream, loss } => {
                // No decision looks at where in the output it is.
                launcher(launcher::Report::OutputLost { attempt, stream, at: 0, length: 0, loss })
            }
            Self::OutputWaits { attempt, why } => launcher(launcher::Report::OutputWaits { attempt, why }),
            Self::Unspooled { attempt, bytes } => launcher(launcher::Report::Unspooled { attempt, bytes }),
            Self::KeeperSilent { since } => launcher(launcher::Report::KeeperSilent { since }),
            Self::KeeperAnswers => launcher(launcher::Report::KeeperAnswers),
            Self::Drained { attempt, drained } => Some(Input::Drained { attempt, drained }),
            Self::WroteLast { attempt, wrote_at } => Some(Input::WroteLast { attempt, at: wrote_at }),
            Self::ErrorSeen { attempt, evidence, count } => {
                monitor(monitor::Report::ErrorSeen { attempt, evidence, count })
            }
            Self::Ready { attempt, ready_at } => monitor(monitor::Report::Ready { attempt, at: ready_at }),
            Self::FirstOutput { attempt } => monitor(monitor::Report::FirstOutput { attempt }),
            Self::StoreSaid { event } => Some(Input::StoreSaid(event)),
            Self::Tick => Some(Input::Tick),
            Self::Opened { .. }
            | Self::Budget { .. }
            | Self::Configured { .. }
            | Self::Saved { .. }
            | Self::Restored { .. }
            | Self::Resumed { .. }
            | Self::Started { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Operate { .. }
            | Self::ClockSet { .. }
            | Self::Shutdown
            | Self::RetryRang
            | Self::BreakerRang => None,
        }
    }
}
