//! Reading what the store has: in sled, and owed to it.

use super::{
    answer::StoreError,
    block::Block,
    entry::{Commit, Entry, read_entry, read_state},
    frame::{self, Kind},
    journal::Engine,
};
use crate::model::{Place, Written};
use std::collections::BTreeMap;

impl Engine {
    pub(super) fn read(&mut self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        if let Some(base) = self.base.as_mut().filter(|_| !begins_by(self.owed.sealed(), after)) {
            let from = base.segments.before_record(after).map_err(StoreError::Failed)?;
            let walked = base.segments.walk(from, &mut |block: Block| {
                block.entries().for_each(|(_, entry, _)| take_records(entry, after, limit, &mut found));
                found.len() < limit
            });
            walked.map_err(StoreError::Failed)?;
        }
        for entry in self.owed.sealed().filter_map(read_entry) {
            if found.len() == limit {
                break;
            }
            take_records(entry, after, limit, &mut found);
        }
        Ok(found)
    }

    pub(super) fn read_commits(
        &mut self,
        after: Place,
        max_bytes: usize,
    ) -> Result<Vec<Written>, StoreError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut take = |place: Place, entry: Entry, size: usize| {
            if place <= after {
                return true;
            }
            if bytes > 0 && bytes + size > max_bytes {
                return false;
            }
            bytes += size;
            let Commit { records, inputs, .. } = entry.commit;
            found.push(Written { place, records, inputs });
            true
        };
        let mut more = true;
        if let Some(base) = &mut self.base {
            let walked = base.segments.walk(after, &mut |block| {
                more = block.entries().all(|(place, entry, size)| take(place, entry, size));
                more
            });
            walked.map_err(StoreError::Failed)?;
        }
        if more {
            let owed = self.owed.commits();
            owed.filter_map(|(key, sealed)| Some((key, read_entry(sealed)?, sealed.len())))
                .all(|(place, entry, size)| take(place, entry, size));
        }
        Ok(found)
    }

    pub(super) fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut all = BTreeMap::new();
        for item in self.base.iter().flat_map(|base| base.state.scan(prefix)) {
            match frame::open(Kind::State, &item.map_err(StoreError::Failed)?).and_then(read_state) {
                Some((_, key, value)) => drop(all.insert(key, value)),
                None => log::error!("damaged state left out; prefix={prefix}"),
            }
        }
        for (key, pending) in self.pending.range(prefix.to_owned()..) {
            if !key.starts_with(prefix) {
                break;
            }
            match &pending.value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        Ok(all.into_iter().collect())
    }
}

/// Whether every record after this one is among these commits: what is newest is asked for most.
fn begins_by<'a>(sealed: impl Iterator<Item = &'a [u8]>, after: u64) -> bool {
    let first = sealed.filter_map(read_entry).find(|entry| !entry.commit.records.is_empty());
    first.is_some_and(|entry| entry.commit.first_seq <= after.saturating_add(1))
}

fn take_records(entry: Entry, after: u64, limit: usize, found: &mut Vec<Vec<u8>>) {
    let records = (entry.commit.first_seq..).zip(entry.commit.records);
    found.extend(
        records.filter(|(seq, _)| *seq > after).map(|(_, r)| r).take(limit.saturating_sub(found.len())),
    );
}
