//! What the Launcher is told, and what it tells.

use crate::model::{
    AttemptId, ExitStatus, Loss, Params, Program, RunId, SpawnFailure, Spool, SpoolSizes, Stream, Timestamp,
};
use actix::Message;
use std::{collections::BTreeMap, sync::Arc};

/// Start one attempt. The answer comes as [`Report::Launched`], [`Report::LaunchFailed`] or [`Report::Unheard`], exactly
/// one of them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Launch {
    /// Which attempt. Journalled before this is sent.
    pub attempt: AttemptId,
    /// The definition it is started by.
    pub program: Arc<Program>,
    /// Effective parameters; secrets as [`ParamValue::Secret`](crate::model::ParamValue::Secret), their values are [kept](KeepSecrets).
    pub params: Params,
}

/// Stop the whole tree of an attempt: signal, grace, SIGKILL. Ends with [`Report::Emptied`]; sent again it changes nothing
/// but may shorten the grace.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// Which attempt.
    pub attempt: AttemptId,
    /// First signal.
    pub signal: i32,
    /// Milliseconds until SIGKILL; 0: at once.
    pub timeout_ms: u64,
}

/// Send one signal to the attempt's group.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Signal {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Which signal.
    pub signal: i32,
}

/// The attempt's end and emptiness are journalled: the keeper may forget it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Acknowledge {
    /// Which attempt.
    pub attempt: AttemptId,
}

/// Keep the values of a run's secrets until [`ForgetSecrets`], in a file of mode 0600 that nobody but the child's
/// environment sees. Sent before the run is journalled.
#[derive(Clone, Message)]
#[rtype(result = "Result<(), String>")]
pub struct KeepSecrets {
    /// Whose.
    pub run: RunId,
    /// Values by parameter name.
    pub values: BTreeMap<String, String>,
}

/// A secret must not reach a log through `{:?}` either.
impl std::fmt::Debug for KeepSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepSecrets").field("run", &self.run).field("names", &self.values.keys()).finish()
    }
}

/// The run is over: remove its secrets.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetSecrets {
    /// Whose.
    pub run: RunId,
}

/// An attempt that was alive, as far as the journal knows, when the last supervisor ended.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Its process, when its spawning was journalled.
    pub pid: Option<i32>,
    /// Start time of that process in clock ticks since boot.
    pub start_ticks: u64,
    /// When its start was decided.
    pub started_at: Timestamp,
}

/// After a restart: wait for the old keeper to end, stop what is left of these trees, rescue what their pipes hold.
/// Sent before the first [`Launch`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Recovery")]
pub struct Recover {
    /// What the journal believes alive.
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

/// A spool that the last supervisor did not come to close.
#[derive(Clone, Debug)]
pub struct LeftSpool {
    /// Whose.
    pub attempt: AttemptId,
    /// Where it lies.
    pub spool: Spool,
    /// How much of it there is.
    pub sizes: SpoolSizes,
    /// The run's secrets, for redaction.
    pub secrets: Vec<String>,
}

/// What became of an [`Orphan`]. Nobody of its tree is left.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Which attempt.
    pub attempt: AttemptId,
    /// How it ended: the old keeper's word, else [`ExitStatus::Unknown`].
    pub exit: ExitStatus,
    /// When, if the old keeper saw it.
    pub ended_at: Option<Timestamp>,
    /// Whether the end was the old keeper's doing, because its supervisor was gone.
    pub stopped_by_keeper: bool,
    /// Where its output lies.
    pub spool: Spool,
    /// How much of it there is.
    pub sizes: SpoolSizes,
    /// What of standard output and standard error no spool took and nobody has told of: it is missing at their ends.
    pub losses: [Loss; 2],
    /// The run's secrets, for redaction.
    pub secrets: Vec<String>,
}

/// The supervisor is about to end: from now on a keeper that does not answer is killed, and its trees are stopped and their
/// pipes rescued as after any death of it. Without this, an end would wait for as long as the keeper is stopped.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Ending;

/// End the keeper once every tree is empty; answers when it is gone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

/// What the Launcher tells the Manager.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// The process is there.
    Launched {
        /// Which attempt.
        attempt: AttemptId,
        /// Its process id, which is also its group and session.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
        /// Where its output goes.
        spool: Spool,
        /// The run's secrets, for redaction.
        secrets: Vec<String>,
    },
    /// No process came to be.
    LaunchFailed {
        /// Which attempt.
        attempt: AttemptId,
        /// Which part was wrong.
        failure: SpawnFailure,
    },
    /// The keeper died before it said whether the process came to be. Nobody of its tree is left; whether there was one, and
    /// how it ended, is not known.
    Unheard {
        /// Which attempt.
        attempt: AttemptId,
        /// Where its output went, if there was any.
        spool: Spool,
        /// How much of it there is.
        sizes: SpoolSizes,
        /// The run's secrets, for redaction.
        secrets: Vec<String>,
    },
    /// The leader ended. Output up to here is in the spool; others of the tree may still write.
    Exited {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        exit: ExitStatus,
        /// Bytes written until then.
        sizes: SpoolSizes,
        /// Whether members of its group are still alive.
        leftovers: bool,
    },
    /// Output was lost: the disk took none of it for as long as it could be kept. Told when the disk takes some again, else
    /// before [`Report::Emptied`].
    OutputLost {
        /// Which attempt.
        attempt: AttemptId,
        /// Which of its streams.
        stream: Stream,
        /// The place in the spool where it is missing.
        at: u64,
        /// Bytes there that stand for it; 0: none do, and nothing follows.
        length: u64,
        /// How much.
        loss: Loss,
    },
    /// Output goes nowhere, and who writes it waits; or it goes on.
    OutputWaits {
        /// Which attempt.
        attempt: AttemptId,
        /// What it waits for; nothing: it goes on.
        why: Option<String>,
    },
    /// The leader is about to be told as ended, and no spool has all that it wrote. Comes right before [`Report::Exited`].
    Unspooled {
        /// Which attempt.
        attempt: AttemptId,
        /// Bytes that wait in its pipes, or are lost.
        bytes: u64,
    },
    /// Nobody of the tree is left. Comes after [`Report::Exited`]: at once when there were no leftovers, else when they
    /// are gone.
    Emptied {
        /// Which attempt.
        attempt: AttemptId,
        /// Final sizes.
        sizes: SpoolSizes,
    },
    /// The keeper died. Its trees have been stopped and their pipes rescued; [`Report::Exited`] and
    /// [`Report::Emptied`] follow for each, and a new keeper is in place.
    KeeperLost {
        /// Attempts that were alive.
        attempts: u32,
        /// A sentence.
        why: String,
    },
    /// The keeper was asked and does not answer: it is stopped, or hangs. Nothing can be started or stopped meanwhile, and
    /// children that write much wait.
    KeeperSilent {
        /// Since when.
        since: Timestamp,
    },
    /// It answers again.
    KeeperAnswers,
}
