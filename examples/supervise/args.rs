//! The command line: verbs, options and their words of help.

use actix_process::actors::model::parse_duration_ms;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use std::path::PathBuf;

/// Supervises processes, and talks to the daemon that does.
#[derive(Debug, Parser)]
#[command(name = "supervise", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) short: ShortFile,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage or bad file, 3 not running, 4 no such program or run, \
    5 daemon unreachable, 6 refused.\nA run is named by its id, or by the end of it that `ps` shows.";

/// Where the daemon is and what opens it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Connection {
    /// The daemon's address; else SUPERVISE_URL [default: http://127.0.0.1:9700]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The file that holds the daemon's token; else SUPERVISE_TOKEN, else `token` in the store
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The configuration file, also `-f`; it tells where the store is [default: supervise.toml]
    #[arg(long = "file", global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The store's folder, instead of the one that the file names
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `-f FILE` for every verb but those whose `-f` is "follow".
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ShortFile {
    /// The configuration file
    #[arg(short = 'f', id = "short_file", value_name = "FILE", hide = true)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The daemon in the foreground: load FILE, listen, start what has `autostart`
    Up(Up),
    /// Report every error of FILE at once, or `ok`
    Check(File),
    /// Start a run and print its id
    Run(Run),
    /// Start a program, or a run that does not run
    Start(Again),
    /// Stop; ends when nothing of the tree is left
    Stop(Target),
    /// Stop and start again
    Restart(Again),
    /// A new run with the same, or changed, parameters
    Retry(Retry),
    /// Programs and living runs
    #[command(aliases = ["ls", "list"])]
    Ps(Listing),
    /// One program or run in detail; without a name the supervisor itself
    Status(Overview),
    /// The decisions that led to the present state, and what happens next
    Why(Question),
    /// Stored and live output
    Logs(Logs),
    /// The journal, one JSON object a line
    Events(Events),
    /// List breakers, or reset, open, close or switch one
    Breaker(Breaker),
    /// The classification rules in force
    Classes(Classes),
    /// What would happen? Plays a scenario by the rules of a file, in virtual time
    Simulate(Simulate),
}

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// The configuration file [default: supervise.toml]
    pub(crate) config: Option<PathBuf>,
    /// Where to listen, instead of the address in the file; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Leave children running for the next `up`; this version cannot and refuses
    #[arg(long)]
    pub(crate) detach_on_exit: bool,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct File {
    /// The configuration file [default: supervise.toml]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// The configuration file whose rules are tried [default: supervise.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The scenario: who starts what, and what each attempt does
    #[arg(long, value_name = "FILE", required_unless_present = "from_journal")]
    pub(crate) scenario: Option<PathBuf>,
    /// Decide again what a daemon decided about this run, from what its journal recorded, and compare
    #[arg(long, value_name = "RUN", value_parser = name, conflicts_with_all = ["config", "scenario", "until", "seed"])]
    pub(crate) from_journal: Option<String>,
    /// Virtual time to run, instead of the scenario's `until`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) until: Option<u64>,
    /// Equal seeds draw equal delays
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The program's name
    #[arg(value_parser = name)]
    pub(crate) program: String,
    /// Parameters, as `name=value`; repeated for a list. Of a secret: `name=@FILE`, or `name=-` for standard input
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    /// Who asks
    #[arg(long, value_name = "USER")]
    pub(crate) by: Option<String>,
    /// Follow the output, and exit with the last attempt's code (128+n for a signal)
    ///
    /// Behind the id come the child's bytes, unchanged; on a terminal what it would obey is written out, and a line that
    /// begins anew at a carriage return takes the place of what it was.
    #[arg(long)]
    pub(crate) wait: bool,
    /// What to do when a breaker refuses
    #[arg(long, value_enum, default_value_t = IfBlocked::Wait)]
    pub(crate) if_blocked: IfBlocked,
    /// Pass the breakers with the first attempt; none of them hears how it ends
    #[arg(long, conflicts_with = "if_blocked")]
    pub(crate) force: bool,
    /// Who goes first of those that wait for the same thing: the highest, -1000 to 1000; default the program's
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = value_parser!(i32).range(-1_000..=1_000))]
    pub(crate) priority: Option<i32>,
    /// A label, as `name=value`; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) labels: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum IfBlocked {
    /// Wait until it lets the run through
    Wait,
    /// Fail with exit code 6
    Refuse,
}

#[derive(Args, Debug)]
pub(crate) struct Target {
    /// A program's name or a run's id
    #[arg(value_name = "PROGRAM|RUN", value_parser = name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Again {
    /// A program's name or a run's id
    #[arg(value_name = "PROGRAM|RUN", value_parser = name)]
    pub(crate) name: String,
    /// Pass the breakers with the next attempt; none of them hears how it ends
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// The run's id
    #[arg(value_parser = name)]
    pub(crate) run: String,
    /// Parameters that differ, as `name=value`; repeated for a list. Of a secret: `name=@FILE`, or `name=-` for standard input
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Listing {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Question {
    /// A program's name or a run's id
    #[arg(value_name = "PROGRAM|RUN", value_parser = name)]
    pub(crate) name: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Overview {
    /// A program's name or a run's id; without it the supervisor itself
    #[arg(value_name = "PROGRAM|RUN", value_parser = name)]
    pub(crate) name: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[value(alias = "text")]
    Table,
    /// As the daemon answers
    Json,
}

/// As the daemon names them.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// A program's name or a run's id
    #[arg(value_name = "PROGRAM|RUN", value_parser = name)]
    pub(crate) name: String,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// So many lines at most [default: 50; all with --after-cursor]
    #[arg(short = 'n', long, value_name = "N|all", value_parser = lines)]
    pub(crate) lines: Option<Lines>,
    /// Not before: 5m, 10:30, yesterday, or RFC 3339
    #[arg(short = 'S', long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before: 5m, 10:30, yesterday, or RFC 3339
    #[arg(short = 'U', long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Lines that match a regular expression
    #[arg(short, long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
    /// Lines of this level or graver
    #[arg(short = 'p', long, value_name = "LEVEL", ignore_case = true, value_parser = LEVELS)]
    pub(crate) level: Option<String>,
    /// Lines of this class
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Lines of this attempt
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Standard output alone
    #[arg(long, conflicts_with = "stderr")]
    pub(crate) stdout: bool,
    /// Standard error alone
    #[arg(long)]
    pub(crate) stderr: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = LogFormat::Short)]
    pub(crate) output: LogFormat,
    /// Go on after this place, without gap or repeat
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after_cursor: Option<String>,
    /// Print the place after the last line
    #[arg(long)]
    pub(crate) show_cursor: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, program, attempt, stream, text
    Short,
    /// The child's bytes, unchanged, on a terminal too
    Cat,
    /// One JSON object a line
    Json,
}

/// How many lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lines {
    All,
    Newest(u64),
}

#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin after this one
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after_cursor: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Breaker {
    #[command(subcommand)]
    pub(crate) act: Option<BreakerAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakerAct {
    /// Every breaker as it stands
    Ls(Listing),
    /// Closed, and everything forgotten
    Reset(Scope),
    /// Refuse starts from now on
    Open(Scope),
    /// End a forced open: one trial run, then closed
    Close(Scope),
    /// Switch it off: it lets everybody through and counts nothing
    Disable(Scope),
    /// Let everybody through, count, and tell in the journal when it would have opened
    #[command(alias = "metrics_only")]
    MetricsOnly(Scope),
    /// Back to what the configuration says
    Auto(Scope),
}

impl BreakerAct {
    /// The breaker that is told something.
    pub(crate) const fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Ls(_) => None,
            Self::Reset(scope)
            | Self::Open(scope)
            | Self::Close(scope)
            | Self::Disable(scope)
            | Self::MetricsOnly(scope)
            | Self::Auto(scope) => Some(scope),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Scope {
    /// Such as `program:NAME` or `site:HOST`
    #[arg(value_parser = name)]
    pub(crate) scope: String,
    /// How long a forced open lasts, such as `1h`
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,
    /// Why, for the journal
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

#[derive(Args, Debug)]
pub(crate) struct Classes {
    /// Of this program; else the built-in ones
    #[arg(value_parser = name)]
    pub(crate) program: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) short: ShortFile,
}

impl Verb {
    /// The file that stands after the verb's own `-f`.
    pub(crate) fn short_file(&self) -> Option<&PathBuf> {
        let short = match self {
            Self::Up(verb) => &verb.short,
            Self::Check(verb) => &verb.short,
            Self::Run(verb) => &verb.short,
            Self::Start(verb) | Self::Restart(verb) => &verb.short,
            Self::Stop(verb) => &verb.short,
            Self::Retry(verb) => &verb.short,
            Self::Ps(verb) => &verb.short,
            Self::Status(verb) => &verb.short,
            Self::Why(verb) => &verb.short,
            Self::Classes(verb) => &verb.short,
            Self::Simulate(verb) => &verb.short,
            Self::Breaker(verb) => match &verb.act {
                Some(BreakerAct::Ls(act)) => &act.short,
                Some(act) => match act.scope() {
                    Some(scope) => &scope.short,
                    None => return None,
                },
                None => return None,
            },
            Self::Logs(_) | Self::Events(_) => return None,
        };
        short.file.as_ref()
    }
}

/// The name of something: a script's unset variable must not ask for everything, or for nothing that has a name.
fn name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is missing; `supervise ps` shows those of programs and runs".into()),
        _ => Ok(text.to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".into()),
    }
}

/// A time with its unit, as in a configuration file.
fn duration(text: &str) -> Result<u64, String> {
    parse_duration_ms(text)
}

fn lines(text: &str) -> Result<Lines, String> {
    match text {
        "all" => Ok(Lines::All),
        _ => text.parse().map(Lines::Newest).map_err(|_| "write a whole number, or `all`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn f_is_the_file_for_most_verbs_and_follow_for_logs() {
        let cli = Cli::try_parse_from(["supervise", "ps", "-f", "x.toml"]).unwrap();
        assert_eq!(cli.verb.short_file(), Some(&PathBuf::from("x.toml")));
        let cli =
            Cli::try_parse_from(["supervise", "-f", "x.toml", "logs", "-f", "api", "-n", "all"]).unwrap();
        assert_eq!(cli.short.file, Some(PathBuf::from("x.toml")));
        assert!(matches!(cli.verb, Verb::Logs(Logs { follow: true, lines: Some(Lines::All), .. })));
        let cli = Cli::try_parse_from(["supervise", "logs", "api", "--url", "http://h:1"]).unwrap();
        assert_eq!(cli.connection.url.as_deref(), Some("http://h:1"));
    }

    #[test]
    fn parameters_are_pairs_whose_value_may_hold_more_of_the_same_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
