//! The rules about readiness, and breakers that go by it.

use super::{CONFLICT, RANGE, Row};

pub(in crate::config::tests) const ERRORS: &[Row] = &[
    Row(
        "E9 of readiness",
        "ready = { pattern = 'listening (' }",
        (3, 21),
        "config.regex",
        "not a regular expression: unclosed group",
        "'single quotes'",
    ),
    Row(
        "E9 readiness over the size limit",
        "ready.pattern = '(?:\\w{100}){100}'",
        (3, 17),
        "config.regex",
        "needs more than 1MiB compiled",
        "smaller repetitions",
    ),
    Row(
        "readiness without a pattern",
        "ready = { stream = \"stderr\" }",
        (3, 1),
        "config.required",
        "`pattern` is missing",
        "write pattern = ",
    ),
    Row(
        "slow starts that decide nothing",
        "ready.pattern = 'up'\nbreaker.slow_ready = \"10s\"",
        (4, 22),
        CONFLICT,
        "`slow_ready` without `slow_rate`",
        "slow_rate = 0.5",
    ),
    Row(
        "a share of nothing",
        "ready.pattern = 'up'\nbreaker.slow_rate = 0.5",
        (4, 21),
        CONFLICT,
        "`slow_rate` without `slow_ready`",
        "slow_ready = \"10s\"",
    ),
    Row(
        "a share over 1",
        "ready.pattern = 'up'\nbreaker = { slow_ready = \"10s\", slow_rate = 1.5 }",
        (4, 45),
        RANGE,
        "between 0.001 and 1.0",
        "leave slow_ready and slow_rate out",
    ),
    Row(
        "every start slow",
        "ready.pattern = 'up'\nbreaker = { slow_ready = \"0s\", slow_rate = 0.5 }",
        (4, 26),
        RANGE,
        "every start would be slow",
        "\"10s\"",
    ),
    Row(
        "slow starts of a program that never says that it is ready",
        "breaker = { slow_ready = \"10s\", slow_rate = 0.5 }",
        (3, 26),
        CONFLICT,
        "`slow_ready` needs a `ready` rule: nothing else says when `p` is",
        "ready = { pattern = 'listening on' }",
    ),
    Row(
        "a probe that never says that it is ready",
        "breaker.half_open.success = \"ready\"",
        (3, 29),
        CONFLICT,
        "`half_open.success = \"ready\"` needs a `ready` rule",
        "ready = { pattern = 'listening on' }",
    ),
];

pub(in crate::config::tests) const WARNINGS: &[Row] = &[
    Row(
        "slow starts of a shared scope in which nobody says that he is ready",
        "breakers = [\"site:x\"]\n[breaker.\"site:*\"]\nslow_ready = \"10s\"\nslow_rate = 0.5",
        (5, 14),
        CONFLICT,
        "`slow_ready` needs a `ready` rule, and `p`, which this scope gates, has none",
        "in the program",
    ),
    Row(
        "a probe of a shared scope that one of its programs cannot prove",
        "breakers = [\"site:x\"]\nready.pattern = 'up'\n[program.q]\nscript = \"y\"\nbreakers = [\"site:y\"]\n[breaker.\"site:*\".half_open]\nsuccess = \"ready\"",
        (9, 11),
        CONFLICT,
        "`half_open.success = \"ready\"` needs a `ready` rule, and `q`",
        "in the program",
    ),
];
