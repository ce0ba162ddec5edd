//! monitor room.

mod machine;
mod messages;

pub use self::messages::*;
