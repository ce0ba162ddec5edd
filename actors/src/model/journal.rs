//! The journal: every decision with its cause. The same records in the API, the CLI, the page and the simulator.

use super::{
    BreakerState, EndReason, HeldReason, Leftovers, ParamReasons, ParamValue, Params, Phase, RunId, Scope,
    Stream, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One decision, or one fact that led to a decision.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JournalRecord {
    /// The record's sequence number in the journal, ascending; the cursor in the API.
    pub seq: u64,
    /// When it was decided or happened.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The run, where the record is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<RunId>,
    /// The program, where the record is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub program: Option<String>,
    /// The attempt, where the record is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<u32>,
    /// The scope, where the record is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<Scope>,
    /// What was decided or happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What a journal record says. Field names are those of the simulator's output and of `GET /events`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run was asked for.
    RunQueued {
        /// The parameters with defaults; secrets as `***`.
        params: Params,
        /// The name of the caller, where it is known.
        requested_by: Option<String>,
        /// Whether the run is forced past the breakers.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        forced: bool,
        /// Order among runs that wait for the same thing: higher first.
        #[serde(skip_serializing_if = "super::run::is_zero", default)]
        priority: i32,
    },
    /// A start was decided. Written before the process is made.
    AttemptStarted {
        /// The effective parameters.
        params: Params,
        /// Whether the attempt probes a half-open breaker.
        probe: bool,
        /// Whether the attempt was forced past the breakers: no breaker was asked, and none is told of its end.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        forced: bool,
        /// The reasons of the parameters that differ from the requested ones.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        param_reasons: ParamReasons,
    },
    /// The process exists. Its identity is pid, start time and boot id together.
    AttemptSpawned {
        /// The process id.
        pid: i32,
        /// The start time of the process, in clock ticks since boot.
        start_ticks: u64,
    },
    /// The attempt said, by its program's `ready` rule, that it is ready.
    AttemptReady {
        /// How long after its start the attempt was ready, in milliseconds.
        after_ms: u64,
        /// The `slow_ready` of a breaker that this exceeds, in milliseconds; the shortest, where several are
        /// exceeded.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        slow_ready_ms: Option<u64>,
    },
    /// An attempt is over, or was never started. One of `exit`, `signal` and `spawn_error` says how; none of them is
    /// set when the end was not seen.
    AttemptEnded {
        /// The exit code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        exit: Option<i32>,
        /// The name of the signal that ended the attempt.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signal: Option<String>,
        /// Why the attempt was never started: the kernel's error by name, else which part was wrong.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        spawn_error: Option<String>,
        /// The class of the end; null on success.
        class: Option<String>,
        /// The rule that found the class.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<String>,
        /// The output line that decided, or what was wrong with the start.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        line: Option<String>,
        /// Why the end has this class and not another one that was seen too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        preferred: Option<String>,
        /// How long the other side asks to wait, where the line says so, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        retry_after_ms: Option<u64>,
        /// How long the attempt lived, in milliseconds.
        lasted_ms: u64,
        /// When the attempt ended, where that was before this record, because no supervisor ran.
        #[serde(rename = "ended_at_ms", skip_serializing_if = "Option::is_none", default)]
        ended_at: Option<Timestamp>,
        /// Whether all of the attempt's output until its end was there to be read. False when it could not be read in
        /// time, lines of it were lost, or no disk took it.
        output_complete: bool,
        /// The number of lines that were lost until then.
        #[serde(skip_serializing_if = "super::run::is_none", default)]
        lines_lost: u64,
        /// The number of bytes until then that the disk did not take: lost, or waiting for room.
        #[serde(skip_serializing_if = "super::run::is_none", default)]
        unspooled: u64,
    },
    /// Output was lost: the disk took none of it. A line stands in its place in the output.
    OutputLost {
        /// The stream of the lost output.
        stream: Stream,
        /// The number of lines lost.
        lines: u64,
        /// The number of bytes lost.
        bytes: u64,
    },
    /// Output cannot be written, and a process that writes much waits. Reported once, however long that lasts.
    OutputWaits {
        /// What the output waits for.
        why: String,
    },
    /// Another attempt is due.
    RetryScheduled {
        /// The number of counted failures in a row.
        n: u32,
        /// The delay of the law, before jitter and hints, in milliseconds.
        raw_ms: u64,
        /// The delay after jitter and hints, in milliseconds.
        delay_ms: u64,
        /// When the attempt is due.
        #[serde(rename = "due_at_ms")]
        due_at: Timestamp,
        /// The reason, as a sentence.
        why: String,
    },
    /// A start is held back.
    StartBlocked {
        /// What holds the start back.
        reason: HeldReason,
        /// The latest time at which the start is checked again; `None` when there is no such time.
        #[serde(rename = "retry_at_ms")]
        retry_at: Option<Timestamp>,
        /// The reason, as a sentence.
        why: String,
    },
    /// A breaker changed its state or level.
    BreakerChanged {
        /// The state before.
        from: BreakerState,
        /// The state after; the same where only the level changed.
        to: BreakerState,
        /// How often the breaker opened without evidence of health since.
        level: u32,
        /// Until when the breaker refuses starts.
        #[serde(rename = "until_ms", skip_serializing_if = "Option::is_none", default)]
        until: Option<Timestamp>,
        /// The reason, as a sentence.
        why: String,
    },
    /// A probe kept its permit for too long.
    ProbeExpired {
        /// When the lease of the probe ended.
        #[serde(rename = "lease_until_ms")]
        lease_until: Timestamp,
    },
    /// An outcome from before the breaker changed: it is recorded, and changes nothing.
    LateOutcome {
        /// The reason, as a sentence.
        why: String,
    },
    /// A breaker that only watches (`metrics_only`) would have opened now.
    WouldTrip {
        /// The reason, as a sentence.
        why: String,
    },
    /// A parameter is different for the next attempt.
    ParamChanged {
        /// The name of the parameter.
        name: String,
        /// The value before; text in records of versions that knew no other type.
        from: ParamValue,
        /// The value after.
        to: ParamValue,
        /// The reason, as a sentence.
        why: String,
    },
    /// A parameter is at its floor and the failures go on.
    ParamExhausted {
        /// The name of the parameter.
        name: String,
        /// The floor of the parameter.
        value: ParamValue,
    },
    /// Members of the attempt's group outlived its leader.
    LeftoversFound {
        /// What is done with these processes.
        action: Leftovers,
    },
    /// A stop was asked for or decided.
    StopRequested {
        /// What was asked for or decided; `None` in records of versions that did not record it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        act: Option<StopAct>,
        /// The name of the caller, where one asked.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<String>,
        /// The reason, as a sentence.
        why: String,
    },
    /// The run is over.
    RunEnded {
        /// The final phase: `succeeded`, `failed`, `stopped` or `quarantined`.
        phase: Phase,
        /// The rule or cause that ended the run.
        end_reason: EndReason,
        /// The reason, as a sentence.
        why: String,
    },
    /// A program was added, changed or removed.
    ProgramConfigured {
        /// What the configuration did with the program.
        change: ProgramChange,
    },
    /// A supervisor opened the store after another had closed it or died.
    SupervisorRestarted {
        /// How long no supervisor ran, in milliseconds.
        down_ms: u64,
        /// Whether the previous supervisor closed the store itself.
        clean: bool,
    },
    /// The store's folder is not where it was: a copy, or moved from another file system. No process is touched.
    StoreMoved {
        /// What was found, as a sentence.
        what: String,
    },
    /// A part of the store was damaged.
    StoreDamaged {
        /// What was damaged, and what was done about it, as a sentence.
        what: String,
        /// Whether data was lost by it, as far as that can be told.
        lost: bool,
    },
    /// The wall clock was set while a supervisor ran, or the machine slept. From here on times are shown by it; no deadline
    /// moved.
    ClockSet {
        /// By how much the clock was set, in milliseconds; negative: back.
        by_ms: i64,
    },
    /// The keeper died; the trees it kept are stopped and a new one is started.
    KeeperLost {
        /// The number of attempts that were alive.
        attempts: u32,
        /// The reason, as a sentence.
        why: String,
    },
    /// The keeper was asked and does not answer: no attempt can be started or stopped.
    KeeperSilent {
        /// The time since which it has not answered.
        #[serde(rename = "since_ms")]
        since: Timestamp,
    },
    /// The keeper answers again.
    KeeperAnswers {
        /// How long it did not answer, in milliseconds.
        silent_ms: u64,
    },
    /// An actor panicked and was started again from saved state.
    ActorRestarted {
        /// The room whose actor it was.
        actor: String,
        /// The reason, as a sentence.
        why: String,
    },
}

/// What a configuration did with a program.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramChange {
    /// The program is new.
    Added,
    /// Its definition differs.
    Changed,
    /// The program is no longer configured.
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

/// What a requested or decided stop was for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopAct {
    /// A caller asked for the end of the run.
    Stop,
    /// A caller asked for another attempt at once.
    Restart,
    /// A caller asked to start now the attempt that was waited for.
    SkipDelay,
    /// A caller asked to start now the attempt that was waited for, past the breakers.
    PassBreakers,
    /// A rule of the program ended the attempt.
    Rule,
    /// The supervisor was shut down.
    Shutdown,
}

/// One change of saved state: a key with its new value, or `None` to remove it.
///
/// The store sees bytes only; the first byte of a value is its version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Put {
    /// The key: `run/…`, `attempt/…`, `retry/…`, `param/…`, `breaker/…`, `clock`.
    pub key: String,
    /// The new value; `None` removes the key.
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

/// A commit as it is stored, for a replay. Records and inputs are JSON.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Written {
    /// The place at which to read on.
    pub place: Place,
    /// The journal records of the commit.
    pub records: Vec<Vec<u8>>,
    /// The inputs that led to it.
    pub inputs: Vec<Vec<u8>>,
}

/// A place between commits: the sequence number of the first record after the last place, and a count of commits there.
pub type Place = (u64, u32);
