//! What is stored where, in memory, and what of it goes.

use super::{
    carried::{self, Carried},
    gone::Gone,
    retention::Retention,
    segment::{self, ChunkRef, Segment, Summary},
};
use crate::model::Timestamp;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Default)]
pub(super) struct Catalog {
    pub(super) sealed: BTreeMap<u64, Summary>,
    pub(super) number: u64,
    pub(super) head: Option<Arc<Segment>>,
    pub(super) summary: Summary,
    pub(super) refs: Vec<ChunkRef>,
    pub(super) retention: Retention,
    /// How far streams were stored whose output was deleted.
    pub(super) carried: Carried,
    /// What was deleted lately.
    pub(super) gone: Gone,
}

impl Catalog {
    /// Forgets the oldest sealed segments, so that the rest and so many bytes beside them are within the limits; which
    /// ones. They are to be deleted then.
    pub(super) fn let_go(&mut self, dir: &Path, root: &Path, beside: u64, now: Timestamp) -> Vec<u64> {
        let Retention { max_age_ms, .. } = self.retention;
        let mut total = beside + self.sealed.values().map(|summary| summary.disk).sum::<u64>();
        let old = |summary: &Summary| Timestamp(summary.last_at_ms).plus(max_age_ms) <= now;
        // A segment is in the way of nothing newer, so with one that goes all older ones go too.
        let mut last =
            self.sealed.iter().filter(|(_, summary)| old(summary)).map(|(n, _)| *n).max().unwrap_or(0);
        for (number, summary) in &self.sealed {
            if total <= self.retention.max_bytes() && *number > last {
                break;
            }
            total = total.saturating_sub(summary.disk);
            last = last.max(*number);
        }
        let doomed: Vec<u64> = self.sealed.range(..=last).map(|(number, _)| *number).collect();
        if doomed.is_empty() {
            return doomed;
        }
        if let Err(error) = carried::carry(dir, root, &mut self.carried, &self.sealed, &doomed) {
            // Else what is deleted would be read from its spool again after a restart of ours, as if it were new.
            log::error!("old output not deleted, as its places could not be kept; error={error}");
            return Vec::new();
        }
        for number in &doomed {
            self.gone.add(segment::read_index(&place(root, *number)).unwrap_or_default());
        }
        self.sealed.retain(|number, _| *number > last);
        doomed
    }
}

/// The folder of a segment.
pub(super) fn place(root: &Path, segment: u64) -> PathBuf {
    root.join(format!("{segment:08}"))
}

pub(super) fn delete(path: &Path, number: u64) {
    match fs::remove_dir_all(path) {
        Ok(()) => log::info!("old output deleted; segment={number}"),
        Err(error) => log::warn!("old output not deleted; segment={number} error={error}"),
    }
}
