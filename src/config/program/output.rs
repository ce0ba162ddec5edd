//! `[program.NAME.output]`: how output is kept.

use super::super::keys::{
    Kind::{Duration, List, Size, Text, Word},
    Rows, key,
};
use crate::{Backlog, OutputPolicy, StderrMode};

pub(super) static OUTPUT: Rows<OutputPolicy> = Rows(&[
    key("max_line", Size, "\"64KiB\"", "A longer line is split and marked.")
        .sets(|it, key| key.put(&mut it.max_line)),
    key("recent", Size, "\"1MiB\"", "Kept in memory for each attempt.")
        .sets(|it, key| key.put(&mut it.recent)),
    key("stderr", Word(&["separate", "merge"]), "\"separate\"", "`merge`: one stream in exact order.")
        .sets(|it, key| key.word(&mut it.stderr, &[StderrMode::Separate, StderrMode::Merge])),
    key("backlog", Size, "\"256MiB\"", "Written by the child, not yet stored.")
        .sets(|it, key| key.put(&mut it.backlog)),
    key(
        "on_backlog",
        Word(&["wait", "drop", "block"]),
        "\"wait\"",
        "Beyond. `wait`: the child waits while the store makes progress; once it has stood still for `stall`, lines are dropped and counted. `drop`: at once. `block`: the child waits, however long.",
    )
    .sets(|it, key| key.word(&mut it.on_backlog, &[Backlog::Wait, Backlog::Drop, Backlog::Block])),
    key(
        "stall",
        Duration,
        "\"5s\"",
        "So long nothing is stored, or no disk takes the output, before `wait` drops.",
    )
    .sets(|it, key| key.put(&mut it.stall_ms)),
    key(
        "redact",
        List(&Text),
        "[]",
        "Regexes on one line whose matches are stored and shown as `***`, also where a longer line is split; a match has at most 1 MiB.",
    )
    .sets(|it, key| key.put(&mut it.redact)),
    key(
        "ansi",
        Word(&["keep", "strip"]),
        "\"keep\"",
        "Terminal escapes: what is stored. Rules, `ready` and `-g` look at the text without escapes either way.",
    )
    .sets(|it, key| key.word(&mut it.strip_ansi, &[false, true])),
]);
