//! The parent of every child.

mod attempt;
mod event_loop;
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
    record::ExitRecord,
    start::{Incoming, Keeper, init},
    stream::rescue,
    wake::{LOOK_AT_ALL, WakeReceiver, WakeSender, wake_pair},
};
