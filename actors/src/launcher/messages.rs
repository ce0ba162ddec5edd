//! What the Launcher is told, and what it reports.

use crate::model::{
    AttemptId, ExitStatus, Loss, Params, Program, RunId, SpawnFailure, Spool, SpoolSizes, Stream, Timestamp,
};
use actix::Message;
use std::{collections::BTreeMap, sync::Arc};

/// Starts one attempt. The answer comes as exactly one of [`Report::Launched`], [`Report::LaunchFailed`] and
/// [`Report::Unheard`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Launch {
    /// The attempt to start. It is journalled before this is sent.
    pub attempt: AttemptId,
    /// The definition by which the attempt is started.
    pub program: Arc<Program>,
    /// The effective parameters. Secrets stand as [`ParamValue::Secret`](crate::model::ParamValue::Secret); their
    /// values are [kept](KeepSecrets).
    pub params: Params,
}

/// Stops the whole tree of an attempt: signal, grace, SIGKILL. Ends with [`Report::Emptied`]. Sent again it changes
/// nothing but may shorten the grace.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// The attempt to stop.
    pub attempt: AttemptId,
    /// The number of the first signal.
    pub signal: i32,
    /// The grace until SIGKILL, in milliseconds; 0: at once.
    pub timeout_ms: u64,
}

/// Sends one signal to the attempt's group.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Signal {
    /// The attempt to signal.
    pub attempt: AttemptId,
    /// The number of the signal.
    pub signal: i32,
}

/// The attempt's end and emptiness are journalled: the keeper may forget it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Acknowledge {
    /// The attempt that may be forgotten.
    pub attempt: AttemptId,
}

/// Keeps the values of a run's secrets until [`ForgetSecrets`], in a file of mode 0600; only the child's environment
/// gets them. Sent before the run is journalled.
#[derive(Clone, Message)]
#[rtype(result = "Result<(), String>")]
pub struct KeepSecrets {
    /// The run whose secrets these are.
    pub run: RunId,
    /// The values by parameter name.
    pub values: BTreeMap<String, String>,
}

/// A secret must not reach a log through `{:?}` either.
impl std::fmt::Debug for KeepSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepSecrets").field("run", &self.run).field("names", &self.values.keys()).finish()
    }
}

/// The run is over: removes its secrets.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetSecrets {
    /// The run whose secrets are removed.
    pub run: RunId,
}

/// An attempt that was alive, as far as the journal knows, when the last supervisor ended.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The attempt that was alive.
    pub attempt: AttemptId,
    /// Its process id; `None` when its spawning was not journalled.
    pub pid: Option<i32>,
    /// The start time of that process, in clock ticks since boot.
    pub start_ticks: u64,
    /// When the attempt's start was decided.
    pub started_at: Timestamp,
}

/// After a restart: waits for the old keeper to end, stops what is left of these trees, and rescues what their pipes
/// hold. Sent before the first [`Launch`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Recovery")]
pub struct Recover {
    /// The attempts that the journal believes alive.
    pub orphans: Vec<Orphan>,
}

/// The answer to [`Recover`].
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// What became of each orphan.
    pub ends: Vec<Recovered>,
    /// Spools of attempts that were no orphans: their ends are journalled, their output is perhaps not all stored.
    pub left: Vec<LeftSpool>,
    /// Runs whose secrets are kept.
    pub with_secrets: Vec<RunId>,
}

/// A spool that the last supervisor did not close.
#[derive(Clone, Debug)]
pub struct LeftSpool {
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// Where the spool lies.
    pub spool: Spool,
    /// The sizes of the spool.
    pub sizes: SpoolSizes,
    /// The run's secrets, for redaction.
    pub secrets: Vec<String>,
}

/// What became of an [`Orphan`]. No process of its tree is left.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The attempt that was alive.
    pub attempt: AttemptId,
    /// How the attempt ended, as the old keeper recorded it, else [`ExitStatus::Unknown`].
    pub exit: ExitStatus,
    /// When the attempt ended; `None` when the old keeper did not see it.
    pub ended_at: Option<Timestamp>,
    /// Whether the old keeper ended the attempt because its supervisor was gone.
    pub stopped_by_keeper: bool,
    /// Where the attempt's output lies.
    pub spool: Spool,
    /// The sizes of its spools.
    pub sizes: SpoolSizes,
    /// The parts of standard output and standard error that no spool took and that were not reported: they are
    /// missing at the ends of the streams.
    pub losses: [Loss; 2],
    /// The run's secrets, for redaction.
    pub secrets: Vec<String>,
}

/// The supervisor is about to end. From now on a keeper that does not answer is killed; its trees are stopped and
/// their pipes rescued as after any death of a keeper. Without this message, an end would wait for as long as the
/// keeper is stopped.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Ending;

/// Ends the keeper once every tree is empty; answers when it is gone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

/// What the Launcher reports to the Manager.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// The attempt's process exists.
    Launched {
        /// The attempt that was started.
        attempt: AttemptId,
        /// The process id, which is also the id of its group and session.
        pid: i32,
        /// The start time of the process, in clock ticks since boot.
        start_ticks: u64,
        /// Where the attempt's output goes.
        spool: Spool,
        /// The run's secrets, for redaction.
        secrets: Vec<String>,
    },
    /// No process was made.
    LaunchFailed {
        /// The attempt that was not started.
        attempt: AttemptId,
        /// Which part of the start was wrong.
        failure: SpawnFailure,
    },
    /// The keeper died before it reported whether the process was made. No process of its tree is left; whether there
    /// was one, and how it ended, is not known.
    Unheard {
        /// The attempt whose start was asked for.
        attempt: AttemptId,
        /// Where its output went, if there was any.
        spool: Spool,
        /// The sizes of its spools.
        sizes: SpoolSizes,
        /// The run's secrets, for redaction.
        secrets: Vec<String>,
    },
    /// The leader ended. Output up to these sizes is in the spool; other processes of the tree may still write.
    Exited {
        /// The attempt whose leader ended.
        attempt: AttemptId,
        /// How the leader ended.
        exit: ExitStatus,
        /// The bytes written until then.
        sizes: SpoolSizes,
        /// Whether members of its group are still alive.
        leftovers: bool,
    },
    /// Output was lost: the disk took none of it for as long as it could be kept. Reported when the disk takes some
    /// again, else before [`Report::Emptied`].
    OutputLost {
        /// The attempt whose output was lost.
        attempt: AttemptId,
        /// The stream of the attempt.
        stream: Stream,
        /// The place in the spool where the output is missing, in bytes.
        at: u64,
        /// The number of bytes there that stand for the loss; 0: none do, and nothing follows.
        length: u64,
        /// How much was lost.
        loss: Loss,
    },
    /// Output cannot be written, and a process that writes it waits; or it is written again.
    OutputWaits {
        /// The attempt whose output waits.
        attempt: AttemptId,
        /// What the output waits for; `None`: it is written again.
        why: Option<String>,
    },
    /// The leader is about to be reported as ended, and no spool has all that it wrote. Comes right before
    /// [`Report::Exited`].
    Unspooled {
        /// The attempt whose leader ended.
        attempt: AttemptId,
        /// The number of bytes that wait in its pipes, or are lost.
        bytes: u64,
    },
    /// No process of the tree is left. Comes after [`Report::Exited`]: at once when there were no leftovers, else
    /// when they are gone.
    Emptied {
        /// The attempt whose tree is empty.
        attempt: AttemptId,
        /// The final sizes of its spools.
        sizes: SpoolSizes,
    },
    /// The keeper died. Its trees have been stopped and their pipes rescued; [`Report::Exited`] and
    /// [`Report::Emptied`] follow for each, and a new keeper is in place.
    KeeperLost {
        /// The number of attempts that were alive.
        attempts: u32,
        /// The reason, as a sentence.
        why: String,
    },
    /// The keeper was asked and does not answer: it is stopped, or hangs. Meanwhile no attempt can be started or
    /// stopped, and children that write much wait.
    KeeperSilent {
        /// The time since which it has not answered.
        since: Timestamp,
    },
    /// The keeper answers again.
    KeeperAnswers,
}
