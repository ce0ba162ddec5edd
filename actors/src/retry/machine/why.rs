//! Why another attempt follows: what was decided, and the sentence once it is shown.

use crate::model::{format_duration_ms, say_duration_ms};
use std::{borrow::Cow, fmt};

/// Why another attempt follows, and when. `Display` makes the sentence.
///
/// The text is not made with the decision: that would be needed for each end, and takes as long as the rest of the
/// decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Why {
    cause: Cause,
    /// One sentence for each parameter that stays as it is.
    unchanged: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Cause {
    Said(Cow<'static, str>),
    /// A daemon ended by itself, cleanly.
    CleanEnd {
        uptime_ms: u64,
        wait: Wait,
    },
    Failure {
        class: Cow<'static, str>,
        /// The failure's position in its row.
        place: u32,
        counts: bool,
        wait: Wait,
    },
}

/// How the wait before the next attempt came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Wait {
    /// The delay of the law, in milliseconds.
    pub(super) raw_ms: u64,
    /// The delay after jitter, in milliseconds.
    pub(super) drawn_ms: u64,
    /// The delay after the other side's hint, in milliseconds.
    pub(super) delay_ms: u64,
    /// The hint of the other side and the most that it may ask for, both in milliseconds.
    pub(super) hint: Option<(u64, u64)>,
}

impl Why {
    const fn of(cause: Cause) -> Self {
        Self { cause, unchanged: Vec::new() }
    }

    /// Adds sentences about parameters that stay as they are.
    pub(super) fn and(&mut self, unchanged: Vec<String>) {
        self.unchanged = unchanged;
    }

    pub(super) const fn clean_end(uptime_ms: u64, wait: Wait) -> Self {
        Self::of(Cause::CleanEnd { uptime_ms, wait })
    }

    pub(super) const fn failure(class: Cow<'static, str>, place: u32, counts: bool, wait: Wait) -> Self {
        Self::of(Cause::Failure { class, place, counts, wait })
    }
}

impl From<&'static str> for Why {
    fn from(sentence: &'static str) -> Self {
        Self::of(Cause::Said(sentence.into()))
    }
}

impl From<String> for Why {
    fn from(sentence: String) -> Self {
        Self::of(Cause::Said(sentence.into()))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Said(sentence) => f.write_str(sentence)?,
            Cause::CleanEnd { uptime_ms, wait } => write!(
                f,
                "it ended by itself after {}, and a daemon is always started again; {wait}",
                say_duration_ms(*uptime_ms)
            )?,
            Cause::Failure { class, place, counts, wait } => {
                let counted = if *counts { "" } else { " that does not count" };
                write!(f, "{}{counted} ({class}); {wait}", nth_failure(*place))?;
            }
        }
        self.unchanged.iter().try_for_each(|sentence| write!(f, "; {sentence}"))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delay = say_duration_ms(self.delay_ms);
        match self.hint {
            Some((asked, most)) if asked > most && self.delay_ms > self.drawn_ms => write!(
                f,
                "next attempt in {delay}: the other side asks for {}, and retry_after_max allows no more",
                format_duration_ms(asked)
            ),
            Some(_) if self.delay_ms > self.drawn_ms => {
                write!(f, "next attempt in {delay}, as the other side asks")
            }
            _ if self.delay_ms == self.raw_ms => write!(f, "next attempt in {delay}"),
            _ => write!(f, "next attempt in {delay} ({} before jitter)", format_duration_ms(self.raw_ms)),
        }
    }
}

pub(super) fn nth_failure(place: u32) -> String {
    if place == 1 { "the first failure".to_owned() } else { format!("failure {place} in a row") }
}
