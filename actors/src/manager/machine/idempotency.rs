//! The same request twice: a client that lost the answer asks again with the same key, and gets the run it made.
//!
//! A key stands for one request. With it goes a checksum of what was asked for, so that a key that is used again for
//! something else is refused and not answered with a run that is something else (draft-ietf-httpapi-idempotency-key-header,
//! section 2.7). Values of secrets are left out of it: it is stored, and a checksum of a password helps who guesses one.

use super::{Machine, restore};
use crate::{
    manager::{Start, StartError},
    model::{IfBlocked, ParamValue, Params, RunId},
};

impl Machine {
    /// The run that an earlier start with the same key made, while the key is remembered.
    ///
    /// # Errors
    /// [`StartError::KeyReused`] when that was another request.
    pub fn same_start(&self, start: &Start) -> Result<Option<RunId>, StartError> {
        let Some(key) = &start.idempotency_key else { return Ok(None) };
        let Some((run, at, checksum)) = self.keys.get(key) else { return Ok(None) };
        if self.now.since(*at) >= Start::KEY_LIFE_MS {
            return Ok(None);
        }
        match checksum {
            Some(checksum) if *checksum != self.checksum(start) => {
                Err(StartError::KeyReused { key: key.clone(), run: *run })
            }
            _ => Ok(Some(*run)),
        }
    }

    /// Keeps the key of a start that made a run.
    pub(super) fn remember_key(&mut self, start: &Start, run: RunId) {
        let Some(key) = &start.idempotency_key else { return };
        let entry = (run, self.now, Some(self.checksum(start)));
        self.keys.insert(key.clone(), entry);
        self.ledger.save([restore::put_key(key, &entry)]);
    }

    /// Of everything that the request says, but the key and the values of secrets.
    fn checksum(&self, start: &Start) -> u32 {
        let program = self.programs.get(&start.program);
        let is_secret =
            |name: &str| program.and_then(|program| program.params.get(name)).is_some_and(|spec| spec.secret);
        let shown = |(name, value): (&String, &ParamValue)| {
            (name.clone(), if is_secret(name) { ParamValue::Secret } else { value.clone() })
        };
        let params: Params = start.params.iter().map(shown).collect();
        let refuse = start.if_blocked == IfBlocked::Refuse;
        let (by, labels) = (&start.requested_by, &start.labels);
        let asked = (&start.program, params, by, labels, refuse, start.force, start.priority);
        // Maps with text keys and plain values, in order: JSON cannot refuse them, and is the same each time.
        crc32fast::hash(&serde_json::to_vec(&asked).unwrap_or_default())
    }
}
