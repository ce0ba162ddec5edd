//! One row for each doubt: a file that is used, where it is told, and in which words.

use super::rows::{CONFLICT, Row};

pub(super) const WARNINGS: &[Row] = &[
    Row(
        "W1 reset before the longest delay",
        "[program.p.retry]\nmax_delay = \"10m\"\nreset_after = \"5m\"",
        (5, 15),
        CONFLICT,
        "`reset_after` is shorter than `max_delay`",
        "reset_after = \"10m\"",
    ),
    Row(
        "W2 not all retries fit",
        "[program.p.retry]\nmax_failing = \"10s\"",
        (4, 15),
        CONFLICT,
        "only 3 of 5 retries fit",
        "longer max_failing",
    ),
    Row(
        "W3 window too short",
        "[program.p.retry]\ndelay = \"30s\"\n[program.p.breaker.window]\nage = \"2m\"",
        (6, 7),
        CONFLICT,
        "the delays between 5 failures of one run take 7m30s",
        "longer age",
    ),
    Row(
        "W3 of a shared scope",
        "breakers = [\"site:x\"]\n[program.p.retry]\ndelay = \"30s\"\n[breaker.\"site:*\".window]\nage = \"2m\"",
        (7, 7),
        CONFLICT,
        "take 7m30s",
        "longer age",
    ),
    Row(
        "W4 a herd",
        "breakers = [\"site:{host}\"]\nparams.host = {}\nretry.jitter = \"none\"\n[program.q]\nscript = \"y\"\nbreakers = [\"site:{shop}\"]\nparams.shop = {}",
        (5, 16),
        CONFLICT,
        "`p` shares a breaker's scope with `q`",
        "jitter = \"equal\"",
    ),
    Row(
        "W5 lease under timeout",
        "timeout = \"10m\"\n[program.p.breaker.half_open]\nsuccess = \"exit\"",
        (5, 11),
        CONFLICT,
        "shorter than `timeout`",
        "success = \"auto\"",
    ),
    Row(
        "W5 of a shared scope",
        "timeout = \"10m\"\nbreakers = [\"site:x\"]\n[breaker.\"site:x\".half_open]\nsuccess = \"exit\"",
        (6, 11),
        CONFLICT,
        "shorter than the `timeout` of `p` (10m)",
        "lease = \"10m\"",
    ),
    Row(
        "E14 two classes of one exit code, of which one has the higher priority",
        "classes.crash.priority = 5\n[[program.p.classify]]\nclass = \"oom\"\nexit_code = 137\n[[program.p.classify]]\nclass = \"crash\"\nexit_code = 137",
        (9, 13),
        CONFLICT,
        "exit code 137 is `crash` by its priority (5, and `oom` has 0): it never is `oom`",
        "keep one of the two",
    ),
    Row(
        "a class that nothing finds",
        "[program.p.classes.rate_limted]\nretry = false",
        (3, 20),
        "config.unknown_class",
        "no rule finds the class `rate_limted`",
        "did you mean `rate_limited`?",
    ),
];
