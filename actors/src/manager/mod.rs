//! manager room

mod actor;
pub mod machine;
mod messages;
mod requests;
mod rooms;
mod wiring;

#[cfg(test)]
mod tests;

pub use self::{
    actor::ManagerActor,
    messages::*,
    rooms::{Rooms, ToBreaker, ToLauncher, ToMonitor, ToRetry},
    wiring::{OpenError, Options, Running, open},
};
