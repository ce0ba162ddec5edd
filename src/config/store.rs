//! `[store]`: where things are kept, and for how long.

use super::{
    StoreConfig,
    diagnostic::Finding,
    fields::Fields,
    files::{absolute, folder_of},
    keys::{
        Kind::{Count, Duration, Path, Size, Table},
        Rows, key,
    },
};
use std::path;

pub(super) static STORE: Rows<StoreConfig> = Rows(&[
    key("path", Path, "\"supervise-data\"", "The folder; one manager owns it.")
        .sets(|it, key| key.put(&mut it.path)),
    key("retention", Table(&RETENTION), "", "How long things are kept.")
        .sets(|store, key| key.fill(&RETENTION, store)),
]);

static RETENTION: Rows<StoreConfig> = Rows(&[
    key("logs", Table(&LOGS), "", "Output.").sets(|store, key| key.fill(&LOGS, store)),
    key("runs", Table(&RUNS), "", "Ended runs with their history.").sets(|store, key| key.fill(&RUNS, store)),
    key("journal", Table(&JOURNAL), "", "Decisions; what they add up to stays.")
        .sets(|store, key| key.fill(&JOURNAL, store)),
]);

static LOGS: Rows<StoreConfig> = Rows(&[
    key(
        "max_age",
        Duration,
        "\"14d\"",
        "Older output is removed, by itself: a tenth of this later at most (a second at least, a day at most).",
    )
    .sets(|it, key| key.put(&mut it.logs_max_age_ms)),
    key(
        "max_size",
        Size,
        "\"2GiB\"",
        "Disk of stored output at any time; the oldest is removed before it is exceeded. Less than 8MiB is taken for that.",
    )
    .sets(|it, key| key.put(&mut it.logs_max_bytes)),
]);

static RUNS: Rows<StoreConfig> = Rows(&[
    key("max_age", Duration, "\"90d\"", "Older runs are removed.")
        .sets(|it, key| key.put(&mut it.runs_max_age_ms)),
    key("max_count", Count, "50000", "Beyond it the oldest are removed.")
        .sets(|it, key| key.put(&mut it.runs_max_count)),
]);

static JOURNAL: Rows<StoreConfig> = Rows(&[
    key(
        "max_age",
        Duration,
        "\"90d\"",
        "Older decisions are removed, at the latest when an eighth more has passed.",
    )
    .sets(|it, key| key.put(&mut it.journal_max_age_ms)),
    key("max_size", Size, "\"512MiB\"", "Beyond it on the disk the oldest are removed. 8MiB at least.")
        .sets(|it, key| key.put(&mut it.journal_max_bytes)),
]);

/// What the table says. `origin` is the file that the path is relative to where no table says one.
pub(super) fn store(fields: &Fields<'_>, origin: &path::Path, findings: &mut Vec<Finding>) -> StoreConfig {
    let mut store = StoreConfig::default();
    STORE.fill(&mut store, fields, findings);
    if store.path.as_os_str().is_empty()
        && let Some(node) = fields.table.get("path")
    {
        let help = "name a folder for the store alone, for example path = \"supervise-data\"";
        findings.push(Finding::error(node.at, "config.value", "`path` of the store is empty", help));
    }
    let file = fields.sources.get(fields.home).map_or(origin, |source| source.path.as_path());
    store.path = absolute(folder_of(file)).join(store.path);
    store
}
