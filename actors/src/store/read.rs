//! Reading what the store has: in sled, and owed to it.

use super::{
    database::guard,
    entry::{Entry, key_bytes, read_entry, read_key, read_state},
    frame::{self, Kind},
    handle::{Commit, StoreError},
    journal::{Base, Engine},
};
use crate::model::{Place, Written};
use std::{collections::BTreeMap, ops::Bound};

impl Engine {
    pub(super) fn read(&self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        if let Some(base) = &self.base {
            read_base(base, after, limit, &mut found)?;
        }
        for entry in self.owed.iter().filter_map(|(_, sealed)| read_entry(sealed)) {
            take_records(entry, after, limit, &mut found);
        }
        Ok(found)
    }

    pub(super) fn read_commits(&self, after: Place, max_bytes: usize) -> Result<Vec<Written>, StoreError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let stored = self.base.iter().flat_map(|base| {
            base.journal.range((Bound::Excluded(key_bytes(after)), Bound::Unbounded)).map(|item| {
                let (key, value) = guard(|| item).map_err(StoreError::Failed)?;
                Ok((read_key(&key).unwrap_or_default(), value.to_vec()))
            })
        });
        let owed = self.owed.iter().filter(|(key, _)| *key > after).map(|owed| Ok(owed.clone()));
        for item in stored.chain(owed) {
            let (place, sealed) = item?;
            if bytes > 0 && bytes + sealed.len() > max_bytes {
                break;
            }
            bytes += sealed.len();
            let Some(Entry { commit: Commit { records, inputs, .. }, .. }) = read_entry(&sealed) else {
                continue;
            };
            found.push(Written { place, records, inputs });
        }
        Ok(found)
    }

    pub(super) fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut all = BTreeMap::new();
        for item in self.base.iter().flat_map(|base| base.state.scan_prefix(prefix)) {
            let (_, value) = guard(|| item).map_err(StoreError::Failed)?;
            match frame::open(Kind::State, &value).and_then(read_state) {
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

/// Records of the database beyond `after`.
fn read_base(base: &Base, after: u64, limit: usize, found: &mut Vec<Vec<u8>>) -> Result<(), StoreError> {
    let mut start = key_bytes((0, 0)).to_vec();
    for item in base.journal.range(..=key_bytes((after.saturating_add(1), u32::MAX))).rev() {
        let (key, value) = guard(|| item).map_err(StoreError::Failed)?;
        start = key.to_vec();
        if read_entry(&value).is_some_and(|e| !e.commit.records.is_empty() && e.commit.first_seq <= after) {
            break;
        }
    }
    for item in base.journal.range(start..) {
        let (_, value) = guard(|| item).map_err(StoreError::Failed)?;
        let Some(entry) = read_entry(&value) else { continue };
        take_records(entry, after, limit, found);
        if found.len() == limit {
            break;
        }
    }
    Ok(())
}

fn take_records(entry: Entry, after: u64, limit: usize, found: &mut Vec<Vec<u8>>) {
    let records = (entry.commit.first_seq..).zip(entry.commit.records);
    found.extend(
        records.filter(|(seq, _)| *seq > after).map(|(_, r)| r).take(limit.saturating_sub(found.len())),
    );
}
