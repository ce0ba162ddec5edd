//! How the operating system ended an attempt, or refused to begin it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the kernel reported about a process's end. Whether that is good or bad is a matter of its
/// [`Class`](super::Class).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// The process called `exit` with this code, 0 to 255.
    Code(i32),
    /// A signal ended the process.
    Signal {
        /// The number of the signal.
        number: i32,
        /// Whether a core was dumped.
        core: bool,
    },
    /// The end was not seen: the process died while no supervisor and no keeper ran.
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

/// The names of the signals that have one everywhere on Linux.
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

/// The first real-time signal, as programs of glibc know it: glibc keeps the two before for itself.
const FIRST_REAL_TIME: i32 = 34;

/// The names of the real-time signals, from [`FIRST_REAL_TIME`] to 64, which is also `SIGRTMAX`.
const REAL_TIME: [&str; 31] = [
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+16",
    "SIGRTMIN+17",
    "SIGRTMIN+18",
    "SIGRTMIN+19",
    "SIGRTMIN+20",
    "SIGRTMIN+21",
    "SIGRTMIN+22",
    "SIGRTMIN+23",
    "SIGRTMIN+24",
    "SIGRTMIN+25",
    "SIGRTMIN+26",
    "SIGRTMIN+27",
    "SIGRTMIN+28",
    "SIGRTMIN+29",
    "SIGRTMIN+30",
];

/// The name of a signal: `SIGTERM` for 15, `SIGRTMIN+1` for 35; `None` for 32, 33 and numbers that are no signal.
#[must_use]
pub fn signal_name(number: i32) -> Option<&'static str> {
    let named = SIGNALS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
    named.or_else(|| {
        let place = number.checked_sub(FIRST_REAL_TIME).and_then(|n| usize::try_from(n).ok())?;
        REAL_TIME.get(place).copied()
    })
}

/// The number of `SIGTERM` or `TERM`, of `SIGRTMIN+1` or `SIGRTMAX-29`; `None` for a name that is no signal.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let named = SIGNALS.iter().find(|(_, full)| full.get(3..) == Some(bare)).map(|(n, _)| *n);
    named.or_else(|| {
        let last = FIRST_REAL_TIME + i32::try_from(REAL_TIME.len()).ok()? - 1;
        let (begin, rest) = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
            (Some(rest), _) => (FIRST_REAL_TIME, rest),
            (None, Some(rest)) => (last, rest),
            (None, None) => return None,
        };
        let offset = if rest.is_empty() { 0 } else { rest.parse::<i32>().ok()? };
        let signed = rest.is_empty() || rest.starts_with(['+', '-']);
        let number = begin.checked_add(offset)?;
        (signed && (FIRST_REAL_TIME..=last).contains(&number)).then_some(number)
    })
}

/// Why no process was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpawnFailure {
    /// Which part of the start was wrong.
    pub problem: SpawnProblem,
    /// The name of the kernel's error, such as `ENOENT`; empty where the start was refused before the kernel was
    /// asked.
    pub errno: String,
    /// What happened, with the file that it happened to.
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
    /// The system is short of a resource for now: memory, processes, descriptors.
    Scarcity,
    /// The keeper is gone; it is being replaced.
    Keeper,
    /// Any other problem; the message has the kernel's error.
    Other,
}

impl SpawnProblem {
    /// Whether the same start may work a little later without any change.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_have_names_that_lead_back() {
        for (number, name) in [(34, "SIGRTMIN"), (35, "SIGRTMIN+1"), (50, "SIGRTMIN+16"), (64, "SIGRTMIN+30")]
        {
            assert_eq!(signal_name(number), Some(name));
        }
        for number in (1..=31).chain(34..=64) {
            assert_eq!(signal_number(signal_name(number).unwrap()), Some(number));
        }
        for number in [i32::MIN, -1, 0, 32, 33, 65, i32::MAX] {
            assert_eq!(signal_name(number), None, "{number}");
        }
        assert_eq!(ExitStatus::Signal { number: 34, core: false }.to_string(), "SIGRTMIN");
    }

    #[test]
    fn real_time_signals_may_be_counted_from_either_end() {
        for (name, number) in [("RTMIN+2", 36), ("SIGRTMAX", 64), ("RTMAX-2", 62), ("SIGRTMAX-30", 34)] {
            assert_eq!(signal_number(name), Some(number), "{name}");
        }
        for name in ["RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN2", "RTMIN+", "RTMIN+x", "RTMAX-31", "rtmin"] {
            assert_eq!(signal_number(name), None, "{name}");
        }
    }
}
