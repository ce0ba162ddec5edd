//! The keys of a program and of a breaker.

use super::keys::{
    BUDGET, Key,
    Kind::{
        Adjust, Amount, Args, Argv, Count, Duration, Flag, Integer, Jitter, List, Map, Path, Ratio, Rows,
        Scalar, Signal, Size, Table, TableOrFalse, Tables, Text, Word,
    },
    key,
};

/// `[program.NAME]`, also `[defaults]`.
pub(super) const PROGRAM: &[Key] = &[
    key("description", Text, "\"\"", "For people."),
    key(
        "script",
        Text,
        "",
        "A file on `script_path`, with or without a known extension (.py .sh .js .rb .pl).",
    ),
    key("script_path", List(&Path), "[\".\"]", "Folders of the script; it never resolves outside them."),
    key("interpreter", List(&Text), "(by extension, else the file's `#!`)", "What runs the script."),
    key("command", Argv, "", "Instead of a script: the argument vector, or a text split as a shell would."),
    key(
        "args",
        Args,
        "[]",
        "Arguments; `{name}` stays inside one element, no shell. `[\"--since\", \"{since}\"]` is left out whole when `since` is unset.",
    ),
    key(
        "cwd",
        Path,
        "\".\"",
        "Working directory; may hold `{name}`, and no value leads out of the text before it.",
    ),
    key(
        "env",
        Map(&Text),
        "{}",
        "Environment beside what is inherited; a value that holds an unset parameter is not set.",
    ),
    key(
        "env_file",
        Path,
        "",
        "A file of `KEY=value` lines, regular and of at most 1 MiB; [child.md](child.md#env_file) has the grammar. Missing, or a line that is none, is an error at the start.",
    ),
    key("env_clear", Flag, "false", "Inherit only PATH, HOME, LANG, TZ."),
    key(
        "restart",
        Word(&["no", "on-failure", "always"]),
        "\"on-failure\"",
        "`on-failure`: a job; `always`: a daemon.",
    ),
    key("autostart", Flag, "false", "Start with the manager."),
    key("success_exit_codes", List(&Integer), "[0]", "Exit codes that are success."),
    key(
        "success",
        Table(SUCCESS),
        "",
        "What a job must have brought beside that; less is `empty_result`, as is a line of such a class.",
    ),
    key("timeout", Duration, "", "Longest life of one attempt; class `timeout_run`."),
    key("idle_timeout", Duration, "", "Longest silence of one attempt; class `stalled`."),
    key("max_concurrent", Count, "(no limit; a daemon has one living run)", "Runs of this program at once."),
    key("queue", Count, "100", "Runs that may wait for a place; one more is refused."),
    key(
        "priority",
        Integer,
        "0",
        "Who goes first of those that wait for the same place, breaker or tokens: the highest, of equal ones who waits longest; -1000 to 1000.",
    ),
    key("labels", Map(&Text), "{}", "For people and filters."),
    key(
        "breakers",
        List(&Text),
        "[]",
        "Shared scopes that gate it beside its own, at most 5, as in `site:{url.host}` or `site:{host:lower}`; each begins with a word of yours.",
    ),
    key("stop_signal", Signal, "\"SIGTERM\"", "Asks it to end."),
    key("stop_timeout", Duration, "\"10s\"", "Then SIGKILL to the whole tree."),
    key("leftovers", Word(&["stop", "keep"]), "\"stop\"", "Members of its group that outlive it."),
    key("on_lost", Word(&["retry", "fail", "success"]), "\"retry\"", "What an end that nobody saw means."),
    key("params", Tables(PARAM), "", "A parameter."),
    key("retry", Table(RETRY), "", "When and how it is tried again."),
    key("breaker", TableOrFalse(BREAKER), "", "Rules of its own scope; `false`: off."),
    key("ready", Table(READY), "", "The line by which an attempt says that it is ready."),
    key(
        "classify",
        Rows(CLASSIFY),
        "",
        "Rules that find classes; first match wins, before the built-in ones. Of an end that shows several: `priority` of a class.",
    ),
    key("classes", Tables(CLASS), "", "What a class does here, key by key over the built-in rule."),
    key("output", Table(OUTPUT), "", "How output is kept."),
];

/// The types of a parameter, as written.
pub(super) const PARAM_TYPES: &[&str] =
    &["string", "integer", "decimal", "boolean", "duration", "url", "choice", "list"];

/// The types of a list's items, as written.
const ITEM_TYPES: &[&str] = &["string", "integer", "decimal", "boolean", "duration", "url", "choice"];

/// An argument that a boolean parameter chooses.
pub(super) const WHEN: &[Key] = &[
    key("when", Text, "", "The boolean parameter; unset, it is false."),
    key("args", Args, "[]", "Arguments where it is true."),
    key("else", Args, "[]", "Arguments where it is not."),
];

const PARAM: &[Key] = &[
    key("type", Word(PARAM_TYPES), "\"string\"", "What it may hold."),
    key(
        "choices",
        List(&Text),
        "",
        "The values of a `choice`; where a class adjusts it, the most cautious first.",
    ),
    key("items", Word(ITEM_TYPES), "\"string\"", "What each item of a `list` may hold."),
    key("max_items", Count, "64", "Most items of a `list`, 1 to 1000; one without an item is unset."),
    key("required", Flag, "false", "A start without it is refused."),
    key("default", Scalar, "", "Its value when none is given."),
    key("min", Scalar, "", "Smallest value, also the floor of any adjustment."),
    key("max", Scalar, "", "Largest value."),
    key(
        "secret",
        Flag,
        "false",
        "Environment only; shown as `***`. The value lies in a file of the store (mode 0600) until the run is over: [child.md](child.md).",
    ),
    key("env", Text, "", "The environment variable that carries it; of a `list` one item a line."),
    key("allow_dash", Flag, "false", "Its value may begin an argument with `-`."),
    key("adjust_scope", Text, "(the run)", "Siblings whose key renders the same share the adjusted value."),
    key(
        "adjust_cooldown",
        Duration,
        "(`60s` with `adjust_scope`, else `0s`)",
        "At most one decrease in this time.",
    ),
    key(
        "restore",
        TableOrFalse(RESTORE),
        "",
        "How an adjusted value finds its way back, on success; `false`: it does not.",
    ),
    key(
        "on_floor",
        Word(&["continue", "trip", "give_up"]),
        "\"continue\"",
        "What a failure means that finds it at its floor: another attempt there | breakers open | the run ends.",
    ),
];

const SUCCESS: &[Key] = &[
    key("min_lines", Count, "0", "Lines of standard output, complete or not."),
    key(
        "items",
        Text,
        "",
        "Rust regex on one line of either stream: capture 1 is how many items there are by then, and the largest counts; without a capture each matching line is one.",
    ),
    key("min_items", Count, "0", "Items; needs `items`."),
];

const RESTORE: &[Key] = &[
    key("hold", Duration, "\"10m\"", "No increase sooner after a decrease."),
    key("every", Duration, "\"5m\"", "At most one increase in this time."),
    key(
        "add",
        Amount,
        "(a tenth of what the run asked for, at least one; of a `choice` one step)",
        "What an increase adds.",
    ),
    key(
        "avoid",
        Duration,
        "\"6h\"",
        "How long the value before the last decrease is avoided: the way back ends at nine tenths of it, of a `choice` below it.",
    ),
];

const RETRY: &[Key] = &[
    key("max_retries", Count, "(5; a daemon: no limit)", "Automatic restarts after the first start."),
    key("backoff", Word(&["exponential", "constant"]), "\"exponential\"", "How the delay grows."),
    key("delay", Duration, "\"1s\"", "First delay; `0s` needs `min_delay = \"0s\"`."),
    key("factor", Ratio, "2.0", "Growth, 1.0 to 10.0."),
    key("max_delay", Duration, "\"5m\"", "Longest delay."),
    key(
        "min_delay",
        Duration,
        "\"100ms\"",
        "Shortest delay; not written, a shorter `delay` other than `0s` lowers it.",
    ),
    key("jitter", Jitter, "\"equal\"", "Chance in the delay: a word, or a share such as 0.2."),
    key(
        "reset_after",
        Duration,
        "(twice max_delay, within 1m and 10m)",
        "A daemon healthy this long forgets earlier failures.",
    ),
    key("max_failing", Duration, "", "Give up when a streak of failures lasts longer."),
    key(
        "startup_spread",
        Duration,
        "\"10s\"",
        "Starts that came due while no supervisor ran are spread over this.",
    ),
    key(
        "intensity",
        TableOrFalse(INTENSITY),
        "{ restarts = 10, window = \"1m\" }",
        "Beyond it the run is quarantined; `false`: off.",
    ),
    key(
        "quarantine",
        Duration,
        "(until an operator starts it)",
        "How long it is left alone then, 1m to 7d, before it gets one start; its breakers may ask for longer.",
    ),
    key(
        "reset_on_config_change",
        Flag,
        "true",
        "Whether other rules forget its failures: waiting runs count anew, a daemon that gave up starts.",
    ),
    key("retry_after_max", Duration, "\"1h\"", "Longest wait that the other side may ask for."),
];

const INTENSITY: &[Key] = &[
    key("restarts", Count, "10", "Automatic restarts allowed …"),
    key("window", Duration, "\"1m\"", "… in any such span."),
];

/// `[program.NAME.breaker]` and `[breaker."…"]`.
pub(super) const BREAKER: &[Key] = &[
    key(
        "mode",
        Word(&["auto", "disabled", "metrics_only"]),
        "\"auto\"",
        "`disabled`: lets everybody through; `metrics_only`: likewise, and journals `would_trip`.",
    ),
    key("failures", Count, "5", "Weighted failures in a row that open it; 0: off."),
    key(
        "failure_rate",
        Ratio,
        "0.5",
        "Share of failures that opens it; 0.0: off. One that lowered a parameter is not in it: the next attempt asks for less.",
    ),
    key("window", Table(WINDOW), "{ size = 20, age = \"1h\", min = 5 }", "What the share is taken of."),
    key(
        "slow_ready",
        Duration,
        "",
        "A start is slow that is ready later than this; needs `ready` of the program.",
    ),
    key("slow_rate", Ratio, "", "Share of slow starts, among those that became ready, that opens it."),
    key("penalty", Duration, "\"30s\"", "First penalty."),
    key("penalty_factor", Ratio, "2.0", "Growth of the penalty, 1.0 to 10.0."),
    key("max_penalty", Duration, "\"30m\"", "Longest penalty."),
    key("penalty_jitter", Ratio, "0.1", "Chance that only lengthens it."),
    key(
        "decay_after",
        Duration,
        "\"10m\"",
        "A success this long after the last change takes one level back.",
    ),
    key("half_open", Table(HALF_OPEN), "", "Trial runs after the penalty."),
    key(
        "on_probe_expiry",
        Word(&["failure", "reopen_same_level", "release"]),
        "\"failure\"",
        "What an expired lease means.",
    ),
    key("ramp", Table(RAMP), "{ over = \"1m\", spacing = \"1s\" }", "Spacing of starts after closing."),
    key(
        "on_open",
        Word(&["keep", "stop"]),
        "\"keep\"",
        "Living runs of the scope when it opens; a stopped one goes on when it may.",
    ),
    key(
        "retry_budget",
        Table(BUDGET),
        "",
        "Tokens that retries of all runs in the scope share, beside `[retry_budget]`; off without it.",
    ),
    key(
        "quarantine",
        Duration,
        "",
        "How long its runs are left alone that were restarted too often, 1m to 7d; the longest holds, also the program's.",
    ),
];

const WINDOW: &[Key] = &[
    key("size", Count, "20", "The last so many outcomes …"),
    key("age", Duration, "\"1h\"", "… younger than this; `0s`: however old."),
    key("min", Count, "5", "Fewer decide nothing."),
];

const HALF_OPEN: &[Key] = &[
    key("permits", Count, "1", "Probes at once."),
    key("successes", Count, "1", "Successes that close."),
    key("failures", Count, "1", "Failures that open again."),
    key(
        "lease",
        Duration,
        "\"5m\"",
        "A probe that has not reported by then loses its permit. At least `60s` and `stable` together where `success = \"auto\"`, which its life proves; else 1s.",
    ),
    key("params", Word(&["floor", "current", "default"]), "\"floor\"", "Parameters of a probe."),
    key(
        "success",
        Word(&["auto", "exit", "ready", "first_output"]),
        "\"auto\"",
        "What proves a probe: alive for `stable` or exit 0 | only exit 0 | its `ready` line or exit 0 | its first output or exit 0.",
    ),
    key("stable", Duration, "\"60s\"", "See `success`: with any other than `auto` it plays no part."),
];

const RAMP: &[Key] = &[
    key("over", Duration, "\"1m\"", "How long; `0s`: off."),
    key("spacing", Duration, "\"1s\"", "How far apart."),
];

const READY: &[Key] = &[
    key(
        "pattern",
        Text,
        "",
        "Rust regex on one line of output; the first line that matches counts, one without an end after 100 ms of silence.",
    ),
    key("stream", Word(&["stdout", "stderr", "any"]), "\"any\"", "Where the pattern looks."),
];

const CLASSIFY: &[Key] = &[
    key("class", Text, "", "The class it finds."),
    key("pattern", Text, "", "Rust regex on one line of output; or `exit_code`, or `signal`."),
    key("stream", Word(&["stdout", "stderr", "any"]), "\"any\"", "Where the pattern looks."),
    key(
        "retry_after",
        Text,
        "",
        "Regex on the same line whose capture 1 says how long to wait: `7`, `2.5`, `1500ms`, `5 minutes`, a date of HTTP or RFC 3339; anything else is no hint.",
    ),
    key("exit_code", Integer, "", "The exit code."),
    key("signal", Signal, "", "The signal that ended it."),
];

const CLASS: &[Key] = &[
    key("retry", Flag, "", "Whether another attempt may follow."),
    key("counts", Flag, "", "Whether it counts towards max_retries."),
    key("weight", Ratio, "", "What it weighs in a breaker."),
    key("scopes", List(&Word(&["program", "shared", "user", "global"])), "", "Which breakers hear of it."),
    key("trips", Flag, "", "One such failure opens these breakers at once."),
    key("delay", Duration, "", "First delay in place of the program's."),
    key("max_delay", Duration, "", "Longest delay in place of the program's."),
    key(
        "max_retries",
        Count,
        "",
        "Failures of the class in a row that are tried again, beside the program's.",
    ),
    key("cost", Ratio, "", "What a retry takes from `[retry_budget]`; built in 1.0, `blocked` 2.0."),
    key(
        "adjust",
        Map(&Adjust),
        "",
        "Changes of parameters: multiply, add or set; of a `choice` step, -1 for one place towards its first.",
    ),
    key("inline", Table(INLINE), "", "What repeated errors do while the attempt still runs."),
    key(
        "priority",
        Integer,
        "(0)",
        "Which class an end has that shows several in its last minute: the highest, of equal ones that of the first rule; -1000 to 1000.",
    ),
];

const INLINE: &[Key] = &[
    key("count", Count, "", "So many …"),
    key("per", Duration, "", "… within this …"),
    key("action", Word(&["none", "adjust", "restart", "stop"]), "\"none\"", "… do this."),
];

const OUTPUT: &[Key] = &[
    key("max_line", Size, "\"64KiB\"", "A longer line is split and marked."),
    key("recent", Size, "\"1MiB\"", "Kept in memory for each attempt."),
    key("stderr", Word(&["separate", "merge"]), "\"separate\"", "`merge`: one stream in exact order."),
    key("backlog", Size, "\"256MiB\"", "Written by the child, not yet stored."),
    key(
        "on_backlog",
        Word(&["wait", "drop", "block"]),
        "\"wait\"",
        "Beyond. `wait`: the child waits while the store makes progress; once it has stood still for `stall`, lines are dropped and counted. `drop`: at once. `block`: the child waits, however long.",
    ),
    key(
        "stall",
        Duration,
        "\"5s\"",
        "So long nothing is stored, or no disk takes the output, before `wait` drops.",
    ),
    key(
        "redact",
        List(&Text),
        "[]",
        "Regexes on one line whose matches are stored and shown as `***`, also where a longer line is split; a match has at most 1 MiB.",
    ),
    key(
        "ansi",
        Word(&["keep", "strip"]),
        "\"keep\"",
        "Terminal escapes: what is stored. Rules, `ready` and `-g` look at the text without escapes either way.",
    ),
];
