//! A process supervisor to embed in an actix application.

pub use actix_process_actors as actors;
