//! The Monitor's decisions: where lines end, what must not be stored, which class a line shows, which class an end has.

mod classify;
mod cut;
mod items;
mod level;
mod packs;
mod ready;
mod redact;
mod verdict;

#[cfg(test)]
mod tests;

pub use self::{
    classify::{Hit, Rule, Rules, What},
    cut::{Cut, cut},
    items::Items,
    level::level,
    ready::ReadyLine,
    redact::{Cleaned, Redactor},
    verdict::{Seen, by_exit_alone, silent, too_little},
};
