//! Opening a segment that was not sealed, whatever became of it.

use super::{
    chunk::{Chunk, Packed},
    lost::{Before, fill_holes},
    mark::{self, Marked},
    part::Parts,
    segment::{ChunkRef, Segment},
};
use crate::{
    model::{AttemptId, Stream},
    owned,
    store::{
        database,
        frame::{self, Kind},
    },
};
use std::{collections::BTreeMap, fs, path::Path};

/// A segment that can be written, and what there is in it.
pub(super) struct Recovered {
    pub(super) segment: Segment,
    pub(super) refs: Vec<ChunkRef>,
    pub(super) damage: Option<Damage>,
}

/// What was damaged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Damage {
    /// A sentence for people.
    pub(super) what: String,
    /// Whether something is lost, as far as anybody can tell.
    pub(super) lost: bool,
}

/// Opens a segment and lists its chunks. What sled cannot read, or has silently left out, is taken from the raw bytes, into a
/// new segment in the same place. A side file that is wrong is made anew.
///
/// `before`: how far each stream is stored in older segments.
pub(super) fn open(root: &Path, path: &Path, before: &Before) -> Result<Recovered, String> {
    let copy = path.with_extension("before");
    // When sled meets damage it cuts its log there, so what lies behind would be gone before we know of it.
    let copied = owned::copy(&path.join("db"), &copy).is_ok();
    let result = look(root, path, copied.then_some(&*copy), before);
    let _ = fs::remove_file(&copy);
    let mut recovered = result?;
    recovered.segment.keep_mark(recovered.refs.last().map_or(0, |chunk| chunk.key));
    Ok(recovered)
}

fn look(root: &Path, path: &Path, copy: Option<&Path>, before: &Before) -> Result<Recovered, String> {
    let marked = mark::read(&path.join("mark"));
    let (segment, refs) = match Segment::open(path).and_then(|segment| Ok((segment.list()?, segment))) {
        Ok((refs, segment)) => (segment, refs),
        Err(problem) => {
            database::room(root).map_err(|error| format!("its disk takes nothing: {error}; {problem}"))?;
            return rebuild(root, path, copy, before, Vec::new(), &problem);
        }
    };
    let last = refs.last().map_or(0, |chunk| chunk.key);
    let missing = match marked {
        Marked::None => None,
        Marked::Damaged => Some("its mark is damaged".to_owned()),
        Marked::To(key) | Marked::Unproven(key) => {
            (key > last).then(|| format!("chunks are missing from {last} to {key}"))
        }
    };
    let Some(missing) = missing else {
        let damage = segment.mended.then(|| side_file(path, "conf"));
        return Ok(Recovered { segment, refs, damage });
    };
    // A mark that can be wrong is, when the raw bytes have no more than sled has.
    if !matches!(marked, Marked::To(_)) && !has_more(&database::raw(copy, path), &refs) {
        return Ok(Recovered { segment, refs, damage: Some(side_file(path, "mark")) });
    }
    database::room(root).map_err(|error| format!("its disk takes nothing: {error}; {missing}"))?;
    let read = refs.iter().filter_map(|chunk| segment.get(chunk.key).ok().flatten()).collect();
    drop(segment);
    rebuild(root, path, copy, before, read, &missing)
}

fn side_file(path: &Path, name: &str) -> Damage {
    let what = format!("the file {} was damaged and made anew", path.join(name).display());
    Damage { what, lost: false }
}

/// How far each stream is stored.
type Ends = BTreeMap<(AttemptId, Stream), u64>;

/// Whether raw bytes have output that lies behind what is known. sled's log is one: what it has, it has without a hole.
fn has_more(raw: &[u8], refs: &[ChunkRef]) -> bool {
    let mut ends = Ends::new();
    for chunk in refs {
        let end = ends.entry((chunk.attempt, chunk.stream)).or_default();
        *end = chunk.to.max(*end);
    }
    whole(raw, &ends).next().is_some()
}

/// All chunks that raw bytes still have and that go beyond what is known.
fn whole<'a>(raw: &'a [u8], known: &'a Ends) -> impl Iterator<Item = Chunk> + 'a {
    let parts = Parts::of(raw);
    let packed = frame::salvage(Kind::Chunk, raw).filter_map(Packed::read_body).filter(|packed| {
        let head = &packed.head;
        known.get(&(head.attempt, head.stream)).is_none_or(|end| head.to > *end)
    });
    packed.filter_map(move |packed| packed.unpack_from(raw, &parts))
}

/// Moves the old segment aside and makes a new one of what sled gave and of what the raw bytes have.
fn rebuild(
    root: &Path,
    path: &Path,
    copy: Option<&Path>,
    before: &Before,
    read: Vec<Chunk>,
    problem: &str,
) -> Result<Recovered, String> {
    let aside = database::quarantine(root, path).map_err(|error| format!("{problem}; {error}"))?;
    let raw = database::raw(copy, &aside);
    let segment = Segment::open(path)?;
    let mut ends = Ends::new();
    for head in read.iter().map(|chunk| &chunk.head) {
        let end = ends.entry((head.attempt, head.stream)).or_default();
        *end = head.to.max(*end);
    }
    let mut saved = read;
    saved.extend(whole(&raw, &ends));
    drop(raw);
    saved.sort_by_key(|chunk| (chunk.head.first_number(), chunk.head.from));
    saved.dedup_by(|a, b| a.head == b.head);
    let count = saved.len();
    let mut refs: Vec<ChunkRef> = Vec::new();
    let mut lost = 0;
    for chunk in fill_holes(saved, before) {
        let key = refs.last().map_or(1, |chunk| chunk.key + 1);
        lost += chunk.head.gap;
        refs.push(segment.append(key, &chunk)?);
    }
    segment.flush()?;
    let what = format!(
        "a segment of output was damaged ({problem}); it was moved to {}; {count} chunks were saved, and {lost} lines are known to \
         be lost",
        aside.display()
    );
    // What is missing at the end of a stream nobody can count, so that none lost is no promise here.
    Ok(Recovered { segment, refs, damage: Some(Damage { what, lost: true }) })
}
