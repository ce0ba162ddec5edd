//! The parent of every child.
//!
//! The keeper spawns, holds the pipes, moves bytes from pipes into spool files, reaps, stops trees, and writes exit
//! records. It decides nothing: no policy, no store, no clock of ours, no actor; one thread, one epoll set, no lock.
//! It is the part that must not fall, so it is small enough to be read in one sitting.
//!
//! An application that calls [`init`] first in `main` gets it as a process of its own: this executable, started again.
//! It is then the *subreaper* of all children (whoever double-forks away still ends up below it), has its own session
//! (a terminal's Ctrl-C passes it by), its own limits, and outlives us. Without that call the same loop runs on a
//! thread: children are found by pidfd, strays by their tag alone, and our death leaves them to the next
//! [`Recover`](crate::launcher::Recover).
//!
//! # What it promises
//! - A byte that a child wrote is in its pipe or in its spool file, never in between: bytes move by `splice`. Kill the
//!   keeper at any moment and the daemon, which holds the reading ends too, appends the rest, none lost or doubled.
//! - Output that no spool takes stays in its pipe, also after the end of who wrote it, and is told with that end. It is thrown
//!   away only by the program's own rule, when a stop cannot wait for it, or when too many pipes are kept: whole lines, counted.
//! - No signal ends it but SIGKILL: it obeys the daemon, over the socket.
//! - Nobody's death sends a child SIGPIPE, and a child may open `/dev/stdout` anew: its ends are pipes, opened for
//!   reading and writing.
//! - The end of a leader is told at once, with its true status and what it wrote until then, whoever may still hold its
//!   pipes. *Emptied* is told when a look at `/proc` has shown that nobody of a stopped tree is left.
//! - A stop reaches group, session, descendants, and strays: those who left by `setsid`, double fork, or both. It looks
//!   before the first signal and before each next one, and goes on killing while somebody forks.
//! - When the daemon dies, every tree is stopped by its own signal and grace, output goes on into the spools until then,
//!   and each end that nobody acknowledged is in a record file. The lock file is held until all that is done.
//!
//! # What it does not promise
//! - An attempt that ended by itself, left nobody in its group and nobody at its pipes, is empty. A daemon that it bred
//!   (own session, output elsewhere) is found by a stop and by the keeper's end, not by that test: it would cost every
//!   restart a look at all processes.
//! - Order between standard output and standard error, unless they are merged into one pipe.
//! - On a thread: strays that cleared their environment.
//!
//! # What was rejected
//! - *The spool file itself as standard output*: cheapest, but `echo > /dev/stdout` truncates a regular file.
//! - *read and write*: loses what is in the buffer when the keeper is killed. *Reading into a mapped file*: no such
//!   moment, but a page fault for each fresh page, slower than `splice`.
//! - *Polling pipes as they fill*: a writer of lines loses a fifth of its speed to being woken and interrupted. A stream
//!   that flows is visited by time; only a silent one waits in epoll.
//! - *`fork` in the host*: its cost grows with the host's memory. `posix_spawn` borrows it until the exec.
//! - *`prlimit` on the child* to give back the soft limit of descriptors that the keeper raised for itself: it races with
//!   the child's first instructions. The keeper lowers its own for the moment of the spawn.
//! - *cgroups*: they would make a tree exact, but an unprivileged daemon rarely has any to give.
//!
//! The protocol ([`protocol`]) is fixed and versioned, so that a later daemon may attach to a keeper that lives on.

mod attempt;
mod event_loop;
mod headroom;
mod inherited;
mod last_word;
pub mod protocol;
mod pursuit;
mod reap;
mod record;
mod socket;
mod spawn;
mod start;
mod stopping;
mod stream;
mod syscall;
mod telling;
pub mod tree;
mod wake;

pub use self::{
    headroom::{EACH, Headroom, who_holds},
    last_word::{exit_of, has_ended},
    record::ExitRecord,
    start::{Incoming, Keeper, init},
    stream::{give_up, rescue},
    syscall::{open_files, wait_any},
    wake::{WakeSender, wake_pair},
};
