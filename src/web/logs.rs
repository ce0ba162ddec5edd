//! Output and journal.

use super::{
    asked::Asked,
    journal,
    problem::Problem,
    runs::{Answer, ITEMS, MAX_ITEMS},
    wire,
};
use crate::{Error, ProcessManager, handle::Pages};
use actix_process_actors::{
    manager::{GetEvents, Logs},
    model::{Cursor, Direction, Level, LogFilter, LogQuery, Page, Record, Stream},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, Data},
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

const STREAMS: [(&str, Stream); 2] = [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)];
const LEVELS: [(&str, Level); 5] = [
    ("trace", Level::Trace),
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("warn", Level::Warn),
    ("error", Level::Error),
];
/// Where a page of bytes goes on.
const NEXT_CURSOR: &str = "next-cursor";

/// Says `true` where more was written than could be taken in before a page of bytes was answered.
const BEHIND: &str = "output-behind";

/// How long an answer that goes on is held back for its first page.
const FIRST_PAGE: Duration = Duration::from_millis(500);

const DIRECTIONS: [(&str, Direction); 2] = [("back", Direction::Back), ("fwd", Direction::Forward)];

/// In which form an answer is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    Ndjson,
    /// What the child wrote, byte for byte.
    Text,
}

impl Form {
    const KNOWN: [(&str, Self); 6] = [
        ("application/json", Self::Json),
        ("application/x-ndjson", Self::Ndjson),
        ("application/ndjson", Self::Ndjson),
        ("text/plain", Self::Text),
        ("application/*", Self::Json),
        ("*/*", Self::Json),
    ];

    /// The one that `Accept` likes best; JSON when it says nothing that we know.
    fn of(request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        Self::parse(accept.unwrap_or_default())
    }

    fn parse(accept: &str) -> Self {
        let mut best = (0.0, Self::Json);
        for part in accept.split(',') {
            let mut fields = part.split(';').map(str::trim);
            let kind = fields.next().unwrap_or_default().to_ascii_lowercase();
            let quality = fields.find_map(|field| field.strip_prefix("q="));
            let quality = quality.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if let Some((_, form)) = Self::KNOWN.iter().find(|(name, _)| *name == kind)
                && quality > best.0
            {
                best = (quality, *form);
            }
        }
        best.1
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    fn write(self, page: Page) -> Bytes {
        match self {
            // Read backwards it comes as records.
            Self::Text if page.bytes.is_empty() => text(&page.records),
            Self::Text => page.bytes.into(),
            Self::Json | Self::Ndjson => ndjson(&page.records),
        }
    }
}

fn text(records: &[Record]) -> Bytes {
    let length = records.iter().map(|record| record.bytes.len() + usize::from(record.newline)).sum();
    let mut out = Vec::with_capacity(length);
    for record in records {
        out.extend_from_slice(&record.bytes);
        if record.newline {
            out.push(b'\n');
        }
    }
    out.into()
}

fn ndjson(records: &[Record]) -> Bytes {
    let mut out = Vec::new();
    for record in records {
        // Writing plain data to memory cannot fail.
        let _ = serde_json::to_writer(&mut out, &wire::Record::of(record));
        out.push(b'\n');
    }
    out.into()
}

/// How many records are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Limit {
    /// Not said.
    Unsaid,
    /// `limit=all`.
    All,
    /// So many.
    Of(usize),
}

/// What is asked of the output.
struct Question {
    query: LogQuery,
    limit: Limit,
    /// Nothing where it is not said.
    wait_ms: Option<u64>,
    live: bool,
}

async fn question(request: &HttpRequest, pm: &ProcessManager) -> Result<Question, Problem> {
    let mut asked = Asked::of(request)?;
    let mut filter = LogFilter::default();
    filter.program = asked.text("program");
    let run = asked.text("run");
    filter.attempt = asked.number("attempt")?;
    filter.stream = asked.word("stream", &STREAMS)?;
    filter.level = asked.word("level", &LEVELS)?;
    filter.class = asked.text("class");
    filter.grep = asked.text("grep");
    filter.since = asked.time("since")?;
    filter.until = asked.time("until")?;
    let mut query = LogQuery::default();
    query.direction = asked.word("dir", &DIRECTIONS)?.unwrap_or_default();
    // Of several streams a page of bytes has a place in each whose line is not finished.
    let places =
        asked.value("cursor", |text| text.split(',').map(str::parse).collect::<Result<Vec<Cursor>, _>>())?;
    let mut places = places.unwrap_or_default().into_iter();
    (query.cursor, query.also) = (places.next(), places.collect());
    let limit = asked.value("limit", |text| match text {
        "all" => Ok(Limit::All),
        text => match text.parse() {
            Ok(n) if n > 0 => Ok(Limit::Of(n)),
            _ => Err(format!("`{text}` is neither a whole number over 0 nor `all`")),
        },
    });
    let limit = limit.map_err(|problem| problem.with_help("write 1 or more, or `all`"))?;
    let wait_ms = asked.wait_said_ms()?;
    let live = asked.word("follow", &[("true", true), ("false", false)])?.unwrap_or(false);
    asked.finish()?;
    if let Some(run) = run {
        filter.run = Some(pm.find(run).await?.id);
    }
    query.filter = filter;
    Ok(Question { query, limit: limit.unwrap_or(Limit::Unsaid), wait_ms, live })
}

pub(super) async fn logs(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let question = question(&request, &pm).await?;
    let form = Form::of(&request);
    if form == Form::Json {
        return page(question, &pm).await;
    }
    if let (Form::Text, Some(wait_ms), false) = (form, question.wait_ms, question.live) {
        return page_of_bytes(question, wait_ms, &pm).await;
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, form.content_type()));
    if question.query.direction == Direction::Back && question.query.cursor.is_some() {
        let found = one_page(question, &pm, 0).await?;
        return Ok(response.body(form.write(found)));
    }
    let live = question.live;
    let mut pages = pages(question, &pm, form == Form::Text);
    // The first page before the first header: a pattern that is none is a refusal, not a broken download. Who follows what
    // writes nothing yet gets the header all the same: clients give up on an answer that has none.
    let first = match tokio::time::timeout(FIRST_PAGE, pages.next()).await {
        Err(_) if live => Bytes::new(),
        Err(_) => match pages.next().await {
            None => return Ok(response.body(Bytes::new())),
            Some(page) => form.write(page?),
        },
        Ok(None) => return Ok(response.body(Bytes::new())),
        Ok(Some(page)) => form.write(page?),
    };
    let rest = pages.map(move |page| page.map(|page| form.write(page)));
    let first = stream::iter(
        Some(Ok::<_, Error>(first)).filter(|first| first.as_ref().is_ok_and(|bytes| !bytes.is_empty())),
    );
    Ok(response.streaming(first.chain(rest)))
}

/// One page of what was written, with the place to go on from in a header: bytes have no room for it.
async fn page_of_bytes(mut question: Question, wait_ms: u64, pm: &ProcessManager) -> Answer {
    if question.query.direction == Direction::Back {
        return Err(Problem::malformed("`wait` with `text/plain` reads forwards")
            .with_help("add `dir=fwd`, or leave `wait` out"));
    }
    let before = question.query.clone();
    question.query.bytes = true;
    question.query.limit = match question.limit {
        Limit::Of(n) => n,
        Limit::All | Limit::Unsaid => 0,
    };
    let found = pm.ask(Logs { query: question.query, wait_ms }).await?.map_err(Error::from)?;
    let mut places: Vec<_> = found.next.or(before.cursor).into_iter().collect();
    places.extend(found.also);
    let places: Vec<_> = places.iter().map(Cursor::to_string).collect();
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, Form::Text.content_type()));
    if !places.is_empty() {
        response.insert_header((NEXT_CURSOR, places.join(",")));
    }
    if found.behind {
        response.insert_header((BEHIND, "true"));
    }
    Ok(response.body(found.bytes))
}

/// Everything that is wanted, however much it is, a page at a time.
fn pages(question: Question, pm: &ProcessManager, bytes: bool) -> Pages {
    let reader = pm.logs().filter(question.query.filter);
    let reader = if bytes { reader.bytes() } else { reader };
    let reader = match question.query.cursor {
        Some(cursor) => reader.after(cursor),
        None => reader,
    };
    let limit = match question.limit {
        Limit::Of(n) => Some(n),
        Limit::All => None,
        Limit::Unsaid => Some(ITEMS).filter(|_| question.query.direction == Direction::Back),
    };
    match (question.query.direction, limit, question.live) {
        // The last ones, and then whatever comes.
        (Direction::Back, Some(n), true) => reader.last(n).pages(true, None),
        (Direction::Back, Some(n), false) => reader.last(n).pages(false, Some(n as u64)),
        (_, limit, live) => reader.pages(live, limit.map(|n| n as u64)),
    }
}

async fn one_page(question: Question, pm: &ProcessManager, wait_ms: u64) -> Result<Page, Problem> {
    let mut query = question.query;
    query.limit = match question.limit {
        Limit::Of(n) => n.min(MAX_ITEMS),
        Limit::All => MAX_ITEMS,
        Limit::Unsaid => ITEMS,
    };
    Ok(pm.ask(Logs { query, wait_ms }).await?.map_err(Error::from)?)
}

/// One page of JSON; reading forwards it may wait for the first record.
async fn page(question: Question, pm: &ProcessManager) -> Answer {
    if question.live {
        return Err(Problem::malformed(
            "`follow` needs lines: `accept: application/x-ndjson` or `text/plain`",
        )
        .with_help("with JSON, ask page by page with `cursor` and `wait`"));
    }
    let forward = question.query.direction == Direction::Forward;
    let (cursor, wait_ms) = (question.query.cursor, question.wait_ms.unwrap_or(0));
    let found = one_page(question, pm, if forward { wait_ms } else { 0 }).await?;
    // Forwards there is always a place to go on from, once there was one.
    let next = found.next.or(cursor.filter(|_| forward));
    let items: Vec<_> = found.records.iter().map(wire::Record::of).collect();
    let mut list = wire::list(&items, next.map(|cursor| cursor.to_string()));
    if found.behind {
        list["behind"] = true.into();
    }
    Ok(HttpResponse::Ok().json(list))
}

/// The journal, oldest first; it may wait for the next record.
pub(super) async fn events(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let after = asked.number("cursor")?.unwrap_or(0);
    let limit = asked.limit(ITEMS, MAX_ITEMS)?;
    let wait_ms = asked.wait_ms()?;
    asked.finish()?;
    let records = pm.events_of(GetEvents { after, limit, wait_ms }).await?;
    let next = records.last().map_or(after, |record| record.seq).to_string();
    let items: Vec<_> = records.iter().map(journal::record).collect();
    if Form::of(&request) == Form::Json {
        return Ok(HttpResponse::Ok().json(wire::list(&items, Some(next))));
    }
    let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, Form::Ndjson.content_type())).body(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_chooses_the_form() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("text/plain", Form::Text),
            ("text/html, text/plain;q=0.5, application/x-ndjson;q=0.8", Form::Ndjson),
            ("application/json, text/plain", Form::Json),
            ("image/png", Form::Json),
            ("Text/Plain; charset=utf-8", Form::Text),
        ] {
            assert_eq!(Form::parse(accept), form, "{accept}");
        }
    }
}
