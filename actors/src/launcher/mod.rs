//! launcher room.

mod actor;
mod compose;
mod diagnose;
mod link;
pub mod machine;
mod messages;
mod recover;
mod search;
mod secrets;

pub use self::{
    actor::{LauncherActor, LauncherConfig},
    messages::*,
};
