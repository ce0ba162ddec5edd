//! The keys of a scenario file.

use super::super::keys::{
    Kind::{Duration, Flag, Integer, Lasts, List, Map, Rows, Scalar, Signal, Step, Text, Word},
    Whole, key,
};

/// The top of a scenario file.
pub(super) static SCENARIO: Whole = Whole(&[
    key("until", Duration, "", "Virtual time to run; `--until` overrides."),
    key("start", Rows(&START), "", "Requests for runs, in order of `at`."),
    key("script", Rows(&SCRIPT), "", "What the attempts of a program's runs, or of one run, do."),
    key("operator", Rows(&OPERATOR), "", "What people do."),
    key("restart_supervisor", Rows(&RESTART), "", "The supervisor dies and comes back."),
]);

static START: Whole = Whole(&[
    key("at", Duration, "\"0s\"", "When."),
    key("program", Text, "", "Which program."),
    key("run", Text, "(r1, r2 … in order)", "The run's name in the output."),
    key("requested_by", Text, "", "Who asks."),
    key("params", Map(&Scalar), "{}", "Parameters."),
    key("force", Flag, "false", "Its first attempt passes the breakers."),
    key(
        "priority",
        Integer,
        "(the program's)",
        "Who goes first of those that wait for the same thing: the highest.",
    ),
]);

static SCRIPT: Whole = Whole(&[
    key("program", Text, "", "For every run of this program …"),
    key("run", Text, "", "… or for this run, which wins over its program."),
    key("attempts", Rows(&PLAY), "", "What attempt 1, 2, 3 … does; the last entry repeats."),
    key("windows", Rows(&WINDOW), "", "Or by the clock: the window that holds the attempt's start."),
]);

static PLAY: Whole = Whole(&[
    key("lasts", Lasts, "", "How long it lives; `forever`: until it is stopped."),
    key("exit", Integer, "(0; 1 with a `class`)", "Its exit code."),
    key("signal", Signal, "", "Or the signal that ends it."),
    key("class", Text, "", "The class of its end, given outright."),
    key("output", List(&Text), "[]", "Its lines."),
    key("output_at", Duration, "(its end)", "How long after its start they appear."),
    key(
        "ready_at",
        Duration,
        "(with a line of `output` that says so)",
        "How long after its start it is ready.",
    ),
    key("spawn_error", Text, "", "No process comes to be: `ENOENT`, `EAGAIN` …"),
]);

static WINDOW: Whole = Whole(&[
    key("from", Duration, "\"0s\"", "From this time on …"),
    key("to", Duration, "(the end)", "… and before this one."),
    key("lasts", Lasts, "", "As in `attempts`."),
    key("exit", Integer, "(0; 1 with a `class`)", "As in `attempts`."),
    key("signal", Signal, "", "As in `attempts`."),
    key("class", Text, "", "As in `attempts`."),
    key("output", List(&Text), "[]", "As in `attempts`."),
    key("output_at", Duration, "(its end)", "As in `attempts`."),
    key("ready_at", Duration, "(with a line of `output` that says so)", "As in `attempts`."),
    key("spawn_error", Text, "", "As in `attempts`."),
]);

static OPERATOR: Whole = Whole(&[
    key("at", Duration, "\"0s\"", "When."),
    key("do", Word(&["start", "stop", "reset_breaker", "open_breaker", "close_breaker"]), "", "What."),
    key("run", Text, "", "Start or stop: this run …"),
    key("program", Text, "", "… or every run of this program."),
    key("force", Flag, "false", "Start: past the breakers, also what one of them holds back."),
    key("scope", Text, "", "Breakers: which."),
    key("ttl", Duration, "", "`open_breaker`: for so long; without it until it is closed."),
]);

static RESTART: Whole = Whole(&[
    key("at", Duration, "\"0s\"", "When it dies."),
    key("down_for", Duration, "\"0s\"", "For how long nobody watches."),
    key("same_boot", Flag, "true", "`false`: the host boots anew, and time is told by the wall clock."),
    key("wall_step", Step, "\"0s\"", "By how much the wall clock moves meanwhile; may be negative."),
]);
