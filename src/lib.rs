//! A process supervisor to embed in an actix application.

pub use actix_process_actors as actors;

pub mod config;

// The words in which programs are defined in code. `Param` and `ClassRule` are what a program says of them.
pub use actors::model::{
    Adjust, Backlog, BreakerPolicy, ClassOverride as ClassRule, Classify, InlineAction, Jitter, Leftovers,
    OnLost, OnOpen, OnProbeExpiry, OutputPolicy, ParamSpec as Param, ProbeParams, ProbeSuccess, Problem,
    Program, Restart, RetryPolicy, ScopeKind, StderrMode, StreamChoice,
};
