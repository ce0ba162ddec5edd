//! Where output lies between the child and the store.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the output of an attempt lies until it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spool {
    /// The keeper's name for the attempt in wake-ups.
    pub token: u64,
    /// Standard output; may not exist yet, or ever.
    pub stdout: PathBuf,
    /// Standard error; likewise. Unused when merged.
    pub stderr: PathBuf,
}

/// Bytes that an attempt has written, by stream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpoolSizes {
    /// Bytes of standard output.
    pub stdout: u64,
    /// Bytes of standard error.
    pub stderr: u64,
}
