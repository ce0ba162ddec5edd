//! Finding out what there is of stored output.

use super::{
    carried,
    catalog::{Catalog, delete, place},
    lost::Before,
    retention::Retention,
    salvage::{self, Damage},
    segment::{self, Summary},
};
use crate::clock;
use std::{fs, path::Path, sync::Arc};

/// What was not sealed is looked through, and repaired where it must be.
pub(super) fn recover(
    dir: &Path,
    root: &Path,
    retention: Retention,
) -> Result<(Catalog, Vec<Damage>), String> {
    let mut numbers: Vec<u64> = fs::read_dir(root)
        .map_err(|error| error.to_string())?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let newest = numbers.last().copied();
    let mut catalog = Catalog { retention, carried: carried::read(root), ..Catalog::default() };
    let mut damages = Vec::new();
    let mut before = Before { whole: numbers.first().is_none_or(|first| *first == 1), ..Before::default() };
    before.positions.extend(&catalog.carried);
    for number in numbers {
        let path = place(root, number);
        if let Some(refs) = segment::read_index(&path) {
            let mut summary = Summary::of(&refs);
            summary.disk = segment::disk_bytes(&path);
            before.positions.extend(&summary.positions);
            catalog.sealed.insert(number, summary);
            continue;
        }
        make_room(dir, root, &mut catalog, &path);
        let recovered = salvage::open(dir, &path, &before)?;
        damages.extend(recovered.damage);
        let mut summary = Summary::of(&recovered.refs);
        if newest == Some(number) {
            (catalog.number, catalog.head) = (number, Some(Arc::new(recovered.segment)));
            (catalog.summary, catalog.refs) = (summary, recovered.refs);
        } else {
            segment::write_index(&path, &recovered.refs).map_err(|error| error.to_string())?;
            summary.disk = segment::disk_bytes(&path);
            catalog.sealed.insert(number, summary);
        }
    }
    if catalog.head.is_none() {
        let number = newest.unwrap_or(0) + 1;
        let recovered = salvage::open(dir, &place(root, number), &before)?;
        (catalog.number, catalog.head) = (number, Some(Arc::new(recovered.segment)));
    }
    Ok((catalog, damages))
}

/// A segment is copied before it is looked through, and the copy counts, too.
fn make_room(dir: &Path, root: &Path, catalog: &mut Catalog, path: &Path) {
    let size = segment::disk_bytes(path);
    for number in catalog.let_go(dir, root, 2 * size, clock::now()) {
        delete(&place(root, number), number);
    }
}
