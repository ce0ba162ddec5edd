//! `events`: the journal, one JSON object a line.

use crate::{
    answer::{items, next_cursor},
    args::Events,
    client::Client,
    failure::Failure,
    screen::Screen,
};

pub(crate) fn events(client: &Client, screen: &mut Screen, ask: &Events) -> Result<(), Failure> {
    let mut cursor = ask.after_cursor.clone();
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        query.extend(ask.follow.then_some(("wait", "20s")));
        let page = client.get("/events", &query)?;
        let records = items(&page);
        for record in records {
            screen.json(record)?;
        }
        screen.flush()?;
        let next = next_cursor(&page);
        let stays = next.is_none() || next == cursor;
        cursor = next.or(cursor);
        if !ask.follow && (records.is_empty() || stays) {
            return Ok(());
        }
    }
}
