//! The one table of keys: name, type, default, meaning. The walk, the reference page and the test of the defaults go
//! by it.

use super::keys_of_programs::{BREAKER, PROGRAM};

/// What a key may hold.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A path, relative to the file it stands in.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0.
    Count,
    /// A whole number.
    Integer,
    /// Text with units of time; milliseconds.
    Duration,
    /// A duration, or the word `forever`.
    Lasts,
    /// A duration, or one with a minus sign.
    Step,
    /// Text with a unit of size; bytes.
    Size,
    /// A number with at most three decimals; thousandths.
    Ratio,
    /// A number with at most six decimals, or a duration; millionths.
    Amount,
    /// Text, a number, a boolean or a list of these: the value of a parameter.
    Scalar,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A signal by name.
    Signal,
    /// A word or a share.
    Jitter,
    /// A list of arguments, or one text to split.
    Argv,
    /// A list of arguments.
    Args,
    /// A text, a list of texts that are there together, or a table that a boolean parameter chooses.
    Arg,
    /// `{ multiply = … }`, `{ add = … }` or `{ set = … }`.
    Adjust,
    /// A list.
    List(&'static Self),
    /// Names of the writer's choice.
    Map(&'static Self),
    /// These keys.
    Table(&'static [Key]),
    /// Such a table, or `false`.
    TableOrFalse(&'static [Key]),
    /// Tables with names of the writer's choice.
    Tables(&'static [Key]),
    /// A list of such tables.
    Rows(&'static [Key]),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As it would be written; empty: none. In parentheses: a sentence.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

pub(super) const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

use Kind::{Count, Duration, List, Path, Ratio, Size, Table, Tables, Text};

/// The top of the file.
pub(super) const ROOT: &[Key] = &[
    key("version", Count, "1", "Version of this format."),
    key("include", List(&Path), "[]", "More files, relative to this one."),
    key("server", Table(SERVER), "", "The stand-alone daemon; embedded, the application mounts the routes."),
    key("store", Table(STORE), "", "Where things are kept."),
    key("defaults", Table(PROGRAM), "", "Any key of a program; a program overrides key by key."),
    key(
        "retry_budget",
        Table(BUDGET),
        "",
        "Tokens that all programs' retries share; off without this table.",
    ),
    key("program", Tables(PROGRAM), "", "A program."),
    key(
        "breaker",
        Tables(BREAKER),
        "",
        "Rules of shared scopes: exact name, else the longest literal prefix before a `*`.",
    ),
];

const SERVER: &[Key] = &[
    key("listen", Text, "\"127.0.0.1:9700\"", "Address or `unix:PATH`; port 0 picks a free one."),
    key(
        "tokens_file",
        Path,
        "\"tokens.toml\"",
        "Tokens of those who ask from elsewhere; needed off loopback.",
    ),
    key("allowed_hosts", List(&Text), "[]", "Host names that are answered beside the loopback ones."),
];

const STORE: &[Key] = &[
    key("path", Path, "\"supervise-data\"", "The folder; one manager owns it."),
    key("retention", Table(RETENTION), "", "How long things are kept."),
];

const RETENTION: &[Key] = &[
    key("logs", Table(LOGS), "", "Output."),
    key("runs", Table(RUNS), "", "Ended runs with their history."),
    key("journal", Table(JOURNAL), "", "Decisions; what they add up to stays."),
];

const LOGS: &[Key] = &[
    key(
        "max_age",
        Duration,
        "\"14d\"",
        "Older output is removed, by itself: a tenth of this later at most (a second at least, a day at most).",
    ),
    key(
        "max_size",
        Size,
        "\"2GiB\"",
        "Disk of stored output at any time; the oldest is removed before it is exceeded. Less than 8MiB is taken for that.",
    ),
];

const RUNS: &[Key] = &[
    key("max_age", Duration, "\"90d\"", "Older runs are removed."),
    key("max_count", Count, "50000", "Beyond it the oldest are removed."),
];

const JOURNAL: &[Key] = &[
    key(
        "max_age",
        Duration,
        "\"90d\"",
        "Older decisions are removed, at the latest when an eighth more has passed.",
    ),
    key("max_size", Size, "\"512MiB\"", "Beyond it on the disk the oldest are removed. 8MiB at least."),
];

pub(super) const BUDGET: &[Key] = &[
    key("capacity", Ratio, "20.0", "Most tokens."),
    key("deposit", Ratio, "0.2", "Tokens that a first start brings."),
    key("refill_per_minute", Ratio, "2.0", "Tokens that a minute brings."),
    key(
        "on_empty",
        Kind::Word(&["wait", "give_up"]),
        "\"wait\"",
        "What a retry does that finds too few: it waits for them, or the run ends.",
    ),
];
