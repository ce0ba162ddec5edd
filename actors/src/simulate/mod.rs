//! The policy simulator: the real Manager, Retry and Breaker in virtual time, against scripted processes.
//!
//! # What it is for
//!
//! "What would happen if the site went down for three hours?" is asked before a policy costs anything. A scenario
//! says which runs are started when, and what each attempt does; the answer is the journal that the live supervisor
//! would write. It can be the very same, because the rule books are values: inputs and `now` go in, decisions come
//! out, and nothing in them depends on whether time is real.
//!
//! ```text
//!              ┌── requests, operators, restarts ──┐
//!   scenario ──┤                                   ├─▶ agenda ─▶ Manager's machine ─▶ journal records
//!              └── what each attempt does ─▶ processes             ▲  │ questions
//!                                                                  └──┴─▶ Retry's and Breaker's machines
//! ```
//!
//! The same machines also decide again what a live supervisor decided ([`Replay`]), from the inputs that its journal
//! recorded. That proves that nothing else counts, and is the way to look at a decision with a debugger.
//!
//! # What it promises
//!
//! - **No second implementation.** Every decision comes from the machines that decide live, and the class of an end from
//!   the Monitor's rules, applied to scripted lines.
//! - **The same on every machine.** Only the seed, the rules and the scenario matter: no clock, no file, no thread.
//! - **Time costs nothing.** The next instant at which anything is due is the next that exists.
//! - A restart of the supervisor goes through saved state, byte by byte as the store would have it.
//!
//! # What it does not promise
//!
//! - Reading, spawning and storing take no time here. What is decided live a millisecond later is decided here at once.
//! - Only what stands in a script happens: no leftover process, no full disk, no slow store.
//! - A request that comes while the supervisor is down is heard when it is back.
//!
//! # What was rejected
//!
//! - *Running the actors under paused Tokio time.* Messages between threads have no order that a seed determines, and a
//!   year of timers takes minutes.
//! - *A model of the policies, for speed.* It would agree with the machines until the first mended bug.

mod agenda;
mod engine;
mod machines;
mod outside;
mod processes;
mod replay;
mod scenario;

pub use self::{
    engine::{Setup, SimulateError, Simulation, Told},
    replay::{Compared, Replay},
    scenario::{
        Act, Life, OperatorAt, Plan, Play, PlayWindow, RestartAt, Scenario, Script, ScriptOf, StartAt, Target,
    },
};
