//! The output of children: chunks of lines in segments.
//!
//! One thread packs and writes, two read; nobody else touches sled. What is where is known in memory by segment, so
//! that a question opens only the segments that can answer it. Retention deletes whole segments, oldest first, and holds its
//! limits at any time: [`Retention`].
//!
//! Damage is no error: what sled does not give any more is read from the raw bytes, and where that fails a line says how
//! many lines are lost there. What is missing at the end of a stream nobody can count. A side file that is wrong (the mark,
//! sled's `conf`, the index) is made anew and costs nothing.
//!
//! A chunk is answered for once it survives our death: from then on the spool it came from may be given back. Like the
//! journal it is not power-loss durable, and neither is the spool.
//!
//! Memory that reading or a burst of writing took is given back some seconds after.

mod cache;
mod carried;
mod catalog;
mod chunk;
mod gone;
mod handle;
mod lost;
mod mark;
mod part;
mod recent;
mod recover;
mod retention;
mod salvage;
mod segment;
mod shared;
mod wanted;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    chunk::{Chunk, ChunkHead, Found, Line, Lines, Piece},
    gone::{Missed, Read},
    handle::Output,
    retention::Retention,
    segment::{ChunkRef, Position},
    wanted::Wanted,
};
