//! A shop answers "HTTP 429" until it is asked gently enough: three attempts, and what they say about themselves.
#![expect(clippy::print_stdout, reason = "that is what an example does")]

use actix_process::{Adjust, ClassRule, Classify, Param, ProcessManager, Program, RetryPolicy};

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    actix_process::init(); // first: the keeper of the children becomes a process of its own
    let store = tempfile::tempdir()?; // yours has a name, and is there tomorrow
    let pm = ProcessManager::builder()
        .store(store.path())
        .program(
            Program::script("scraper", "scrape")
                .script_path([concat!(env!("CARGO_MANIFEST_DIR"), "/examples/scripts")])
                .args(["--site", "{host}", "--qpi", "{qpi}"])
                .param(Param::string("host").required())
                .param(Param::integer("qpi").default(100).range(10..=200))
                .classify(Classify::pattern("rate_limited", "HTTP 429"))
                .class("rate_limited", ClassRule::retry().delay("500ms").adjust("qpi", Adjust::multiply(0.5)))
                .retry(RetryPolicy::exponential("500ms").max_delay("5s").max_retries(5)),
        )
        .start()
        .await?;
    let run = pm.start("scraper").param("host", "shop.example").requested_by("you").send().await?;
    let end = run.wait().await?;
    for attempt in &run.status().await?.attempts {
        let qpi = attempt.params.get("qpi").map(|value| value.to_json());
        let class = attempt.class.as_deref().unwrap_or("fine");
        println!("attempt {} with qpi {}: {class}", attempt.number, qpi.unwrap_or_default());
    }
    let why = pm.why(run.id()).await?;
    println!("\n{}", why.summary);
    for step in &why.chain {
        println!("  {}", step.text);
    }
    pm.shutdown().await?;
    if end.is_success() { Ok(()) } else { Err("the scraper did not succeed".into()) }
}
