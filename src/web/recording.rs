//! What the machines were told, for who wants to decide it again.

use super::{asked::Asked, runs::Answer};
use crate::ProcessManager;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::{Value, json};

/// One answer at most, in bytes as stored: some milliseconds of the store's time, and a body that no proxy refuses.
const PAGE_BYTES: usize = 1 << 20;

/// Commits of the journal, oldest first: the records of each and the inputs that led to them.
pub(super) async fn recording(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let after = asked.value("cursor", parse_place)?.unwrap_or_default();
    asked.finish()?;
    let page = pm.recording(after, PAGE_BYTES).await?;
    let next = page.commits.last().map_or(after, |commit| commit.place);
    let read = |lines: &[Vec<u8>]| -> Vec<Value> {
        lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    };
    let items: Vec<_> = page
        .commits
        .iter()
        .map(|commit| json!({"records": read(&commit.records), "inputs": read(&commit.inputs)}))
        .collect();
    // As text: a number of 64 bits is not the same in every language.
    let seed = page.seed.to_string();
    let next = format!("{}.{}", next.0, next.1);
    Ok(HttpResponse::Ok().json(json!({"seed": seed, "items": items, "next_cursor": next})))
}

fn parse_place(text: &str) -> Result<(u64, u32), String> {
    let place = text.split_once('.').and_then(|(seq, count)| Some((seq.parse().ok()?, count.parse().ok()?)));
    place.ok_or_else(|| format!("`{text}` is no cursor of this address; take it from `next_cursor`"))
}
