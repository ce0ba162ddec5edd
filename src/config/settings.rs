//! What a configuration file says, checked.

use super::Diagnostic;
use crate::{BreakerPolicy, Program, RetryBudget, actors::model::rules_of_scope};
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// A whole configuration, with its included files.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The stand-alone daemon.
    pub server: ServerConfig,
    /// Where things are kept, and for how long.
    pub store: StoreConfig,
    /// The programs, in the order of the files.
    pub programs: Vec<Program>,
    /// The `[breaker."…"]` tables in the order of the files: name or pattern, rules.
    pub shared_breakers: Vec<(String, BreakerPolicy)>,
    /// Tokens that retries of all programs share; off by default.
    pub retry_budget: Option<RetryBudget>,
    /// What is allowed but probably not meant, or not acted upon by this version.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// The program of this name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// The rules that the file has for a shared scope: its exact name, else the longest literal prefix; nothing when
    /// no table fits.
    #[must_use]
    pub fn rules_of_scope(&self, scope: &str) -> Option<&BreakerPolicy> {
        rules_of_scope(&self.shared_breakers, scope)
    }
}

/// The stand-alone daemon; embedded, the application mounts the routes itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where it listens. Default `127.0.0.1:9700`.
    pub listen: Listen,
    /// Tokens of those who may ask from elsewhere. Default `tokens.toml` beside the file.
    pub tokens_file: PathBuf,
    /// Host names that are answered beside the loopback ones. Default none.
    pub allowed_hosts: Vec<String>,
}

/// An address to listen on, written `127.0.0.1:9700`, `[::1]:9700` or `unix:PATH`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// An address; port 0 picks a free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("`unix:` needs the path of a socket".into())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = numeric.as_deref().unwrap_or(text).parse();
        address.map(Self::Tcp).map_err(|_| format!("`{text}` is not an address to listen on"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where things are kept, and for how long. Bounded by default: output can never fill the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The folder; the file's is joined to the folder of the file and absolute. One manager owns it. Default `supervise-data`.
    pub path: PathBuf,
    /// Output older than this is removed, in milliseconds; a tenth of it later at most. Default 14 days.
    pub logs_max_age_ms: u64,
    /// Disk that stored output takes at most, in bytes; the oldest is removed before. At least 8 MiB. Default 2 GiB.
    pub logs_max_bytes: u64,
    /// Ended runs older than this are removed, in milliseconds. Default 90 days.
    pub runs_max_age_ms: u64,
    /// The oldest ended runs are removed beyond so many. Default 50,000.
    pub runs_max_count: u32,
    /// Decisions older than this are removed from the journal, in milliseconds. Default 90 days.
    pub journal_max_age_ms: u64,
    /// The oldest decisions are removed beyond so many bytes on the disk; 8 MiB at least. Default 512 MiB.
    pub journal_max_bytes: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 9700))),
            tokens_file: "tokens.toml".into(),
            allowed_hosts: Vec::new(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        const DAY_MS: u64 = 86_400_000;
        Self {
            path: "supervise-data".into(),
            logs_max_age_ms: 14 * DAY_MS,
            logs_max_bytes: 2 << 30,
            runs_max_age_ms: 90 * DAY_MS,
            runs_max_count: 50_000,
            journal_max_age_ms: 90 * DAY_MS,
            journal_max_bytes: 512 << 20,
        }
    }
}
