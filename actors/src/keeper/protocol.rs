//! What is said over the control socket: one message per datagram, fixed little-endian fields, no text formats.
//!
//! Decoding never panics and never trusts a length: the other side may be another version of us.

use crate::model::{ExitStatus, Loss, SpoolSizes};

/// The version of this protocol, in both directions' `Hello`. A keeper that outlives its daemon will be talked to by
/// a newer one, so every message stays as it is and new ones get new numbers.
pub const VERSION: u16 = 2;

/// The daemon's word to the keeper.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// First of all; the wake channel's sending end comes with it.
    Hello {
        /// [`VERSION`].
        version: u16,
        /// The file whose lock the keeper holds as long as it lives.
        lock: Vec<u8>,
    },
    /// Start an attempt.
    Launch(Launch),
    /// Stop an attempt's whole tree.
    Stop {
        /// Which.
        token: u64,
        /// First signal.
        signal: i32,
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// Signal an attempt's group.
    Signal {
        /// Which.
        token: u64,
        /// Which signal.
        signal: i32,
    },
    /// The end of an attempt is journalled: no exit record is needed.
    Ack {
        /// Which.
        token: u64,
    },
    /// End when every tree is empty.
    End,
    /// Answer: [`Event::Pong`].
    Ping,
}

/// All that a start needs. Paths are absolute.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Launch {
    /// The daemon's name for the attempt: 1.., below 2^62.
    pub token: u64,
    /// Standard error goes into standard output's pipe.
    pub merge: bool,
    /// The first signal of a stop that nobody asks for: when the daemon is gone.
    pub stop_signal: i32,
    /// Milliseconds until SIGKILL in such a stop.
    pub grace_ms: u64,
    /// Bytes in a spool file and not stored, beyond which the pipe is left full, so that the child waits; 0: no limit.
    pub hold_at: u64,
    /// Milliseconds that output waits which can go nowhere, before it is thrown away and counted; `u64::MAX`: for ever.
    pub patience_ms: u64,
    /// The program's path, then what it sees as its arguments from `argv[0]`.
    pub program: Vec<u8>,
    /// Arguments, the name first.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// Spool file of standard output.
    pub stdout: Vec<u8>,
    /// Spool file of standard error.
    pub stderr: Vec<u8>,
    /// Where the exit record goes when the daemon is gone.
    pub record: Vec<u8>,
}

/// The keeper's word to the daemon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The answer to `Hello`.
    Hello {
        /// [`VERSION`].
        version: u16,
        /// The keeper's process; our own when it is a thread.
        pid: i32,
    },
    /// Somebody else holds the lock: the keeper ends.
    Locked,
    /// The process is there. With it come its pidfd and the reading ends of its pipes.
    Launched {
        /// Which.
        token: u64,
        /// Its process, also its group and session.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
    },
    /// No process came to be.
    LaunchFailed {
        /// Which.
        token: u64,
        /// The kernel's word.
        errno: i32,
    },
    /// The leader ended.
    Exited {
        /// Which.
        token: u64,
        /// How.
        status: ExitStatus,
        /// Bytes in the spool until then.
        sizes: SpoolSizes,
        /// Whether somebody of its group lives on, or holds its pipes.
        leftovers: bool,
        /// Bytes that it wrote and no spool has: those that were thrown away, and those that wait in its pipes because
        /// no spool takes them.
        unspooled: u64,
    },
    /// Nobody of the tree is left.
    Emptied {
        /// Which.
        token: u64,
        /// Bytes in the spool, finally.
        sizes: SpoolSizes,
        /// Bytes that were thrown away, of those told before.
        lost: u64,
    },
    /// Output was thrown away. Told when the spool takes some again, else before [`Event::Emptied`].
    Lost {
        /// Which.
        token: u64,
        /// 0 for standard output and 1 for standard error.
        stream: u8,
        /// The place in the spool where it is missing.
        at: u64,
        /// Bytes of the line that stands there for it, a newline before it included; 0: none does, and nothing follows.
        length: u64,
        /// How much.
        loss: Loss,
    },
    /// Output goes nowhere, and the child waits; or, with 0, it goes on.
    Stuck {
        /// Which.
        token: u64,
        /// The kernel's word about the spool; -1: its reader is behind.
        errno: i32,
    },
    /// The answer to [`Request::Ping`].
    Pong,
}

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It ends before its fields do.
    Short,
    /// It has more than its fields.
    Long,
    /// No message has this number.
    Unknown(u8),
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("the message is too short"),
            Self::Long => f.write_str("the message is too long"),
            Self::Unknown(kind) => write!(f, "message {kind} is unknown"),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl Request {
    /// As one datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Hello { version, lock } => {
                out.byte(1).bytes(&version.to_le_bytes()).text(lock);
            }
            Self::Launch(launch) => {
                out.byte(7).u64(launch.token).byte(launch.merge.into()).i32(launch.stop_signal);
                out.u64(launch.grace_ms).u64(launch.hold_at).u64(launch.patience_ms);
                out.text(&launch.program).list(&launch.argv).list(&launch.env);
                out.text(&launch.cwd).text(&launch.stdout).text(&launch.stderr).text(&launch.record);
            }
            Self::Stop { token, signal, grace_ms } => {
                out.byte(3).u64(*token).i32(*signal).u64(*grace_ms);
            }
            Self::Signal { token, signal } => {
                out.byte(4).u64(*token).i32(*signal);
            }
            Self::Ack { token } => {
                out.byte(5).u64(*token);
            }
            Self::End => {
                out.byte(6);
            }
            Self::Ping => {
                out.byte(8);
            }
        }
        out.0
    }

    /// From one datagram.
    ///
    /// # Errors
    /// [`ProtocolError`] says what is wrong with it.
    pub fn decode(datagram: &[u8]) -> Result<Self, ProtocolError> {
        let mut input = Reader(datagram);
        let request = match input.byte()? {
            1 => Self::Hello { version: u16::from_le_bytes(input.array()?), lock: input.text()? },
            7 => Self::Launch(Launch {
                token: input.u64()?,
                merge: input.byte()? != 0,
                stop_signal: input.i32()?,
                grace_ms: input.u64()?,
                hold_at: input.u64()?,
                patience_ms: input.u64()?,
                program: input.text()?,
                argv: input.list()?,
                env: input.list()?,
                cwd: input.text()?,
                stdout: input.text()?,
                stderr: input.text()?,
                record: input.text()?,
            }),
            3 => Self::Stop { token: input.u64()?, signal: input.i32()?, grace_ms: input.u64()? },
            4 => Self::Signal { token: input.u64()?, signal: input.i32()? },
            5 => Self::Ack { token: input.u64()? },
            6 => Self::End,
            8 => Self::Ping,
            kind => return Err(ProtocolError::Unknown(kind)),
        };
        input.end(request)
    }
}

impl Event {
    /// As one datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Hello { version, pid } => {
                out.byte(65).bytes(&version.to_le_bytes()).i32(*pid);
            }
            Self::Locked => {
                out.byte(66);
            }
            Self::Launched { token, pid, start_ticks } => {
                out.byte(67).u64(*token).i32(*pid).u64(*start_ticks);
            }
            Self::LaunchFailed { token, errno } => {
                out.byte(68).u64(*token).i32(*errno);
            }
            Self::Exited { token, status, sizes, leftovers, unspooled } => {
                let (kind, value) = match status {
                    ExitStatus::Code(code) => (0, *code),
                    ExitStatus::Signal { number, core: false } => (1, *number),
                    ExitStatus::Signal { number, core: true } => (2, *number),
                    ExitStatus::Unknown => (3, 0),
                };
                out.byte(71).u64(*token).byte(kind).i32(value).sizes(*sizes).byte((*leftovers).into());
                out.u64(*unspooled);
            }
            Self::Emptied { token, sizes, lost } => {
                out.byte(70).u64(*token).sizes(*sizes).u64(*lost);
            }
            Self::Lost { token, stream, at, length, loss } => {
                out.byte(72).u64(*token).byte(*stream).u64(*at).u64(*length).u64(loss.bytes).u64(loss.lines);
            }
            Self::Stuck { token, errno } => {
                out.byte(73).u64(*token).i32(*errno);
            }
            Self::Pong => {
                out.byte(74);
            }
        }
        out.0
    }

    /// From one datagram.
    ///
    /// # Errors
    /// [`ProtocolError`] says what is wrong with it.
    pub fn decode(datagram: &[u8]) -> Result<Self, ProtocolError> {
        let mut input = Reader(datagram);
        let event = match input.byte()? {
            65 => Self::Hello { version: u16::from_le_bytes(input.array()?), pid: input.i32()? },
            66 => Self::Locked,
            67 => Self::Launched { token: input.u64()?, pid: input.i32()?, start_ticks: input.u64()? },
            68 => Self::LaunchFailed { token: input.u64()?, errno: input.i32()? },
            71 => Self::Exited {
                token: input.u64()?,
                status: match (input.byte()?, input.i32()?) {
                    (0, code) => ExitStatus::Code(code),
                    (1, number) => ExitStatus::Signal { number, core: false },
                    (2, number) => ExitStatus::Signal { number, core: true },
                    _ => ExitStatus::Unknown,
                },
                sizes: input.sizes()?,
                leftovers: input.byte()? != 0,
                unspooled: input.u64()?,
            },
            70 => Self::Emptied { token: input.u64()?, sizes: input.sizes()?, lost: input.u64()? },
            72 => Self::Lost {
                token: input.u64()?,
                stream: input.byte()?,
                at: input.u64()?,
                length: input.u64()?,
                loss: Loss { bytes: input.u64()?, lines: input.u64()? },
            },
            73 => Self::Stuck { token: input.u64()?, errno: input.i32()? },
            74 => Self::Pong,
            kind => return Err(ProtocolError::Unknown(kind)),
        };
        input.end(event)
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes(&[byte])
    }
    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    fn count(&mut self, count: usize) -> &mut Self {
        self.bytes(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes())
    }
    fn text(&mut self, text: &[u8]) -> &mut Self {
        self.count(text.len()).bytes(text)
    }
    fn list(&mut self, list: &[Vec<u8>]) -> &mut Self {
        self.count(list.len());
        for text in list {
            self.text(text);
        }
        self
    }
    fn sizes(&mut self, sizes: SpoolSizes) -> &mut Self {
        self.u64(sizes.stdout).u64(sizes.stderr)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(ProtocolError::Short)?;
        self.0 = rest;
        Ok(*head)
    }
    fn byte(&mut self) -> Result<u8, ProtocolError> {
        self.array::<1>().map(|[byte]| byte)
    }
    fn u64(&mut self) -> Result<u64, ProtocolError> {
        self.array().map(u64::from_le_bytes)
    }
    fn i32(&mut self) -> Result<i32, ProtocolError> {
        self.array().map(i32::from_le_bytes)
    }
    fn count(&mut self) -> Result<usize, ProtocolError> {
        self.array().map(u32::from_le_bytes).map(|count| count as usize)
    }
    fn text(&mut self) -> Result<Vec<u8>, ProtocolError> {
        let length = self.count()?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(ProtocolError::Short)?;
        self.0 = rest;
        Ok(head.to_vec())
    }
    fn list(&mut self) -> Result<Vec<Vec<u8>>, ProtocolError> {
        // No room is reserved: the count may be a lie, and every element takes four bytes at least.
        (0..self.count()?).map(|_| self.text()).collect()
    }
    fn sizes(&mut self) -> Result<SpoolSizes, ProtocolError> {
        Ok(SpoolSizes { stdout: self.u64()?, stderr: self.u64()? })
    }
    fn end<T>(&self, message: T) -> Result<T, ProtocolError> {
        if self.0.is_empty() { Ok(message) } else { Err(ProtocolError::Long) }
    }
}

#[cfg(test)]
mod tests;
