//! How much output is kept, and for how long.
//!
//! Deleted are whole segments, the oldest first: the only way in which sled gives disk back. So that this is a small step,
//! segments are small beside both limits: a sixteenth of the size, a tenth of the age. Then:
//! - `du` of the folder is within `max_bytes` at any time, sled's own overhead, the growing segment and what is about to be
//!   written included. Kept is that much less than the limit: a segment, and a group of chunks. A limit below 8 MiB is
//!   taken for 8 MiB.
//! - A line is gone at most a tenth of `max_age` after it has become so old (a day at most, a second at least), whether
//!   its program writes on or not, also when no supervisor ran at that time.

use super::{
    carried,
    catalog::{Catalog, Shared},
    recover::place,
    segment::{self, Summary},
};
use crate::{clock, model::Timestamp};
use std::{fs, path::Path};

/// Below this, one segment and the next one's beginning would not find room.
const LEAST_BYTES: u64 = 8 << 20;

/// Disk of a segment at most: small enough that sled opens it in a moment, large enough that two gigabytes are some
/// hundred folders. About half of it is packed output, as sled writes a value twice.
const SEGMENT_BYTES: u64 = 24 << 20;

/// A segment is sealed at this age even when it is small.
const SLICE_MS: u64 = 86_400_000;

/// Raw bytes of chunks that share one flush at most.
const GROUP_BYTES: u64 = 1 << 20;

/// How much output is kept. The first limit that is reached counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retention {
    /// Bytes on the disk. Default 2 GiB; less than 8 MiB is taken for that.
    pub max_bytes: u64,
    /// Milliseconds. Default 14 days.
    pub max_age_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_bytes: 2 << 30, max_age_ms: 14 * 86_400_000 }
    }
}

impl Retention {
    /// These limits.
    #[must_use]
    pub const fn new(max_bytes: u64, max_age_ms: u64) -> Self {
        Self { max_bytes, max_age_ms }
    }

    /// How much longer than its age a line may be kept.
    #[must_use]
    pub fn slice_ms(&self) -> u64 {
        (self.max_age_ms / 10).clamp(1_000, SLICE_MS)
    }

    fn max_bytes(&self) -> u64 {
        self.max_bytes.max(LEAST_BYTES)
    }

    /// A segment of this size on the disk is sealed.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.max_bytes() / 16).min(SEGMENT_BYTES)
    }

    /// Raw bytes of chunks that are written together.
    pub(super) fn group_bytes(&self) -> u64 {
        (self.max_bytes() / 64).min(GROUP_BYTES)
    }

    /// What writing so many raw bytes may add to the disk: sled writes values twice, in steps of half a megabyte.
    pub(super) const fn growth(raw: u64) -> u64 {
        2 * raw + (512 << 10)
    }
}

impl Shared {
    /// Measures a sealed segment anew.
    pub(super) fn measure(&self, number: u64) {
        let disk = segment::disk_bytes(&self.path(number));
        if let Some(summary) = self.catalog().sealed.get_mut(&number) {
            summary.disk = disk;
        }
    }

    /// When something will be too old, or old enough to be sealed; none when there is nothing.
    pub(super) fn retain_at(&self) -> Option<Timestamp> {
        let catalog = self.catalog();
        let Catalog { sealed, summary, refs, retention, .. } = &*catalog;
        let seal = (!refs.is_empty()).then(|| Timestamp(summary.first_at_ms).plus(retention.slice_ms()));
        let delete = sealed.first_key_value();
        let delete = delete.map(|(_, oldest)| Timestamp(oldest.last_at_ms).plus(retention.max_age_ms));
        seal.into_iter().chain(delete).min()
    }

    /// Whether the head is large or old enough.
    pub(super) fn seal_due(&self) -> bool {
        let (old, path, most) = {
            let catalog = self.catalog();
            if catalog.refs.is_empty() {
                return false;
            }
            let sliced = Timestamp(catalog.summary.first_at_ms).plus(catalog.retention.slice_ms());
            (sliced <= clock::now(), self.path(catalog.number), catalog.retention.segment_bytes())
        };
        old || segment::disk_bytes(&path) >= most
    }

    /// Deletes the oldest sealed segments until the rest, with so many bytes more, is within the limits.
    pub(super) fn retain(&self, more: u64) {
        let head = segment::disk_bytes(&self.path(self.catalog().number));
        let doomed = self.catalog().let_go(self.store.dir(), &self.root, head + more, clock::now());
        for number in doomed {
            self.forget(number);
            delete(&self.path(number), number);
        }
    }
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
        if let Err(error) = carried::carry(dir, root, self, &doomed) {
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

pub(super) fn delete(path: &Path, number: u64) {
    match fs::remove_dir_all(path) {
        Ok(()) => log::info!("old output deleted; segment={number}"),
        Err(error) => log::warn!("old output not deleted; segment={number} error={error}"),
    }
}
