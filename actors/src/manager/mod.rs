//! manager room

mod actor;
mod messages;
mod wiring;

pub use self::{
    actor::ManagerActor,
    messages::*,
    wiring::{OpenError, Options, Running, open},
};
