//! breaker room.

mod actor;
pub mod machine;
mod messages;

pub use self::{actor::Breaker, machine::Machine, messages::*};
