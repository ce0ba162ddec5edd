//! `supervise`: a daemon that keeps processes up, and the commands that talk to it.
//!
//! ```sh
//! cargo run --release --example supervise -- up examples/supervise.toml
//! cargo run --release --example supervise -- ps
//! ```
//!
//! The commands know nothing of the daemon but its HTTP interface, so that whatever they do, a program can do too.

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
mod runs;
mod screen;
mod simulate;
mod status;
mod target;
mod up;
mod usage;
mod when;
mod why;

use crate::{
    args::{Cli, Connection, Verb},
    client::Client,
    failure::Failure,
    screen::Screen,
};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the keeper is this very executable, started again.
    facade::init();
    let cli = Cli::parse();
    let mut connection = cli.connection;
    let short = cli.verb.short_file().cloned().or(cli.short.file);
    connection.file = connection.file.or(short);
    match dispatch(&cli.verb, &connection) {
        Ok(code) => ExitCode::from(code),
        Err(failure) if failure.quiet => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(verb: &Verb, connection: &Connection) -> Result<u8, Failure> {
    match verb {
        Verb::Up(ask) => return up::up(connection, ask),
        Verb::Check(ask) => return up::check(connection, ask),
        Verb::Simulate(ask) => return simulate::simulate(connection, ask),
        _ => {}
    }
    let client = Client::new(connection)?;
    let mut screen = Screen::new();
    let done = match verb {
        Verb::Up(_) | Verb::Check(_) | Verb::Simulate(_) => Ok(()),
        Verb::Run(ask) => return runs::run(&client, &mut screen, ask),
        Verb::Start(ask) => runs::act(&client, &mut screen, ask, "start"),
        Verb::Restart(ask) => runs::act(&client, &mut screen, ask, "restart"),
        Verb::Stop(ask) => runs::stop(&client, &mut screen, &ask.name),
        Verb::Retry(ask) => runs::retry(&client, &mut screen, ask),
        Verb::Ps(ask) => ps::ps(&client, &mut screen, ask),
        Verb::Status(ask) => status::status(&client, &mut screen, ask),
        Verb::Why(ask) => why::why(&client, &mut screen, ask),
        Verb::Logs(ask) => logs::logs(&client, &mut screen, ask),
        Verb::Events(ask) => events::events(&client, &mut screen, ask),
        Verb::Breaker(ask) => breakers::breaker(&client, &mut screen, ask.act.as_ref()),
        Verb::Classes(ask) => breakers::classes(&client, &mut screen, ask),
    };
    done.map(|()| 0)
}
