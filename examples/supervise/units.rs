//! The unit tests of the example, as a test target of its own: other tests start the example's binary, which cargo does
//! not build for those that are tests themselves.
#![expect(dead_code, reason = "what `main` calls is called by nobody here")]

mod answer;
mod args;
mod breakers;
mod client;
mod events;
mod facade;
mod failure;
mod given;
mod limits;
mod logs;
mod overview;
mod passing;
mod port;
mod ps;
mod reference;
mod runs;
mod screen;
mod simulate;
mod status;
mod target;
mod up;
mod usage;
mod when;
mod why;
