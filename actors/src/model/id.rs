//! Identities: of a run, an attempt, a scope.

use super::{ScopeKind, split_mix_64};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    str::FromStr,
};

/// The identity of a run: a [ULID](https://github.com/ulid/spec), so that ids sort by the time of the request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u128);

impl RunId {
    /// Builds an id from a time in milliseconds and 80 random bits (higher bits are ignored).
    #[must_use]
    pub fn from_parts(at_ms: u64, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(at_ms, random).0)
    }

    /// The 16 bytes, which sort as the id does.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Appends its 26 characters to the text.
    pub(crate) fn push_to(self, text: &mut String) {
        text.push_str(ulid::Ulid(self.0).array_to_str(&mut [0; ulid::ULID_LEN]));
    }

    /// The last 8 characters: unique enough to type, as `ps` shows it.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string().split_off(18)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ulid::Ulid(self.0).array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ulid::Ulid::from_string(text).map(|id| Self(id.0)).map_err(|_| format!("`{text}` is not a run id"))
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// A map with runs as keys.
pub(crate) type RunMap<V> = HashMap<RunId, V, BuildHasherDefault<RunHasher>>;

/// A hash for ids alone. The standard hash resists attackers that choose keys. These keys are ours, 80 bits of each
/// are chance, and one step of mixing takes a third of the time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunHasher(u64);

impl Hasher for RunHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, id: u128) {
        // The upper half, which holds the time, is alike for runs of one moment: both halves go in.
        let half = |part: u128| u64::try_from(part & u128::from(u64::MAX)).unwrap_or(0);
        self.0 = split_mix_64(self.0 ^ half(id) ^ half(id >> 64).rotate_left(32));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One OS process of a run: the run and the attempt's number in it, from 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct AttemptId {
    /// The run of the attempt.
    pub run: RunId,
    /// The number of the attempt: 1 for the first start of the run; never reused.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.number)
    }
}

/// What a breaker guards: `program:NAME`, a shared key such as `site:shop.example`, `user:NAME` or `global`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Scope(pub String);

impl Scope {
    /// The scope of one program alone.
    #[must_use]
    pub fn program(name: &str) -> Self {
        Self(format!("program:{name}"))
    }

    /// The kind of thing that the scope guards, by its name.
    #[must_use]
    pub fn kind(&self) -> ScopeKind {
        match self.0.split_once(':').map_or(self.0.as_str(), |(kind, _)| kind) {
            "program" => ScopeKind::Program,
            "user" => ScopeKind::User,
            "global" => ScopeKind::Global,
            _ => ScopeKind::Shared,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, hash::BuildHasher};

    #[test]
    fn ids_of_one_moment_and_of_many_moments_have_hashes_of_their_own() {
        let hash = |id: RunId| BuildHasherDefault::<RunHasher>::default().hash_one(id);
        let one_moment = (0..1_000).map(|n| RunId::from_parts(1_800_000_000_000, n));
        let moments = (0..1_000).map(|ms| RunId::from_parts(1_800_000_000_001 + ms, 0));
        let hashes: BTreeSet<_> = one_moment.chain(moments).map(hash).collect();
        assert_eq!(hashes.len(), 2_000);
        let places: BTreeSet<_> = hashes.iter().map(|hash| hash % 256).collect();
        assert!(places.len() > 250, "{}", places.len());
    }
}
