//! Counts the items that stored output tells of.
//!
//! A Monitor that goes on with an attempt knows what the store's indexes say, and these do not know what an item is.
//! So what was stored is read again: some hundred megabytes a second, on the Monitor's own thread, once after a death
//! of the supervisor, and only for programs that count items.

use super::machine::{Items, plain};
use crate::{
    model::{AttemptId, Stream},
    store::{Chunk, Output, StoreError, Wanted},
};

/// The number of items that the stored output of this stream tells of, and whether that is all of it up to this
/// place. What retention or damage took, or what cannot be read, tells of no items; then it is not known how many
/// there were.
pub(super) fn stored_items(
    items: &Items,
    (attempt, stream): (AttemptId, Stream),
    to: u64,
    output: &Output,
) -> (u64, bool) {
    let (mut count, mut reached, mut whole) = (0, 0, true);
    let tell = |chunk: &Chunk| {
        whole &= chunk.head.from == reached && chunk.head.gap == 0;
        reached = chunk.head.to;
        // A chunk with a gap is one of our lines, in the place of lost ones.
        if chunk.head.gap == 0 {
            chunk.lines().for_each(|line| count = items.in_line(count, &plain(line.bytes)));
        }
    };
    if let Err(error) = each_chunk(attempt, stream, output, tell) {
        log::warn!("stored output not read for its items; attempt={attempt} error={error}");
        whole = false;
    }
    (count, whole && reached == to)
}

fn each_chunk(
    attempt: AttemptId,
    stream: Stream,
    output: &Output,
    mut tell: impl FnMut(&Chunk),
) -> Result<(), StoreError> {
    let wanted = Wanted {
        run: Some(attempt.run),
        attempt: Some(attempt.number),
        stream: Some(stream),
        ..Wanted::default()
    };
    for (segment, ..) in output.segments(&wanted) {
        for found in output.chunks(segment, &wanted)? {
            output.chunk(segment, &found)?.iter().for_each(|chunk| tell(chunk));
        }
    }
    Ok(())
}
