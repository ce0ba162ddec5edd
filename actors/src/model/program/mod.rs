//! A program: what to run and by which rules; how one is built in code, and what is wrong with one.
//!
//! Both ways to a program, the configuration file and the builder, end in the same values and the same
//! [`Program::check`](definition::Program::check), so that a mistake reads the same wherever it was made. Building
//! never fails on the way: what cannot be read (`"5 parsecs"`) is kept aside and comes out of the check with
//! everything else.

mod advice;
mod builder;
mod check;
mod classify;
mod definition;
mod option;
mod override_builder;
mod ready;
#[cfg(test)]
mod tests;
mod usage;

pub use self::{
    advice::{Advised, advice_between},
    check::{HIGHEST_PRIORITY, REGEX_SIZE_LIMIT, is_priority},
    classify::Classify,
    definition::{
        Backlog, ClassOverride, ClassifyRule, Command, Leftovers, Matcher, OnLost, OutputPolicy, Program,
        Restart, StderrMode, StreamChoice,
    },
    option::LeadsOut,
    ready::Ready,
};
