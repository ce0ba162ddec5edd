//! Calling a closure for every journal record, and for every end of a run.

use super::ProcessManager;
use crate::{Error, ErrorKind, Result, RunEnd};
use actix_process_actors::{
    manager::{GetEvents, GetInfo},
    model::{Event, JournalRecord},
};
use std::time::Duration;

/// How long one question waits for the next record: idle listeners cost four messages a minute.
const WAIT_MS: u64 = 15_000;

/// Pause after a journal that could not be read: a store that is ill is not asked in a tight loop.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts the listener's thread. It reads the journal instead of subscribing to it, so that a slow listener lags behind
/// and loses nothing.
pub(super) fn spawn(
    pm: ProcessManager,
    mut listener: impl FnMut(JournalRecord) + Send + 'static,
) -> Result<()> {
    start(pm, async move |_: &ProcessManager, record| listener(record))
}

/// The same for those who care for ends alone.
pub(super) fn spawn_for_ends(
    pm: ProcessManager,
    mut listener: impl FnMut(RunEnd) + Send + 'static,
) -> Result<()> {
    start(pm, async move |pm: &ProcessManager, record: JournalRecord| {
        let Some(run) = record.run.filter(|_| matches!(record.event, Event::RunEnded { .. })) else { return };
        // One that is forgotten already, by a retention that keeps next to nothing, has no end to tell of.
        if let Ok(ended) = pm.find(run.to_string()).await {
            listener(RunEnd::of(ended));
        }
    })
}

fn start(
    pm: ProcessManager,
    listener: impl AsyncFnMut(&ProcessManager, JournalRecord) + Send + 'static,
) -> Result<()> {
    // Asked before the thread exists: records from the moment of the call on are heard.
    let info = pm.ask(GetInfo);
    let cannot = |error: std::io::Error| {
        Error::new(ErrorKind::Keeper, format!("the listener's thread cannot be started: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(cannot)?;
    std::thread::Builder::new()
        .name("process-events".into())
        .spawn(move || {
            runtime.block_on(async move {
                if let Ok(info) = info.await {
                    listen(&pm, info.last_seq, listener).await;
                }
            });
        })
        .map_err(cannot)?;
    Ok(())
}

async fn listen(
    pm: &ProcessManager,
    mut after: u64,
    mut listener: impl AsyncFnMut(&ProcessManager, JournalRecord),
) {
    loop {
        match pm.events_of(GetEvents { after, wait_ms: WAIT_MS, limit: 0 }).await {
            Ok(records) => {
                for record in records {
                    after = record.seq;
                    listener(pm, record).await;
                }
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => {
                log::warn!("journal cannot be read for a listener; after={after} why={error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
