//! launcher room.

mod messages;

pub use self::messages::*;
