//! How much output is kept, and for how long.
//!
//! Deleted are whole segments, the oldest first: the only way in which sled gives disk back. So that this is a small step,
//! segments are small beside both limits: a sixteenth of the size, a tenth of the age. Then:
//! - `du` of the folder is within `max_bytes` at any time, sled's own overhead, the growing segment and what is about to be
//!   written included. Kept is that much less than the limit: a segment, and a group of chunks. A limit below 8 MiB is
//!   taken for 8 MiB.
//! - A line is gone at most a tenth of `max_age` after it has become so old (a day at most, a second at least), whether
//!   its program writes on or not, also when no supervisor ran at that time.

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

    pub(super) fn max_bytes(&self) -> u64 {
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
