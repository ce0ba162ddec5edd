//! retry room.

mod actor;
pub mod machine;
mod messages;
#[cfg(test)]
mod tests;

pub use self::{
    actor::Retry,
    machine::{End, Machine, startup_spread_ms},
    messages::*,
};
