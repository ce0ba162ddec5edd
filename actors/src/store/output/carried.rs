//! How far streams were stored whose output retention has deleted.
//!
//! The place of a stream is in its newest chunk. When that is deleted and the process lives on, its spool would be read from
//! the beginning after a restart of ours. So the places of streams that still have a spool outlive their chunks, in the file
//! `carried`; where the spool is gone, nobody will ask again.

use super::{
    chunk::{read_attempt, write_attempt},
    segment::{Position, Summary},
};
use crate::{
    model::{AttemptId, Spool, Stream},
    owned,
    store::{
        codec::{In, Out},
        frame::{self, Kind},
    },
};
use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs, io,
    path::Path,
};

pub(super) type Carried = BTreeMap<(AttemptId, Stream), Position>;

/// Notes the places of all streams in these of the sealed segments that still have a spool.
pub(super) fn carry(
    dir: &Path,
    root: &Path,
    known: &mut Carried,
    sealed: &BTreeMap<u64, Summary>,
    doomed: &[u64],
) -> io::Result<()> {
    let spools = fs::read_dir(dir.join("spool")).into_iter().flatten().flatten();
    let names: HashSet<_> = spools.map(|entry| entry.file_name()).collect();
    let lives = |attempt, stream| names.contains(OsStr::new(&Spool::file_name(attempt, stream)));
    let mut carried = known.clone();
    let (before, mut changed) = (carried.len(), false);
    carried.retain(|(attempt, stream), _| lives(*attempt, *stream));
    changed |= carried.len() != before;
    for summary in doomed.iter().filter_map(|number| sealed.get(number)) {
        for ((attempt, stream), position) in &summary.positions {
            if lives(*attempt, *stream) {
                carried.entry((*attempt, *stream)).or_default().add(position);
                changed = true;
            }
        }
    }
    if changed {
        write(root, &carried)?;
        *known = carried;
    }
    Ok(())
}

fn write(root: &Path, carried: &Carried) -> io::Result<()> {
    let mut out = Out::default();
    out.var(carried.len() as u64);
    for ((attempt, stream), position) in carried {
        write_attempt(&mut out, *attempt, *stream);
        let Position { to, next_seq, lines, errors, gaps, open } = *position;
        [to, next_seq, lines, errors, gaps].into_iter().for_each(|number| out.var(number));
        out.u8(u8::from(open));
    }
    let fresh = root.join("carried.new");
    owned::write(&fresh, &frame::seal(Kind::Carried, &out.0))?;
    fs::rename(fresh, root.join("carried"))
}

/// What was noted; nothing where the file is damaged.
pub(super) fn read(root: &Path) -> Carried {
    let bytes = owned::read(&root.join("carried")).unwrap_or_default();
    let read = || {
        let mut body = In(frame::open(Kind::Carried, &bytes)?);
        let mut carried = Carried::new();
        for _ in 0..body.var()? {
            let feed = read_attempt(&mut body)?;
            let position = Position {
                to: body.var()?,
                next_seq: body.var()?,
                lines: body.var()?,
                errors: body.var()?,
                gaps: body.var()?,
                open: body.u8()? == 1,
            };
            carried.insert(feed, position);
        }
        Some(carried)
    };
    read().unwrap_or_else(|| {
        if !bytes.is_empty() {
            log::error!("the places of deleted output are damaged; what is left in spools is stored again");
        }
        Carried::new()
    })
}
