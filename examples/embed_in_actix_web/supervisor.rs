//! What the supervisor makes of jobs: the programs behind the kinds, and the trait of the handlers.

use crate::{
    jobs::{Failure, Job, Jobs, Output, Refusal},
    progress,
};
use actix_process::{
    ClassRule, Classify, Error, ErrorKind, Param, ProcessManager, Program, RetryPolicy, RunHandle,
    actors::model::{Params, Phase, RunId},
};
use futures_util::StreamExt;

/// How many lines back a percentage is looked for: a job that says more between two of them shows none for a while.
const LINES_OF_PROGRESS: usize = 20;

/// Lines that go to the network in one piece, where that many are at hand.
const LINES_A_PIECE: usize = 256;

/// The scripts of the jobs.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/scripts");

/// What users may start, and nothing else: a kind is the name of a program.
pub(crate) fn programs() -> [Program; 2] {
    [
        Program::script("convert", "convert")
            .script_path([SCRIPTS])
            .args(["--", "{file}", "{pages}"]) // behind `--` a file may be called `-v`
            .param(Param::string("file").required())
            .param(Param::integer("pages").default(10).range(1..=1_000))
            .classify(Classify::pattern("damaged", "^ERROR .* is damaged"))
            .class("damaged", ClassRule::no_retry().counts(false)) // the user's file; the converter is fine
            .max_concurrent(4)
            .queue(100)
            .timeout("1h"),
        Program::script("newsletter", "mail")
            .script_path([SCRIPTS])
            .args(["{list}"])
            .param(Param::string("list").required())
            .retry(RetryPolicy::exponential("2s").max_delay("1m").max_retries(3)),
    ]
}

impl Jobs for ProcessManager {
    async fn start(&self, user: &str, kind: &str, params: Params) -> Result<String, Refusal> {
        let run = Self::start(self, kind).params(params).requested_by(user).send().await?;
        Ok(run.id().to_string())
    }

    async fn status(&self, id: &str) -> Result<Job, Refusal> {
        let run = find(self, id).await?;
        let status = run.status().await?;
        let newest = run.logs().attempt(status.attempt).tail(LINES_OF_PROGRESS).await?;
        let newest: Vec<_> = newest.iter().map(|record| progress::shown(&record.bytes)).collect();
        let why = run.why().await?;
        Ok(Job {
            id: status.id.to_string(),
            owner: status.requested_by,
            kind: status.program,
            phase: status.phase,
            attempt: status.attempt,
            percent: newest.iter().rev().find_map(|line| progress::percent(line)),
            line: newest.into_iter().next_back(),
            failure: status.reason.map(|reason| Failure {
                class: reason.class,
                line: reason.message,
                help: Some(reason.help).filter(|help| !help.is_empty()),
            }),
            summary: why.summary,
            next: why.next,
        })
    }

    async fn output(&self, id: &str) -> Result<Output, Refusal> {
        let lines = find(self, id).await?.logs().read();
        // A piece has the lines that are at hand, so that a stream of short ones is not a stream of short packets.
        let pieces = lines.ready_chunks(LINES_A_PIECE).map(|lines| {
            let mut piece = Vec::new();
            for line in lines {
                let line = line?;
                piece.extend(line.bytes);
                if line.newline {
                    piece.push(b'\n');
                }
            }
            Ok(piece)
        });
        Ok(pieces.boxed_local())
    }

    async fn stop(&self, id: &str) -> Result<Phase, Refusal> {
        Ok(find(self, id).await?.stop().await?.phase)
    }
}

/// Whole ids only: an end that fits several runs would tell one user about the jobs of another.
async fn find(pm: &ProcessManager, id: &str) -> Result<RunHandle, Refusal> {
    let id: RunId = id.parse().map_err(|_| Refusal::Unknown)?;
    Ok(pm.run(id).await?)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let why = match error.help() {
            Some(help) => format!("{error}; {help}"),
            None => error.to_string(),
        };
        match error.kind() {
            ErrorKind::UnknownRun | ErrorKind::AmbiguousRun => Self::Unknown,
            ErrorKind::UnknownProgram | ErrorKind::InvalidParams => {
                let problems = error.param_problems().iter();
                let params = problems.map(|problem| (problem.name.clone(), problem.detail.clone())).collect();
                Self::Invalid { why, params }
            }
            ErrorKind::AlreadyRunning | ErrorKind::NotRunning => Self::Conflict(error.to_string()),
            ErrorKind::QueueFull | ErrorKind::Blocked | ErrorKind::ShuttingDown | ErrorKind::Closed => {
                // Where nobody knows when, a second keeps clients from asking in a tight loop.
                let retry_after_s = error.retry_after_ms().unwrap_or(1_000).div_ceil(1_000);
                Self::Busy { why: error.to_string(), retry_after_s }
            }
            _ => Self::Broken(why),
        }
    }
}
