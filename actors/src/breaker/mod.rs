//! breaker room.

mod actor;
pub mod machine;
mod messages;
#[cfg(test)]
mod tests;

pub use self::{actor::Breaker, machine::Machine, messages::*};
