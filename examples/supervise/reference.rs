//! The reference page of the command line, written from what the parser knows.

use crate::args::Cli;
use clap::CommandFactory;
use std::{fmt::Write as _, fs};

const HEAD: &str = "\
# Command line

`supervise` is an example of the crate: `cargo run --release --example supervise -- VERB …`. This page is written from its
own help; say `UPDATE_REFERENCE=1 cargo test the_reference_page` after a change.

The daemon is found by `--url` or `SUPERVISE_URL`, else at `http://127.0.0.1:9700`. Its token is read from `--token-file`,
from `SUPERVISE_TOKEN`, or from the file `token` in the store, which `-f FILE` or `--data DIR` names. Colours need a
terminal that is not dumb, and no `NO_COLOR`; nothing is said by colour alone.

| exit code | means | for example |
|---|---|---|
| 0 | done | |
| 1 | failed | a port that is taken; with `run --wait` also a run that never started |
| 2 | wrong usage, or a file with errors | a flag or a verb that is mistyped, a parameter that does not fit |
| 3 | not running | `stop` of what has ended |
| 4 | no such program, run or breaker | with the nearest names, if any is near |
| 5 | no daemon answers | |
| 6 | refused | `run --if-blocked refuse` while a breaker is open, or a full queue |

`run --wait` ends with the exit code of the run's last attempt, 128+n for a signal.

`up` ends after SIGINT or SIGTERM: children are stopped, everything is written, exit code 0; a second SIGINT ends at once.
It hears them also when it was started with them blocked. SIGHUP reads the file anew: a file with errors changes nothing,
and no living process is touched; the next attempt of a run uses the new definition. What lives of a program that is gone
from the file (or has another name there) goes on to its end and is not
started again; the log says how many runs that are, `ps` and `status` show them, and `stop NAME` stops them. It begins only
where the limits allow 64 open files, some 24 threads and 2 GiB of address space (`ulimit -n`, `-u`, `-v`), and says so otherwise.
Leaving children running (`--detach-on-exit`) is not built yet and refused.

`stop` asks once and ends when nothing is left of what it stopped; if somebody started it again meanwhile, it says so and leaves that
alone. A program with `autostart` that was stopped stays stopped, also when the daemon starts anew, until `start` or `run`; `ps`
and `why` say that an operator stopped it.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut command = Cli::command().term_width(100);
    command.build();
    let _ = write!(page, "\n```text\n{}```\n", plain(&command.render_help().to_string()));
    for verb in command.get_subcommands_mut() {
        section(&mut page, verb, "##");
    }
    page
}

fn section(page: &mut String, verb: &mut clap::Command, level: &str) {
    let help = verb.render_long_help().to_string();
    let _ = write!(page, "\n{level} {}\n\n```text\n{}```\n", verb.get_name(), plain(&help));
    let acts = verb.get_subcommands_mut().filter(|act| act.get_name() != "help");
    for act in acts {
        section(page, act, "###");
    }
}

fn plain(help: &str) -> String {
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_reference_page_of_the_command_line_is_the_one_of_the_parser() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/cli.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, page()).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "say `UPDATE_REFERENCE=1 cargo test the_reference_page` and commit docs/");
}
