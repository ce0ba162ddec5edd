//! The configuration file: TOML in, checked [`Program`](crate::Program) values out.
//!
//! # Promises
//! - **All errors at once**, each with file, line, column, the line itself and one thing to do. The file is walked as
//!   a tree with positions, because a deserializer stops at the first error.
//! - **Nothing is ignored silently.** An unknown key is an error with a suggestion, a key that this version accepts
//!   without acting on it is a [warning](Config::warnings) with the reason.
//! - **A key stands once**: its row has name, type, default, meaning and what it sets. The walk, the
//!   [reference page](reference()) and what is made of a table go by the same rows, so that they cannot disagree; a test
//!   writes every default of the rows into a file and finds the same program.
//! - What is wrong with a program's *meaning* is found by [`Program::check`](crate::Program::check), which also checks
//!   programs built in code: the same mistake reads the same.
//!
//! # What it does not do
//! It looks at no file but the configuration and what it includes: whether a script, a folder or an `env_file` exists is
//! seen at the start of the program, where it can have changed since. It interpolates no environment variables.
//!
//! # Rejected
//! *serde with `deny_unknown_fields`*: one error at a time, and positions are lost for everything that is checked after
//! reading. *Includes by pattern (`conf.d/*.toml`)*: which files take part would depend on what lies in a folder.
//! *A bare number as seconds*: the neighbours disagree on whether it is seconds or milliseconds.

mod arguments;
mod breaker;
mod build;
mod command_line;
mod diagnostic;
mod document;
mod fields;
mod files;
mod keys;
mod not_yet;
mod place;
mod program;
mod reference;
mod retry_budget;
mod root;
mod scenario;
mod server;
mod settings;
mod store;
mod store_of;
mod tree;
mod values;
mod walk;

#[cfg(test)]
mod tests;

pub use self::{
    build::{load, parse, parse_alone},
    diagnostic::{ConfigErrors, Diagnostic, Severity},
    reference::reference,
    scenario::{load_scenario, parse_scenario},
    settings::{Config, Listen, ServerConfig, StoreConfig},
    store_of::store_path,
};
pub use crate::RetryBudget;
