//! What is done in which round, decided by a seed before anything is done.

use crate::draw::Draw;

/// What is done to a life of the daemon.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Act {
    KillDaemon,
    KillKeeper,
    /// The daemon, and the keeper so many milliseconds later.
    KillBothDaemonFirst(u64),
    KillBothKeeperFirst(u64),
    /// One of those that live.
    KillChild(u64),
    /// The daemon, and the next one so many milliseconds after it was started.
    KillDuringStart(u64),
    /// SIGTERM, and SIGKILL so many milliseconds later.
    KillDuringShutdown(u64),
    /// Stands still for so many milliseconds, then the daemon is killed.
    HangAndKill(u64),
    /// Likewise, then goes on.
    Hang(u64),
    Shutdown,
}

impl Act {
    /// Who died, as the figures are kept.
    pub(crate) const fn who(self) -> &'static str {
        match self {
            Self::KillDaemon => "daemon",
            Self::KillKeeper => "keeper",
            Self::KillBothDaemonFirst(_) | Self::KillBothKeeperFirst(_) => "both",
            Self::KillChild(_) => "child",
            Self::KillDuringStart(_) => "daemon, and again during start",
            Self::KillDuringShutdown(_) => "daemon during shutdown",
            Self::HangAndKill(_) => "daemon that stood still",
            Self::Hang(_) => "nobody, stood still",
            Self::Shutdown => "nobody, shut down",
        }
    }

    fn draw(draw: &mut Draw) -> Self {
        match draw.between(0, 15) {
            0..=2 => Self::KillDaemon,
            3 | 4 => Self::KillKeeper,
            5 => Self::KillBothDaemonFirst(draw.between(0, 3)),
            6 => Self::KillBothKeeperFirst(draw.between(0, 3)),
            7 => Self::KillChild(draw.next()),
            8 | 9 => Self::KillDuringStart(draw.between(3, 60)),
            10 | 11 => Self::KillDuringShutdown(draw.between(0, 80)),
            12 | 13 => Self::HangAndKill(draw.between(100, 700)),
            14 => Self::Hang(draw.between(100, 700)),
            _ => Self::Shutdown,
        }
    }
}

/// A run that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) program: &'static str,
    /// Names and values of its parameters.
    pub(crate) params: Vec<(&'static str, u64)>,
}

/// One life of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) jobs: Vec<Asked>,
    /// How long the life goes on after its jobs were asked for.
    pub(crate) after_ms: u64,
    pub(crate) act: Act,
    /// Where the wall clock stands in the next life, in milliseconds from where it should; `None`: as before.
    pub(crate) clock_ms: Option<i64>,
}

pub(crate) fn rounds(seed: u64, count: usize) -> Vec<Round> {
    let mut draw = Draw::of(seed);
    (0..count).map(|_| round(&mut draw)).collect()
}

fn round(draw: &mut Draw) -> Round {
    let mut jobs = Vec::new();
    let mut ask =
        |program, params: &[(&'static str, u64)]| jobs.push(Asked { program, params: params.to_vec() });
    for _ in 0..3 {
        ask("well", &[("lines", draw.between(1, 400)), ("last_ms", draw.between(0, 300))]);
    }
    for _ in 0..2 {
        ask("flop", &[("last_ms", draw.one_of(&[0, 0, 20]))]);
    }
    ask("codes", &[("code", draw.between(1, 125)), ("lines", draw.between(0, 50))]);
    let signal = draw.one_of(&[libc::SIGSEGV, libc::SIGKILL, libc::SIGTERM, libc::SIGABRT, libc::SIGUSR1]);
    ask("signals", &[("signal", signal.unsigned_abs().into()), ("lines", draw.between(0, 50))]);
    ask("later", &[]);
    if draw.between(0, 7) == 0 {
        ask("guarded", &[]);
    }
    ask("limited", &[]);
    ask("silent", &[("code", draw.one_of(&[0, 0, 4])), ("last_ms", draw.between(0, 200))]);
    if draw.between(0, 2) == 0 {
        ask("flood", &[("lines", draw.between(10_000, 40_000)), ("code", draw.one_of(&[0, 5]))]);
    }
    if draw.between(0, 1) == 0 {
        ask("leaves", &[("code", draw.one_of(&[0, 1]))]);
    }
    let clock_ms = (draw.between(0, 3) == 0)
        .then(|| draw.one_of(&[-7_200_000, -500, -30, 0, 12, 30, 3_600_000, 86_400_000]));
    Round { jobs, after_ms: draw.between(20, 600), act: Act::draw(draw), clock_ms }
}
