//! Where output lies between the child and the store.

use super::{AttemptId, Stream};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the output of an attempt lies until it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spool {
    /// The keeper's number for the attempt in wake-ups.
    pub token: u64,
    /// The file of standard output; it may not exist yet, or ever.
    pub stdout: PathBuf,
    /// The file of standard error; it may not exist yet, or ever. Unused when the streams are merged.
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

/// The name of a spool in wake-ups: with it the keeper reports that the spool grew, and its reader how far it is
/// stored. It is the attempt's token times two, plus one for standard error. On the wire it is eight bytes,
/// little-endian.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SpoolName(u64);

impl SpoolName {
    /// Stands for every spool: sent when names had to be left out because the channel was full.
    pub const ALL: Self = Self(u64::MAX);

    /// The name of the spool of this stream of the attempt.
    #[must_use]
    pub const fn new(token: u64, stream: Stream) -> Self {
        Self(token << 1 | matches!(stream, Stream::Stderr) as u64)
    }

    /// The keeper's number for the attempt.
    #[must_use]
    pub const fn token(self) -> u64 {
        self.0 >> 1
    }

    /// The stream of the spool.
    #[must_use]
    pub const fn stream(self) -> Stream {
        if self.0 & 1 == 0 { Stream::Stdout } else { Stream::Stderr }
    }

    /// Encodes one datagram of the keeper: these spools grew.
    #[must_use]
    pub fn encode(names: &[Self]) -> Vec<u8> {
        names.iter().flat_map(|name| name.0.to_le_bytes()).collect()
    }

    /// The names in a datagram of the keeper; bytes behind the last whole name are skipped.
    pub fn decode(datagram: &[u8]) -> impl Iterator<Item = Self> {
        datagram.as_chunks::<8>().0.iter().map(|name| Self(u64::from_le_bytes(*name)))
    }
}

/// What the reader of a spool reports to the keeper: it needs no byte of the spool before this place any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpoolStored {
    /// The name of the spool.
    pub name: SpoolName,
    /// The place in the spool, in bytes.
    pub to: u64,
}

impl SpoolStored {
    /// Encodes one datagram of the reader.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (name, to) = bytes.split_at_mut(8);
        name.copy_from_slice(&self.name.0.to_le_bytes());
        to.copy_from_slice(&self.to.to_le_bytes());
        bytes
    }

    /// The reports in a datagram of the reader; bytes behind the last whole report are skipped.
    pub fn decode(datagram: &[u8]) -> impl Iterator<Item = Self> {
        let (halves, _) = datagram.as_chunks::<8>();
        let (words, _) = halves.as_chunks::<2>();
        words.iter().map(|[name, to]| Self {
            name: SpoolName(u64::from_le_bytes(*name)),
            to: u64::from_le_bytes(*to),
        })
    }
}

/// The number of bytes that an attempt has written, by stream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpoolSizes {
    /// The bytes of standard output.
    pub stdout: u64,
    /// The bytes of standard error.
    pub stderr: u64,
}

/// Output that a child wrote and that will never be read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Loss {
    /// The number of bytes.
    pub bytes: u64,
    /// The number of lines, including the last one when its end is missing.
    pub lines: u64,
}

impl Loss {
    /// Whether nothing was lost.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_of_every_attempt_has_a_name_of_its_own() {
        for token in [1, 2, (1 << 62) - 1] {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let name = SpoolName::new(token, stream);
                assert_eq!((name.token(), name.stream()), (token, stream));
                assert_ne!(name, SpoolName::ALL);
            }
        }
    }

    #[test]
    fn wake_ups_and_answers_are_fixed_bytes() {
        let names = [SpoolName::new(1, Stream::Stderr), SpoolName::ALL];
        let mut bytes = SpoolName::encode(&names);
        assert_eq!(bytes, [3, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        bytes.push(7);
        assert_eq!(SpoolName::decode(&bytes).collect::<Vec<_>>(), names, "a torn name is passed over");
        let stored = SpoolStored { name: SpoolName::new(1, Stream::Stdout), to: 258 };
        let mut bytes = stored.encode().to_vec();
        assert_eq!(bytes, [2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend([7; 8]);
        assert_eq!(SpoolStored::decode(&bytes).collect::<Vec<_>>(), [stored]);
    }
}
