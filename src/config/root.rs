//! The tables at the top of the file.

use super::{
    breaker::BREAKER,
    keys::{
        Key,
        Kind::{Count, List, Path, Table, Tables},
        Whole, key,
    },
    program::PROGRAM,
    retry_budget::BUDGET,
    server::SERVER,
    store::STORE,
};

/// The top of the file.
pub(super) static ROOT: Whole = Whole(ROWS);

const ROWS: &[Key] = &[
    key("version", Count, "1", "Version of this format."),
    key("include", List(&Path), "[]", "More files, relative to this one."),
    key("server", Table(&SERVER), "", "The stand-alone daemon; embedded, the application mounts the routes."),
    key("store", Table(&STORE), "", "Where things are kept."),
    key("defaults", Table(&PROGRAM), "", "Any key of a program; a program overrides key by key."),
    key(
        "retry_budget",
        Table(&BUDGET),
        "",
        "Tokens that all programs' retries share; off without this table.",
    ),
    key("program", Tables(&PROGRAM), "", "A program."),
    key(
        "breaker",
        Tables(&BREAKER),
        "",
        "Rules of shared scopes: exact name, else the longest literal prefix before a `*`.",
    ),
];
