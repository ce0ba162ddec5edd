//! Where output lies between the child and the store.

use super::{AttemptId, Stream};
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

impl Spool {
    /// The name of a stream's file in the folder `spool` of the store.
    #[must_use]
    pub fn file_name(attempt: AttemptId, stream: Stream) -> String {
        let kind = match stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        };
        format!("{}.{}.{kind}", attempt.run, attempt.number)
    }
}

/// Bytes that an attempt has written, by stream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpoolSizes {
    /// Bytes of standard output.
    pub stdout: u64,
    /// Bytes of standard error.
    pub stderr: u64,
}

/// Output that a child wrote and nobody will read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Loss {
    /// Bytes.
    pub bytes: u64,
    /// Lines, the last one too when its end is missing.
    pub lines: u64,
}

impl Loss {
    /// Whether there is none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.bytes == 0
    }
}
