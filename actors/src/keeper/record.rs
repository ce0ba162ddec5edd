//! The exit record: what became of an attempt whose daemon was not there to hear it.

use crate::model::{ExitStatus, Loss, SpoolSizes};
use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// First line of a record.
const HEADING: &str = "actix-process exit 1";

/// One attempt's end, in a small text file beside its spool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExitRecord {
    /// How it ended.
    pub status: ExitStatus,
    /// Milliseconds since the Unix epoch by the wall clock.
    pub ended_at_ms: u64,
    /// Bytes in its spool.
    pub sizes: SpoolSizes,
    /// Whether the keeper had begun to stop it because the daemon was gone.
    pub stopped_by_keeper: bool,
    /// What of standard output and standard error was thrown away and nobody was told of. It belongs at their ends.
    pub losses: [Loss; 2],
}

impl ExitRecord {
    /// Writes the record whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or the folder gone.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = format!("{HEADING}\n");
        let (kind, value) = match self.status {
            ExitStatus::Code(code) => ("code", code),
            ExitStatus::Signal { number, core: false } => ("signal", number),
            ExitStatus::Signal { number, core: true } => ("core", number),
            ExitStatus::Unknown => ("unknown", 0),
        };
        let SpoolSizes { stdout, stderr } = self.sizes;
        let by_keeper = u8::from(self.stopped_by_keeper);
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "{kind} {value}\nended_at {}\nstdout {stdout}\nstderr {stderr}\nby_keeper {by_keeper}\n",
            self.ended_at_ms
        );
        for (name, loss) in ["stdout", "stderr"].iter().zip(self.losses) {
            let _ = writeln!(text, "lost_{name} {} {}", loss.bytes, loss.lines);
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, path)
    }

    /// Reads a record; nothing when there is none or it is damaged.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEADING {
            return None;
        }
        let (kind, value) = lines.next()?.split_once(' ')?;
        let number = value.parse().ok()?;
        let status = match kind {
            "code" => ExitStatus::Code(number),
            "signal" => ExitStatus::Signal { number, core: false },
            "core" => ExitStatus::Signal { number, core: true },
            _ => ExitStatus::Unknown,
        };
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.trim().parse::<u64>().ok();
        Some(Self {
            status,
            ended_at_ms: field("ended_at")?,
            sizes: SpoolSizes { stdout: field("stdout")?, stderr: field("stderr")? },
            stopped_by_keeper: field("by_keeper")? != 0,
            // Records of versions before have none.
            losses: ["lost_stdout", "lost_stderr"].map(|name| {
                let numbers = lines.next().and_then(|line| line.strip_prefix(name)?.trim().split_once(' '));
                let loss = numbers.and_then(|(bytes, lines)| {
                    Some(Loss { bytes: bytes.parse().ok()?, lines: lines.parse().ok()? })
                });
                loss.unwrap_or_default()
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_written_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.exit");
        for status in [
            ExitStatus::Code(3),
            ExitStatus::Signal { number: 9, core: false },
            ExitStatus::Signal { number: 11, core: true },
            ExitStatus::Unknown,
        ] {
            let record = ExitRecord {
                status,
                ended_at_ms: 1_700_000_000_123,
                sizes: SpoolSizes { stdout: 5, stderr: u64::MAX },
                stopped_by_keeper: true,
                losses: [Loss { bytes: 7, lines: 1 }, Loss::default()],
            };
            record.write(&path).unwrap();
            assert_eq!(ExitRecord::read(&path), Some(record));
        }
        fs::write(&path, "actix-process exit 1\ncode").unwrap();
        assert_eq!(ExitRecord::read(&path), None);
        assert_eq!(ExitRecord::read(&folder.path().join("none")), None);
    }
}
