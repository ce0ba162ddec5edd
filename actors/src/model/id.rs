//! Identities: of a run, an attempt, a scope.

use super::ScopeKind;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

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

    /// The last 8 characters: unique enough to type, as `ps` shows it.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string().split_off(18)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ulid::Ulid(self.0).to_string())
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

/// One OS process of a run: the run and the attempt's number in it, from 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct AttemptId {
    /// The run.
    pub run: RunId,
    /// 1 for the first start of the run; never reused.
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

    /// What kind of thing it guards, by its name.
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
