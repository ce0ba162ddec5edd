//! Finds what to run, has the keeper run it, and says what became of it.
//!
//! The Launcher turns a program and its parameters into one exact request: which file, which arguments, which
//! environment, which folder. It holds the only link to the [`keeper`](crate::keeper), starts it, and cleans up when it
//! or an earlier supervisor died. It never decides whether something is started.
//!
//! # What it promises
//! - Parameters never meet a shell: a value stays inside its argument, makes no option unless it may, and a secret
//!   reaches the child by its environment alone. See [`machine`].
//! - A script is one file name, found in the folders of its search path and nowhere else, links included.
//! - Each [`Launch`] is answered once: [`Report::Launched`], then `Exited`, then `Emptied`; or [`Report::Unheard`], when the
//!   keeper died before it said whether there is a process; or [`Report::LaunchFailed`],
//!   which says whether script, interpreter, folder or permission was wrong. The kernel has one ENOENT for three of them,
//!   so the files are looked at after a failure, never before a start.
//! - When the keeper dies, no process of its trees is left and no byte of theirs is lost before a new keeper takes
//!   starts.
//! - [`Recover`] waits for an earlier keeper, reads its exit records, and stops the trees that it could not stop.
//! - Nothing blocks the arbiter: requests that find no room wait in a queue, looks at all of `/proc` run beside it, and an
//!   env file is read on a thread of its own, while a stop is heard. What a start costs here is a few system calls
//!   (`stat` of the files it names).
//!
//! # What it does not promise
//! - That a file system which does not answer (a dead network mount, a FUSE that hangs) harms only the programs whose
//!   files lie on it. PATH, scripts and working directories are looked up on this thread, which Manager, Retry and
//!   Breaker share, so that a look that hangs holds up every start and stop until it is back. Output and children go
//!   on meanwhile. A look on another thread would cost each start two more changes of thread, and a restart has four
//!   in all; the env file is read that way, because few programs have one.
//! - That a file is the same when the kernel opens it as when it was found: what a start needs is checked by path.
//! - That a limit of the host lets it hold copies of every child's pipes: three descriptors for each living attempt.
//!   Beyond the limit children run all the same, and only the rescue after a keeper's death is lost for them.
//! - A leader's true status after its keeper was killed, unless the kernel still knows it; a kill by the supervisor
//!   is no status.
//!
//! # What was rejected
//! - *Killing every process that carries our tag, at any time*: the tag is a hint. It is believed where parents are
//!   gone, and only for trees that are being stopped or were left by a dead supervisor.
//! - *Secrets in the store*: it keeps history. They lie in a file of mode 0600 for as long as the run lives.
//! - *A cache of resolved files*: saves microseconds and is wrong when a script moves.

mod actor;
mod compose;
mod env_files;
mod hear;
mod link;
pub mod machine;
mod messages;
mod pulse;
mod recover;
mod search;
mod secrets;
mod start_facts;
#[cfg(test)]
mod tests;

pub use self::{
    actor::{LauncherActor, LauncherConfig},
    messages::*,
};
