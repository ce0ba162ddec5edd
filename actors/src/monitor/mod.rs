//! monitor room.

mod actor;
mod attempt;
mod feed;
mod goal;
pub mod machine;
mod messages;
mod query;
mod wake;

#[cfg(test)]
mod tests;

pub use self::{actor::MonitorActor, messages::*};
