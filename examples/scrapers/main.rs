//! Six scrapers of two programs and one shop that defends itself, on one screen: the fleet asks too much and is told so
//! once for all, the shop goes down and is left alone, one probe finds it well again, and every job ends.
//!
//! Everything is real, and local: the shop is an HTTP server on a free port of this machine, the scrapers are
//! processes. It takes about 15 seconds. The exit code is 1 when what the breaker promises was not kept.
#![expect(clippy::print_stdout, reason = "that is what an example does")]

mod scrape;
mod shop;
mod story;
mod timeline;

use actix_process::{
    Adjust, BreakerPolicy, ClassRule, Jitter, Param, ProbeParams, ProcessManager, Program, RetryPolicy,
    RunHandle, actors::model::JournalRecord, simulate,
};
use std::{error::Error, process::ExitCode, time::Duration};
use story::Story;
use timeline::Timeline;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What all of them scrape.
const HOST: &str = "shop.example";
/// Runs of each program.
const RUNS_EACH: usize = 3;
/// Pages of each run, at 10 a second: five seconds of work, so that nobody has ended when the shop goes down.
const PAGES: i64 = 50;
/// A run takes 15 seconds; one that takes four times that has hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    actix_process::init(); // first: the keeper of the children becomes a process of its own
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((marker, rest)) if marker == scrape::MARKER => Ok(scrape::main(rest)),
        _ => actix::System::new().block_on(supervise()),
    }
}

async fn supervise() -> Result<ExitCode, Box<dyn Error>> {
    let shop = shop::open()?;
    let store = tempfile::tempdir()?; // yours has a name, and is there tomorrow
    let address = shop.address().to_string();
    let pm = ProcessManager::builder()
        .store(store.path())
        .programs([scraper("catalogue", &address)?, scraper("prices", &address)?])
        .shared_breaker_policy(
            "site:*",
            BreakerPolicy::failures(3)
                .penalty("3s")
                .penalty_jitter(0.0) // so that it looks the same every time; elsewhere keep the default
                .probe_params(ProbeParams::Current) // as gently as was learnt
                .stable("1s") // a probe is well when it has scraped for so long; the others need not wait for its end
                .ramp("3s", "200ms"), // and they do not come back all at once
        )
        .start()
        .await?;
    let (heard, mut journal) = unbounded_channel();
    pm.on_event(move |record| drop(heard.send(record)))?; // fails only when nobody looks any more

    println!("six scrapers, one shop: {} pages each from {HOST}, which is at {address}\n", PAGES);
    let mut runs = Vec::new();
    for number in 0..RUNS_EACH * 2 {
        let program = if number % 2 == 0 { "catalogue" } else { "prices" };
        runs.push(pm.start(program).param("host", HOST).requested_by("you").send().await?);
    }
    let told = tokio::time::timeout(PATIENCE, watch(&mut journal, runs.len())).await;
    let story = told.map_err(|_| format!("the scrapers did not end within {PATIENCE:?}"))?;
    let mut kept = story.sum_up(&shop.refusals(), shop.pages());
    kept &= decide_again(&pm).await?;
    if let Some(prober) = runs.iter().find(|run| Some(run.id()) == story.prober()) {
        why(prober).await?;
    }
    pm.shutdown().await?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This executable again, as a scraper: in your application it would be a script in any language.
fn scraper(name: &str, shop: &str) -> Result<Program, Box<dyn Error>> {
    let exe =
        std::env::current_exe()?.into_os_string().into_string().map_err(|_| "a path that is no text")?;
    let exe = exe.replace('{', "{{").replace('}', "}}"); // in a command, braces are parameters
    Ok(Program::command(name, [exe.as_str(), scrape::MARKER, "{qpi}", "{pages}"])
        .env("SHOP", shop)
        .param(Param::string("host").required())
        .param(Param::integer("pages").default(PAGES))
        // Queries per second. Every scraper of the same site shares what one of them learns, of either program.
        .param(Param::integer("qpi").default(20).range(5..=50).adjust_scope("site:{host}"))
        .shared_breaker("site:{host}")
        // "HTTP 429" and "HTTP 503" are known without a rule. Too many questions are our fault: ask less, and do not
        // count it against the site. That it is down is theirs: three of those are enough.
        .class(
            "rate_limited",
            ClassRule::retry().delay("1s").weight(0.0).adjust("qpi", Adjust::multiply(0.5)),
        )
        .class("upstream", ClassRule::retry().delay("500ms").weight(1.0))
        .retry(RetryPolicy::exponential("500ms").max_retries(8).jitter(Jitter::None)))
}

/// Shows the journal as it is written, until so many runs have ended.
async fn watch(journal: &mut UnboundedReceiver<JournalRecord>, runs: usize) -> Story {
    let (mut timeline, mut story) = (Timeline::default(), Story::default());
    while story.ended() < runs {
        let Some(record) = journal.recv().await else { break };
        timeline.show(&record);
        story.hear(&record);
    }
    timeline.end();
    story
}

/// Lets the machines decide all of it again, from what the journal says they were told.
async fn decide_again(pm: &ProcessManager) -> Result<bool, Box<dyn Error>> {
    let compared = simulate::decide_again(pm).await?;
    let same = compared.iter().filter(|one| one.agrees()).count();
    let kept = same > 0 && same == compared.len();
    let verdict = if kept { "PASS" } else { "FAIL" };
    println!("{verdict}  {same} of {} decisions are the same when they are made again", compared.len());
    Ok(kept)
}

async fn why(run: &RunHandle) -> Result<(), Box<dyn Error>> {
    let why = run.why().await?;
    println!("\nwhy, for the run that probed: {}", why.summary);
    for step in &why.chain {
        println!("  {}", step.text);
    }
    Ok(())
}
