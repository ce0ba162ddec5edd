//! One stream of one attempt: from its spool file into chunks.

use super::{
    hole::{first_data, punch},
    intake::{Findings, Intake},
    machine::{Cut, Items, cut, plain_lines},
    messages::Lose,
    recount::stored_items,
    stored::Stored,
};
use crate::{
    clock,
    model::{AttemptId, Stream, Timestamp},
    store::{Chunk, ChunkHead, Found, Output, Piece},
};
use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

/// Raw bytes of a chunk: 48 KiB of lines pack to some 10 KiB, which one value of sled holds well.
const CHUNK: usize = 48 << 10;

/// Bytes read at once: for fairness between children, and one observed time for all of them.
pub(crate) const READ: usize = 256 << 10;

/// The spool is given back in steps of this size: a hole costs a system call and a change of the file's map.
const PUNCH: u64 = 4 << 20;

/// A chunk in memory.
pub(super) struct Recent {
    pub(super) chunk: Arc<Chunk>,
    pub(super) sent: bool,
}

/// How far a read came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// As much as is read at once was read: there may be more.
    More,
    /// Something was read, and nothing is behind it. If more came meanwhile, the keeper reports it.
    Some,
    /// There was nothing to read.
    End,
}

pub(crate) struct Feed {
    pub(crate) attempt: AttemptId,
    pub(crate) stream: Stream,
    pub(super) program: Arc<str>,
    path: PathBuf,
    pub(super) file: Option<Arc<File>>,
    /// Whether the next turn reads the stream.
    pub(crate) look: bool,
    /// Bytes that were read but are not a whole line yet; they begin at `taken` in the spool.
    pub(crate) tail: Vec<u8>,
    pub(super) taken: u64,
    pub(super) next_seq: u64,
    pub(super) open: bool,
    /// The class with which the unfinished line was reported; `None` when it was not.
    pub(super) told: Option<Arc<str>>,
    /// How far the unfinished line was looked at.
    pub(super) looked_to: u64,
    /// When the unfinished line last grew.
    pub(crate) grew_at: Timestamp,
    building: Option<Box<(Chunk, Timestamp)>>,
    pub(super) recent: VecDeque<Recent>,
    pub(super) held: usize,
    pub(super) unstored: usize,
    pub(super) stored: u64,
    punched: u64,
    /// The losses further on in the spool, in order.
    pub(super) missing: VecDeque<Lose>,
    /// Where the first data of the spool lies, if that is behind a part that was given back and must be reported as
    /// lost.
    pub(super) hole_to: Option<u64>,
    /// The place in the spool up to which the keeper was told that nothing is needed any more.
    pub(super) said: u64,
    pub(crate) lines: u64,
    pub(crate) errors: u64,
    pub(crate) gaps: u64,
    pub(crate) items: u64,
    /// Whether all output was looked at for items: output that an earlier Monitor stored and that is gone may have
    /// told of more.
    pub(crate) all_items: bool,
}

impl Feed {
    /// Goes on where the store ends.
    pub(crate) fn resume(
        attempt: AttemptId,
        stream: Stream,
        program: Arc<str>,
        path: PathBuf,
        items: Option<&Items>,
        output: &Output,
    ) -> Self {
        let at = output.position(attempt, stream);
        let (items, all_items) = items
            .filter(|_| at.to > 0)
            .map_or((0, true), |items| stored_items(items, (attempt, stream), at.to, output));
        Self {
            attempt,
            stream,
            program,
            path,
            file: None,
            look: true,
            tail: Vec::new(),
            taken: at.to,
            next_seq: at.next_seq.max(1),
            open: at.open,
            told: None,
            looked_to: 0,
            grew_at: Timestamp(0),
            building: None,
            recent: VecDeque::new(),
            held: 0,
            unstored: 0,
            stored: at.to,
            punched: 0,
            missing: VecDeque::new(),
            hole_to: None,
            said: 0,
            lines: at.lines,
            errors: at.errors,
            gaps: at.gaps,
            items,
            all_items,
        }
    }

    /// The number of bytes of the spool that were read.
    pub(crate) fn read_to(&self) -> u64 {
        self.taken + self.tail.len() as u64
    }

    /// The number of bytes in memory that are not stored yet.
    pub(crate) fn unstored(&self) -> usize {
        self.unstored
    }

    pub(crate) fn all_stored(&self) -> bool {
        self.building.is_none() && self.stored >= self.taken
    }

    /// Whether a line about missing output is still to be put.
    pub(crate) fn is_missing_something(&self) -> bool {
        !self.missing.is_empty() || self.hole_to.is_some()
    }

    /// When the chunk that is being built was begun; `None` when there is none.
    pub(crate) fn building_since(&self) -> Option<Timestamp> {
        self.building.as_ref().map(|building| building.1)
    }

    /// The number of bytes in the spool now; 0 when there is no spool.
    pub(crate) fn size(&mut self) -> u64 {
        self.open_spool();
        self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
    }

    /// When the spool was last written, in logical time.
    pub(crate) fn written_at(&self) -> Option<Timestamp> {
        self.file.as_ref()?.metadata().ok().as_ref().and_then(clock::of_last_write)
    }

    fn open_spool(&mut self) {
        if self.file.is_some() {
            return;
        }
        match File::open(&self.path) {
            Ok(file) => {
                // What was given back cannot be read again: if the store has lost it, it is lost.
                self.hole_to = first_data(&file, self.taken).filter(|data| *data > self.taken);
                self.file = Some(Arc::new(file));
            }
            // The child has written nothing so far. If it has, what is missing at the end is counted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("spool cannot be opened; attempt={} error={error}", self.attempt),
        }
    }

    /// Reads on, up to this place in the spool, into the block: the unfinished line, and behind it what is new.
    /// Returns how much of the block that is. All streams share the block, so that no child keeps the room that its
    /// largest burst took.
    pub(crate) fn read(&mut self, up_to: u64, block: &mut Vec<u8>) -> (Reading, usize) {
        let (from, have) = (self.read_to(), self.tail.len());
        if block.len() < have + READ {
            block.resize(have + READ, 0);
        }
        // Missing output there is reported before anything behind it.
        let up_to = self.missing.front().map_or(up_to, |lose| up_to.min(lose.at)).max(from);
        let (old, new) = block.split_at_mut(have);
        old.copy_from_slice(&self.tail);
        let length = usize::try_from(up_to.saturating_sub(from)).unwrap_or(READ).min(READ);
        let new = new.get_mut(..length).unwrap_or_default();
        self.open_spool();
        let read = match &self.file {
            Some(file) if length > 0 => file.read_at(new, from).unwrap_or_else(|error| {
                log::warn!("spool cannot be read; attempt={} error={error}", self.attempt);
                0
            }),
            _ => 0,
        };
        let reading = match read {
            0 => Reading::End,
            READ => Reading::More,
            _ => Reading::Some,
        };
        (reading, have + read)
    }

    /// Makes chunks of what was read. With `last`, a line without its end is a line too.
    pub(crate) fn take(&mut self, intake: &mut Intake<'_>, last: bool, block: &[u8]) -> Findings {
        let mut findings = Findings::default();
        let mut at = 0;
        loop {
            let rest = block.get(at..).unwrap_or_default();
            let found = cut(rest, intake.max_line, intake.redactor.seam(), CHUNK, last);
            let length = found.length();
            if length == 0 {
                break;
            }
            let raw = rest.get(..length).unwrap_or_default();
            self.add(raw, &found, intake, &mut findings);
            at += length;
        }
        self.tail = block.get(at..).unwrap_or_default().to_vec();
        findings
    }

    /// Adds one piece to the chunks.
    fn add(&mut self, raw: &[u8], cut: &Cut, intake: &mut Intake<'_>, findings: &mut Findings) {
        let cleaned = intake.redactor.clean(raw, cut);
        let (bytes, shown, raw_lengths) = match &cleaned {
            Some(cleaned) => (cleaned.bytes.as_slice(), &cleaned.lines, cleaned.raw_lengths.as_slice()),
            None => (raw, cut, &[][..]),
        };
        if self.building.as_ref().is_some_and(|begun| begun.0.bytes.len() + bytes.len() > CHUNK) {
            self.seal();
        }
        let colourless = plain_lines(bytes, shown);
        let (text, lines) = colourless.as_ref().map_or((bytes, shown), |(text, lines)| (text, lines));
        let hits = intake.rules.find(text, lines, self.stream);
        if let Some(early) = &mut intake.early {
            early.look(text, lines, self.stream);
        }
        if let Some(items) = intake.items {
            self.items = items.in_block(self.items, text, lines);
        }
        let told = self.told.take();
        *intake.number = (*intake.number + 1).max(intake.now.0 << 12);
        let number = *intake.number;
        let begun = (Chunk { head: self.head(), bytes: Vec::new() }, intake.now);
        let (chunk, _) = &mut **self.building.get_or_insert_with(|| Box::new(begun));
        let (line, at) = (chunk.head.lines, chunk.bytes.len());
        chunk.head.pieces.push(Piece { number, line, at_ms: intake.now.0 });
        chunk.bytes.extend_from_slice(bytes);
        chunk.head.raw_lengths.extend(raw_lengths.iter().map(|(n, length)| (n + line, *length)));
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        chunk.head.splits.extend(shown.splits.iter().map(|split| at.saturating_add(*split)));
        for hit in &hits {
            let Some(rule) = intake.rules.list().get(hit.rule) else { continue };
            let from = hit.line.checked_sub(1).and_then(|n| lines.ends.get(n)).map_or(0, |end| *end as usize);
            let to = lines.ends.get(hit.line).map_or(text.len(), |end| *end as usize);
            let text = text.get(from..to).unwrap_or_default();
            let evidence = intake.evidence(hit.rule, text, self.stream, self.next_seq + hit.line as u64);
            let known = told.as_ref().is_some_and(|class| hit.line == 0 && **class == *rule.class);
            let list = if known { &mut findings.told } else { &mut findings.hits };
            list.push((hit.rule, evidence));
            let label = (rule.class.clone(), rule.name.clone());
            let known = chunk.head.labels.iter().position(|have| *have == label);
            let place = known.unwrap_or_else(|| {
                chunk.head.labels.push(label);
                chunk.head.labels.len() - 1
            });
            let line = line + u32::try_from(hit.line).unwrap_or(u32::MAX);
            chunk.head.found.push(Found { line, label: u32::try_from(place).unwrap_or(u32::MAX) });
        }
        let lines = cut.ends.len() as u64;
        chunk.head.lines += u32::try_from(lines).unwrap_or(u32::MAX);
        self.taken += raw.len() as u64;
        chunk.head.to = self.taken;
        self.open = cut.splits.last().is_some_and(|split| cut.ends.last() == Some(split));
        self.next_seq += lines;
        self.lines += lines;
        self.errors += hits.len() as u64;
        self.held += bytes.len();
        self.unstored += bytes.len();
        findings.lines += lines;
    }

    pub(super) fn head(&self) -> ChunkHead {
        ChunkHead {
            attempt: self.attempt,
            stream: self.stream,
            program: self.program.clone(),
            from: self.taken,
            to: self.taken,
            first_seq: self.next_seq,
            lines: 0,
            pieces: Vec::new(),
            labels: Vec::new(),
            found: Vec::new(),
            splits: Vec::new(),
            raw_lengths: Vec::new(),
            continues: self.open,
            gap: 0,
        }
    }

    /// Ends the chunk that is being built.
    pub(crate) fn seal(&mut self) {
        if let Some((mut chunk, _)) = self.building.take().map(|building| *building) {
            // It stays in memory for a while; the room that it grew into does not.
            chunk.bytes.shrink_to_fit();
            self.recent.push_back(Recent { chunk: Arc::new(chunk), sent: false });
        }
    }

    /// Gives the store the chunks that it has not been given. `told` is called on the writer's thread.
    pub(crate) fn send(
        &mut self,
        output: &Output,
        stored: &Arc<Stored>,
        told: &(impl Fn() + Clone + Send + 'static),
    ) {
        for recent in self.recent.iter_mut().filter(|recent| !recent.sent) {
            let (stored, told) = (stored.clone(), told.clone());
            let (attempt, stream, to) = (self.attempt, self.stream, recent.chunk.head.to);
            recent.sent = output.append(recent.chunk.clone(), move |result| {
                if stored.push(attempt, stream, result.map(|()| to).map_err(|error| error.to_string())) {
                    told();
                }
            });
            if !recent.sent {
                break;
            }
        }
    }

    pub(crate) fn unsent(&self) -> bool {
        self.recent.back().is_some_and(|recent| !recent.sent)
    }

    /// The store has the stream up to here: gives memory and disk back. Returns the number of the newest piece that
    /// left memory.
    pub(crate) fn stored_to(&mut self, to: u64, keep: usize, output: &Output) -> u64 {
        self.stored = self.stored.max(to);
        self.unstored = self
            .recent
            .iter()
            .filter(|recent| recent.chunk.head.to > self.stored)
            .map(|recent| recent.chunk.bytes.len())
            .sum::<usize>()
            + self.building.as_ref().map_or(0, |building| building.0.bytes.len());
        self.give_back(self.stored & !0xfff, PUNCH, output);
        self.shrink(keep)
    }

    /// Drops memory beyond `keep` bytes, as far as it is stored. Returns the number of the newest piece that left
    /// memory.
    pub(crate) fn shrink(&mut self, keep: usize) -> u64 {
        let mut gone = 0;
        while self.held > keep
            && let Some(first) = self.recent.front()
            && first.chunk.head.to <= self.stored
        {
            self.held -= first.chunk.bytes.len();
            gone = first.chunk.head.last_number();
            self.recent.pop_front();
        }
        gone
    }

    /// Drops what was read before this time, and is stored, from memory and spool. Returns the number of the newest
    /// piece that left memory, and when the oldest that is left was read.
    pub(crate) fn expire(&mut self, before: Timestamp, output: &Output) -> (u64, Option<Timestamp>) {
        let read_at = |recent: &Recent| recent.chunk.head.pieces.last().map(|piece| Timestamp(piece.at_ms));
        let mut gone = 0;
        while let Some(first) = self.recent.front()
            && first.chunk.head.to <= self.stored
            && read_at(first).is_none_or(|at| at <= before)
        {
            self.held -= first.chunk.bytes.len();
            gone = first.chunk.head.last_number();
            self.recent.pop_front();
        }
        self.give_back(self.stored, 1, output);
        (gone, self.recent.front().and_then(read_at))
    }

    /// Storing failed: marks everything that is not stored to be given again.
    pub(crate) fn unsend(&mut self) {
        for recent in self.recent.iter_mut().filter(|recent| recent.chunk.head.to > self.stored) {
            recent.sent = false;
        }
    }

    /// The number of bytes of the spool that are no longer needed: they are stored, or given up.
    pub(super) fn released(&self) -> u64 {
        let waiting =
            self.recent.iter().map(|recent| &recent.chunk.head).filter(|head| head.to > self.stored);
        let given_up = waiting.filter(|head| head.gap > 0);
        self.stored + given_up.map(|head| head.to - head.from).sum::<u64>()
    }

    /// Gives the spool back up to this place, if that is at least this much. A part smaller than a block of the disk
    /// is overwritten.
    fn give_back(&mut self, to: u64, least: u64, output: &Output) {
        let from = self.punched;
        let Some(file) = self.file.clone().filter(|_| to.saturating_sub(from) >= least) else { return };
        self.punched = to;
        if !self.punch(&file, from, to, output) {
            self.punched = from;
        }
    }

    /// Gives a part of the spool back, on another thread. Returns false when that thread has too much to do.
    pub(super) fn punch(&self, file: &Arc<File>, from: u64, to: u64, output: &Output) -> bool {
        let (file, path) = (file.clone(), self.path.clone());
        output.read(move || punch(&file, &path, from, to))
    }

    /// Deletes the spool; everything is stored.
    pub(crate) fn delete_spool(&mut self) {
        self.file = None;
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("spool not deleted; path={} error={error}", self.path.display());
            }
            _ => {}
        }
    }

    /// The first byte of the spool that memory holds.
    pub(crate) fn floor(&self) -> u64 {
        let recent = self.recent.front().map(|recent| recent.chunk.head.from);
        recent.or(self.building.as_ref().map(|building| building.0.head.from)).unwrap_or(self.taken)
    }

    /// All chunks in memory, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Arc<Chunk>> {
        let building = self.building.as_ref().map(|building| Arc::new(building.0.clone()));
        self.recent.iter().map(|recent| recent.chunk.clone()).chain(building)
    }
}
