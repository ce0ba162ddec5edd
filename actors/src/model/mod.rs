//! The nouns that the rooms share: what a program, a run, an attempt, a class, an exit and a record are.
//!
//! Pure data with the checks that belong to it. Nothing here reads a clock, a file or a mailbox, and nothing here
//! decides: decisions live in the rooms' machines.

mod address;
mod arg;
mod breaker_state;
mod chance;
mod class;
mod class_help;
mod escape;
mod exit;
mod id;
mod journal;
mod output;
mod param_spec;
mod params;
mod policy;
mod problem;
mod process_stat;
mod program;
mod restore;
mod run;
mod scale;
mod size;
mod spool;
mod template;
mod time;

pub use self::{
    arg::{Alike, Arg, IntoArgs, Mixed, Present},
    breaker_state::BreakerState,
    class::{Adjust, Class, ClassRule, Inline, InlineAction, ScopeKind, builtin_class_rule},
    class_help::{class_help, rule_help},
    escape::{escape, is_obeyed},
    exit::{ExitStatus, SpawnFailure, SpawnProblem, signal_name, signal_number},
    id::{AttemptId, RunId, Scope},
    journal::{Event, JournalRecord, Place, ProgramChange, Put, StopAct, Written},
    output::{Cursor, Direction, Evidence, Level, LogFilter, LogQuery, Page, Record, Stream},
    param_spec::{ParamKind, ParamProblem, ParamSpec},
    params::{Decimal, ParamValue, Params},
    policy::{
        Backoff, BreakerMode, BreakerPolicy, HalfOpen, Intensity, Jitter, OnEmpty, OnOpen, OnProbeExpiry,
        ProbeParams, ProbeSuccess, Ramp, RetryBudget, RetryPolicy, Window, rules_of_scope,
        scope_pattern_problem, tokens,
    },
    problem::{Problem, did_you_mean, edit_distance},
    process_stat::ProcessStat,
    program::{
        Advised, Backlog, ClassOverride, Classify, ClassifyRule, Command, HIGHEST_PRIORITY, LeadsOut,
        Leftovers, Matcher, OnLost, OutputPolicy, Program, REGEX_SIZE_LIMIT, Ready, Restart, StderrMode,
        StreamChoice, advice_between, is_priority,
    },
    restore::{OnFloor, Restore},
    run::{
        Attempt, Counts, EndReason, HeldBack, HeldReason, IfBlocked, ParamReason, ParamReasons, Phase,
        Reason, Run, Wanted,
    },
    size::{format_size, parse_size},
    spool::{Loss, Spool, SpoolName, SpoolSizes, SpoolStored},
    template::{OWN_PLACEHOLDERS, Part, Placeholder, Template, TemplateError, Values, render_key},
    time::{
        ClockReading, ClockShift, SavedClock, Timestamp, format_duration_ms, parse_duration_ms,
        say_duration_ms,
    },
};
pub(crate) use self::{
    chance::{high_half, part_of, split_mix_64},
    class::{RetryTerms, builtin_retry_terms},
    id::RunMap,
};
