//! What a numbered child writes down of itself: a few numbers in a mapped file, which outlives the child however it ends.

/// Its process id.
pub(crate) const PID: usize = 0;
/// When it began, in nanoseconds of the monotonic clock; likewise [`ENDED`].
pub(crate) const BEGAN: usize = 1;
/// Lines that it began to write.
pub(crate) const ASKED: usize = 2;
/// Lines that it wrote whole.
pub(crate) const WRITTEN: usize = 3;
/// How it is about to end: [`BY_EXIT`] or [`BY_SIGNAL`] and a number; 0 while it has not come to that.
pub(crate) const END: usize = 4;
/// When it came to that.
pub(crate) const ENDED: usize = 5;
/// 1 when another attempt of the run, or what it left behind, was alive at its beginning.
pub(crate) const TWIN: usize = 6;
/// Letters that fill each of its lines.
pub(crate) const PAD: usize = 7;
/// 1 when its lines go to standard error.
pub(crate) const STDERR: usize = 8;

pub(crate) const BY_EXIT: u64 = 1 << 32;
pub(crate) const BY_SIGNAL: u64 = 2 << 32;

/// The line with this number, without its end. Reader and writer make the same.
pub(crate) fn line(run: &str, attempt: &str, number: u64, pad: u64) -> String {
    let tail = &run[run.len().saturating_sub(8)..];
    let pad = usize::try_from(pad).unwrap_or(0);
    format!("{tail}.{attempt} {number} {:x<pad$}", "")
}

/// Nanoseconds of the monotonic clock, which no test sets.
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; the clock exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
