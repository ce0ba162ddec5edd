//! `simulate`: a scenario played by the rules of a file, one journal record a line.

use crate::{
    args::{Connection, Simulate},
    client::config_file,
    facade,
    failure::{Failure, code},
};
use actix_process::{config, simulate};
use std::io::{self, Write};

pub(crate) fn simulate(connection: &Connection, ask: &Simulate) -> Result<u8, Failure> {
    let file = ask.config.clone().unwrap_or_else(|| config_file(connection));
    let rules = facade::load(&file)?;
    let scenario = config::load_scenario(&ask.scenario, &rules, ask.until)
        .map_err(|errors| Failure::new(code::USAGE, errors.to_string()))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in simulate::run(&rules, scenario, ask.seed) {
        let line = line.map_err(|error| {
            // What came before is worth seeing.
            let _ = out.flush();
            Failure::new(code::USAGE, error.to_string()).help("mend the scenario or the rule it names")
        })?;
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(0)
}
