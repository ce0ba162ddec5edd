//! The parent of every child.

mod attempt;
mod event_loop;
mod last_word;
pub mod protocol;
mod reap;
mod record;
mod socket;
mod spawn;
mod start;
mod stopping;
mod stream;
mod syscall;
pub mod tree;
mod wake;

pub use self::{
    last_word::{exit_of, has_ended},
    record::ExitRecord,
    start::{Incoming, Keeper, init},
    stream::rescue,
    syscall::wait_any,
    wake::{LOOK_AT_ALL, WakeReceiver, WakeSender, wake_pair},
};
