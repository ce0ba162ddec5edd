//! How the operating system ended an attempt, or refused to begin it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the kernel said of a process's end. Whether that is good or bad is a [`Class`](super::Class)'s business.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It called `exit` with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether a core was dumped.
        core: bool,
    },
    /// Nobody saw the end: it died while no supervisor and no keeper ran.
    Unknown,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal { number, core } => {
                match signal_name(*number) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal {number}")?,
                }
                if *core { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            Self::Unknown => f.write_str("end not seen"),
        }
    }
}

/// Names of the signals that have one everywhere on Linux.
const SIGNALS: [(i32, &str); 31] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGSYS, "SIGSYS"),
];

/// `SIGTERM` for 15; nothing for real-time signals and numbers that are none.
#[must_use]
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// The number of `SIGTERM` or `TERM`.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    SIGNALS.iter().find(|(_, full)| full.get(3..) == Some(bare)).map(|(n, _)| *n)
}

/// Why no process came to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpawnFailure {
    /// Which part was wrong.
    pub problem: SpawnProblem,
    /// The kernel's error, by its name, such as `ENOENT`; empty where we refused before asking the kernel.
    pub errno: String,
    /// What happened, with the file it happened to.
    pub message: String,
    /// One thing to do about it.
    pub help: String,
}

/// Which part of a start was wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpawnProblem {
    /// The script or program does not exist on the search path.
    NotFound,
    /// The file exists, but the interpreter its first line asks for does not.
    Interpreter,
    /// The working directory does not exist or is no directory.
    Cwd,
    /// The file is not executable, or a folder on the way may not be entered.
    Permission,
    /// The file is executable, but no format that the kernel knows.
    Format,
    /// A parameter, the environment file or a secret cannot be used as it is.
    Input,
    /// The system is short of something for now: memory, processes, descriptors.
    Scarcity,
    /// The keeper is gone; it is being replaced.
    Keeper,
    /// Anything else; the message has the kernel's word.
    Other,
}

impl SpawnProblem {
    /// Whether the same start may work a little later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Scarcity | Self::Keeper => true,
            Self::NotFound
            | Self::Interpreter
            | Self::Cwd
            | Self::Permission
            | Self::Format
            | Self::Input
            | Self::Other => false,
        }
    }
}
