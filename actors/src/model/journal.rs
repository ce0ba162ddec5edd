//! The journal: every decision with its cause. The same records in the API, the CLI, the page and the simulator.

use super::{
    BreakerState, EndReason, HeldReason, Leftovers, ParamReasons, ParamValue, Params, Phase, RunId, Scope,
    Stream, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One decision or one fact that led to one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JournalRecord {
    /// Its place in the journal, ascending; the cursor in the API.
    pub seq: u64,
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The run, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<RunId>,
    /// The program, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub program: Option<String>,
    /// The attempt, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<u32>,
    /// The scope, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<Scope>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What a journal record says. Field names are those of the simulator's output and of `GET /events`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Somebody asked for a run.
    RunQueued {
        /// With defaults; secrets as `***`.
        params: Params,
        /// Who asked.
        requested_by: Option<String>,
        /// Whether it is forced past the breakers.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        forced: bool,
        /// Which of those that wait for the same thing goes first.
        #[serde(skip_serializing_if = "super::run::is_zero", default)]
        priority: i32,
    },
    /// A start was decided. Written before the process is made.
    AttemptStarted {
        /// Effective parameters.
        params: Params,
        /// Whether it probes a half-open breaker.
        probe: bool,
        /// Whether it was forced past the breakers: none was asked, and none hears of its end.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        forced: bool,
        /// Why those that differ are not as asked for.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        param_reasons: ParamReasons,
    },
    /// The process is there. Its identity is pid, start time and boot id together.
    AttemptSpawned {
        /// Its process id.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
    },
    /// The attempt said, by its program's `ready` rule, that it is ready.
    AttemptReady {
        /// How long after its start.
        after_ms: u64,
        /// The `slow_ready` of a breaker that it was later than; the shortest, where several are.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        slow_ready_ms: Option<u64>,
    },
    /// An attempt is over, or never came to be: one of `exit`, `signal`, `spawn_error` says how, none when nobody saw it.
    AttemptEnded {
        /// Its exit code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        exit: Option<i32>,
        /// The signal that ended it, by name.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signal: Option<String>,
        /// Why it was never started: the kernel's error by name, else which part was wrong.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        spawn_error: Option<String>,
        /// Class; null on success.
        class: Option<String>,
        /// The rule that found the class.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<String>,
        /// The output line that decided, or what was wrong with the start.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        line: Option<String>,
        /// Why it is this class and not another one that was seen too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        preferred: Option<String>,
        /// How long the other side asks to wait, where the line says so.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        retry_after_ms: Option<u64>,
        /// How long it lived.
        lasted_ms: u64,
        /// When it ended, where that was before this record: while no supervisor ran.
        #[serde(rename = "ended_at_ms", skip_serializing_if = "Option::is_none", default)]
        ended_at: Option<Timestamp>,
        /// False when not all of its output until then was there to be read: it could not be read in time, lines of it were
        /// lost, or no disk took it.
        output_complete: bool,
        /// Lines that were lost until then.
        #[serde(skip_serializing_if = "super::run::is_none", default)]
        lines_lost: u64,
        /// Bytes until then that the disk did not take: lost, or waiting for room.
        #[serde(skip_serializing_if = "super::run::is_none", default)]
        unspooled: u64,
    },
    /// Output was lost: the disk took none of it. In the output a line stands in its place.
    OutputLost {
        /// Of which stream.
        stream: Stream,
        /// How many lines.
        lines: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// Output goes nowhere, and who writes much waits. Told once, however long that is.
    OutputWaits {
        /// What it waits for.
        why: String,
    },
    /// Another attempt is due.
    RetryScheduled {
        /// Failures counted in a row.
        n: u32,
        /// The law's delay.
        raw_ms: u64,
        /// The delay after jitter and hints.
        delay_ms: u64,
        /// When.
        #[serde(rename = "due_at_ms")]
        due_at: Timestamp,
        /// A sentence.
        why: String,
    },
    /// A start is held back.
    StartBlocked {
        /// By what.
        reason: HeldReason,
        /// When it is looked at again at the latest.
        #[serde(rename = "retry_at_ms")]
        retry_at: Option<Timestamp>,
        /// A sentence.
        why: String,
    },
    /// A breaker changed.
    BreakerChanged {
        /// Where it stood.
        from: BreakerState,
        /// Where it stands; the same where only its level changed.
        to: BreakerState,
        /// How often it opened without evidence of health since.
        level: u32,
        /// Until when it refuses.
        #[serde(rename = "until_ms", skip_serializing_if = "Option::is_none", default)]
        until: Option<Timestamp>,
        /// A sentence.
        why: String,
    },
    /// A probe kept its permit for too long.
    ProbeExpired {
        /// When its lease ended.
        #[serde(rename = "lease_until_ms")]
        lease_until: Timestamp,
    },
    /// An outcome from before the breaker changed: counted, and nothing else.
    LateOutcome {
        /// A sentence.
        why: String,
    },
    /// A breaker that only watches (`metrics_only`) would have opened now.
    WouldTrip {
        /// A sentence.
        why: String,
    },
    /// A parameter is different for the next attempt.
    ParamChanged {
        /// Which.
        name: String,
        /// Its value before; text in records of versions that knew no other.
        from: ParamValue,
        /// Its value now.
        to: ParamValue,
        /// A sentence.
        why: String,
    },
    /// A parameter is at its floor and the failures go on.
    ParamExhausted {
        /// Which.
        name: String,
        /// Its floor.
        value: ParamValue,
    },
    /// Members of the attempt's group outlived its leader.
    LeftoversFound {
        /// What is done with them.
        action: Leftovers,
    },
    /// A stop was asked for or decided.
    StopRequested {
        /// What exactly; nothing in records of versions that did not say.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        act: Option<StopAct>,
        /// Who.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<String>,
        /// A sentence.
        why: String,
    },
    /// The run is over.
    RunEnded {
        /// `succeeded`, `failed`, `stopped` or `quarantined`.
        phase: Phase,
        /// By what.
        end_reason: EndReason,
        /// A sentence.
        why: String,
    },
    /// A program was added, changed or removed.
    ProgramConfigured {
        /// What became of it.
        change: ProgramChange,
    },
    /// A supervisor opened the store after another had closed it or died.
    SupervisorRestarted {
        /// How long none ran.
        down_ms: u64,
        /// Whether the one before closed the store itself.
        clean: bool,
    },
    /// The store's folder is not where it was: a copy, or moved from another file system. Nobody's processes are touched.
    StoreMoved {
        /// A sentence.
        what: String,
    },
    /// Something of the store was damaged.
    StoreDamaged {
        /// What, and what was done about it: a sentence.
        what: String,
        /// Whether something is lost by it, as far as anybody can tell.
        lost: bool,
    },
    /// The wall clock was set while a supervisor ran, or the machine slept. From here on times are shown by it; no deadline
    /// moved.
    ClockSet {
        /// By so much; negative: back.
        by_ms: i64,
    },
    /// The keeper died; the trees it kept are stopped and a new one is started.
    KeeperLost {
        /// Attempts that were alive.
        attempts: u32,
        /// A sentence.
        why: String,
    },
    /// The keeper was asked and does not answer: nothing can be started or stopped.
    KeeperSilent {
        /// Since when.
        #[serde(rename = "since_ms")]
        since: Timestamp,
    },
    /// The keeper answers again.
    KeeperAnswers {
        /// How long it did not.
        silent_ms: u64,
    },
    /// An actor panicked and was started again from saved state.
    ActorRestarted {
        /// Which room.
        actor: String,
        /// A sentence.
        why: String,
    },
}

/// What a configuration did with a program.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramChange {
    /// It is new.
    Added,
    /// Its definition differs.
    Changed,
    /// It is gone.
    Removed,
}

impl ProgramChange {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What a stop was.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopAct {
    /// Somebody asked for the end of the run.
    Stop,
    /// Somebody asked for another attempt at once.
    Restart,
    /// Somebody asked for the attempt that was waited for.
    SkipDelay,
    /// Somebody asked for the attempt that was waited for, past the breakers.
    PassBreakers,
    /// A rule of the program ended the attempt.
    Rule,
    /// The supervisor was shut down.
    Shutdown,
}

/// One change of saved state: a key with its new value, or nothing to remove it.
///
/// The store sees bytes only; the first byte of a value is its version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Put {
    /// `run/…`, `attempt/…`, `retry/…`, `param/…`, `breaker/…`, `clock`.
    pub key: String,
    /// The new value.
    pub value: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_parameter_is_a_number_and_an_older_record_of_one_is_still_read() {
        let changed = |from: ParamValue, to: ParamValue| Event::ParamChanged {
            name: "qpi".into(),
            from,
            to,
            why: "rate_limited".into(),
        };
        let json = serde_json::to_value(changed(100.into(), 50.into())).unwrap();
        assert_eq!((&json["from"], &json["to"]), (&100.into(), &50.into()));
        assert_eq!(serde_json::from_value::<Event>(json.clone()).unwrap(), changed(100.into(), 50.into()));
        let mut old = json;
        (old["from"], old["to"]) = ("100".into(), "50".into());
        assert_eq!(serde_json::from_value::<Event>(old).unwrap(), changed("100".into(), "50".into()));
    }
}

/// A commit as it is stored, for those who want to decide it again. Records and inputs are JSON.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Written {
    /// Where to read on.
    pub place: Place,
    /// Its journal records.
    pub records: Vec<Vec<u8>>,
    /// What led to it.
    pub inputs: Vec<Vec<u8>>,
}

/// A place between commits: the sequence number of the first record after the last place, and a count of commits there.
pub type Place = (u64, u32);
