//! The knobs of Retry and Breaker, how they are set in code, and which settings contradict each other.

mod budget;
mod builder;
mod check;
mod check_breaker;
mod knobs;
mod scope_rules;

pub use self::{
    budget::{OnEmpty, RetryBudget, tokens},
    knobs::{
        Backoff, BreakerMode, BreakerPolicy, HalfOpen, Intensity, Jitter, OnOpen, OnProbeExpiry, ProbeParams,
        ProbeSuccess, Ramp, RetryPolicy, Window,
    },
    scope_rules::{rules_of_scope, scope_pattern_problem},
};
pub(in crate::model) use self::{
    builder::{permille, read_duration},
    check::LONGEST_WAIT_MS,
};
