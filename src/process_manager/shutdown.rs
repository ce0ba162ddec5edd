//! The supervisor's threads, and their end.

use actix::Addr;
use actix_process_actors::manager::{ManagerActor, Running, Shutdown};
use std::path::PathBuf;

/// What has to be joined and removed once.
pub(super) struct Threads {
    // Held while the first shutdown is on its way, so that a second one waits for it.
    running: tokio::sync::Mutex<Option<Running>>,
    /// A private store, removed in the end.
    private_store: Option<PathBuf>,
}

impl Threads {
    pub(super) fn new(running: Running, private_store: Option<PathBuf>) -> Self {
        Self { running: tokio::sync::Mutex::new(Some(running)), private_store }
    }

    /// Ends everything; the second time there is nothing left to do.
    pub(super) async fn end(&self, addr: &Addr<ManagerActor>) {
        let mut guard = self.running.lock().await;
        if guard.is_none() {
            return;
        }
        // A manager that is gone already has nothing to say; its threads are joined all the same. The handle is taken
        // after the answer: a shutdown whose future is dropped half-way can be asked for again.
        let _ = addr.send(Shutdown).await;
        let Some(running) = guard.take() else { return };
        let private_store = self.private_store.clone();
        let joined = on_a_thread("process-join", move || {
            running.join();
            if let Some(folder) = private_store
                && let Err(error) = std::fs::remove_dir_all(&folder)
            {
                log::warn!("private store not removed; folder={} why={error}", folder.display());
            }
        });
        if joined.await.is_none() {
            log::warn!("supervisor threads not joined: no thread to wait on");
        }
    }
}

/// Does what blocks on a thread of its own and waits for it, on whatever runtime the caller lives; nothing when the
/// thread cannot be started or panics.
pub(super) async fn on_a_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = tell.send(work());
    };
    std::thread::Builder::new().name(name.into()).spawn(work).ok()?;
    told.await.ok()
}
