//! A supervisor under load: many children, many lines, many starts.
//!
//! Three parts, each with what it is held to; a figure beside a limit prints PASS or FAIL.
//!
//! - `sleep`: children that do nothing. The time until all run beside the bare `posix_spawn` loop of the same minute,
//!   memory for each, and who of us wakes while nothing happens.
//! - `lines`: children that write lines at a steady rate. Every line is read back and compared with what its child must
//!   have written; what the supervisor used of a core meanwhile.
//! - `starts`: start requests as fast as they can be sent, through the library and through HTTP. Every answer is an accepted
//!   run that ends, or a refusal with its reason; what a waiting run takes in memory.
//!
//! `cargo bench --bench fleet -- [sleep|lines|starts]… [--children N] [--programs] [--idle SECONDS] [--starts N]`; without
//! a name all three. `--programs` gives each sleeping child a program of its own instead of one for all. The children are
//! this executable again, in a file of their own, so that they share no page with the supervisor.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, prints its figures and reads the clock"
)]

mod child;
mod lines;
mod proc;
mod sleepers;
mod starts;

use actix_process::{ProcessManager, Program};
use std::path::PathBuf;

/// What is asked for on the command line, and where children are made.
pub(crate) struct Setup {
    pub(crate) children: usize,
    pub(crate) programs: bool,
    pub(crate) idle_s: u64,
    pub(crate) starts: usize,
    /// The children's executable: a copy of ours.
    pub(crate) executable: String,
    pub(crate) folder: PathBuf,
}

impl Setup {
    /// The command line of a child in this role.
    pub(crate) fn child<'a>(&'a self, role: &'a str) -> Vec<&'a str> {
        vec![&self.executable, child::FLAG, role]
    }

    pub(crate) async fn manager(&self, programs: Vec<Program>) -> ProcessManager {
        let store = self.folder.join("store");
        let _ = std::fs::remove_dir_all(&store);
        ProcessManager::builder().store(store).programs(programs).start().await.unwrap()
    }
}

/// Prints a figure beside its limit.
pub(crate) fn verdict(what: &str, figure: f64, unit: &str, limit: f64) {
    let word = if figure <= limit { "PASS" } else { "FAIL" };
    println!("{word}  {what}: {figure:.2} {unit} (at most {limit})");
}

fn main() {
    let mut args = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some(child::FLAG) {
        child::play(args.skip(1).collect());
    }
    actix_process::init();
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("child");
    std::fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
    let mut setup = Setup {
        children: 0,
        programs: false,
        idle_s: 60,
        starts: 10_000,
        executable: executable.to_str().unwrap().to_owned(),
        folder: folder.path().to_owned(),
    };
    let mut parts = Vec::new();
    while let Some(arg) = args.next() {
        let mut number = || args.next().unwrap().parse().unwrap();
        match arg.as_str() {
            "--children" => setup.children = number(),
            "--starts" => setup.starts = number(),
            "--idle" => setup.idle_s = number() as u64,
            "--programs" => setup.programs = true,
            // Cargo says it to every bench.
            "--bench" => {}
            _ => parts.push(arg),
        }
    }
    if parts.is_empty() {
        parts = ["sleep", "lines", "starts"].map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for part in parts {
        match part.as_str() {
            "sleep" => runtime.block_on(sleepers::measure(&setup)),
            "lines" => runtime.block_on(lines::measure(&setup)),
            "starts" => runtime.block_on(starts::measure(&setup)),
            other => panic!("no part is called {other}"),
        }
    }
}
