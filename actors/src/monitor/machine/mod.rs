//! The Monitor's decisions: where lines end, what must not be stored, which class a line shows, which class an end has.

mod classify;
mod cut;
mod hint;
mod items;
mod level;
mod packs;
mod plain;
mod ready;
mod redact;
mod seam;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

pub use self::{
    classify::{Hit, Rule, Rules, What},
    cut::{Cut, cut, plain_lines},
    hint::wait_ms,
    items::Items,
    level::level,
    plain::plain,
    ready::ReadyLine,
    redact::{Cleaned, Redactor},
    seam::Seam,
    verdict::{Seen, by_exit_alone, silent, too_little},
};
