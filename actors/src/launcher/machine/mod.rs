//! What is started, with which arguments and which environment, and what was wrong when it did not start.
//!
//! Pure: the file system is asked through [`Files`] or given as gathered facts.

mod argv;
mod diagnosis;
mod env_file;
mod environment;
mod pulse;
mod resolve;

pub use self::{
    argv::arguments,
    diagnosis::{CwdFact, FileFact, FirstLine, StartFacts, diagnose, errno_name, out_of_descriptors, scarce},
    env_file::{EnvFileError, parse_env_file},
    environment::{Surroundings, TAG_NAME, Variables, environment, is_inherited},
    resolve::{Files, Resolved, resolve},
};

pub(super) use self::pulse::{Look, Pulse};

use crate::model::{SpawnFailure, SpawnProblem};

/// The failure of a start that is refused before the kernel is asked.
pub(super) fn refuse(
    problem: SpawnProblem,
    message: impl Into<String>,
    help: impl Into<String>,
) -> SpawnFailure {
    SpawnFailure { problem, errno: String::new(), message: message.into(), help: help.into() }
}
