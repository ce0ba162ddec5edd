//! What others hold of the store: a handle. Only a commit is written on the thread of its caller (`front.rs`).

use super::{
    answer::{Loaded, StoreError},
    condition::{Condition, Gauges},
    entry::Commit,
    front::Front,
    identity::{self, Identity, Known},
    journal::{Engine, Opened},
    lock, memory,
    notices::{Notice, Notices},
    open_error::OpenError,
    queue::{Queue, queue},
    request::Request,
    segments::JournalRetention,
};
use crate::{
    model::{Place, Written},
    owned,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc::sync_channel},
    thread::{self, JoinHandle},
};

/// Requests that may wait. A commit takes about 0.2 ms and a hundred of them share one flush, so this is well under a
/// second of work; beyond it the answer is [`StoreError::Busy`], which tells the caller that the store stands still.
const QUEUE: usize = 4096;

/// A handle on the store. Clones share it; it is freed, and its lock with it, when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    identity: Identity,
    gauges: Arc<Gauges>,
    notices: Arc<Notices>,
    front: Arc<Front>,
    queue: Option<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store in this folder, makes it if it is not there. Blocks for as long as sled reads its log.
    ///
    /// # Errors
    /// See [`OpenError`]. Damage is none.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        memory::give_back_large_pieces();
        let dir = owned::claim(dir)?;
        owned::check_contents(&dir)?;
        let (lock, before) = lock::take(&dir)?;
        let Known { identity, damage, moved } = identity::know(&dir, &before)?;
        let Opened { engine, damage: more } =
            Engine::open(&dir).map_err(|why| OpenError::Database { dir: dir.clone(), why })?;
        let damage: Vec<_> = damage.into_iter().chain(more).collect();
        let damage = (!damage.is_empty()).then(|| damage.join("; "));
        let notices = Arc::new(Notices::default());
        moved.into_iter().for_each(|what| notices.say(Notice::Moved(what)));
        damage.iter().for_each(|what| notices.say(Notice::Damaged { what: what.clone(), lost: true }));
        let (gauges, front) = (engine.gauges.clone(), engine.front.clone());
        let (queue, requests) = queue(QUEUE);
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                engine.serve(&requests, damage);
                // The database is closed by now; only then may another open it.
                drop(lock);
            })
            .map_err(|error| OpenError::Io { path: dir.clone(), error })?;
        let thread = Mutex::new(Some(thread));
        Ok(Self {
            shared: Arc::new(Shared { dir, identity, gauges, notices, front, queue: Some(queue), thread }),
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// A random number made once for each store: the identity of its manager.
    #[must_use]
    pub fn manager_id(&self) -> u128 {
        self.shared.identity.manager
    }

    /// Whether the folder lies where its identity was made. Elsewhere it is a copy, and living processes that it knows of
    /// belong to the original.
    #[must_use]
    pub fn is_at_home(&self) -> bool {
        self.shared.identity.at_home
    }

    /// What the store has to say since this was asked last.
    #[must_use]
    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared.notices.take()
    }

    /// Who is told, on any thread, that [`Store::take_notices`] has something new. One at a time.
    pub fn on_notice(&self, listener: impl Fn() + Send + 'static) {
        self.shared.notices.listen(listener);
    }

    /// Says something of the store.
    pub(super) fn say(&self, notice: Notice) {
        self.shared.notices.say(notice);
    }

    /// A random number made once for each store: the seed of all chance in it.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.identity.seed
    }

    /// How it does, as its thread last said. Never blocks.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.shared.gauges.read()
    }

    /// All that the last owner left. Blocks; meant to be called once, at the start.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database cannot be read.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let (answer, wait) = sync_channel(1);
        self.send(Request::Load(Box::new(move |loaded| drop(answer.send(loaded)))));
        wait.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Writes one decision: when this returns, it survives the death of the process. Blocks for one `write` into the page
    /// cache, and for a flush of sled where some mebibytes of decisions wait for one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the store's thread stands still, [`StoreError::Closed`] after [`Store::close`],
    /// [`StoreError::Failed`] when neither the journal nor its reserve takes it. It is not written then.
    pub fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let Some(queue) = &self.shared.queue else { return Err(StoreError::Closed) };
        if queue.is_full() {
            return Err(StoreError::Busy);
        }
        let condition = self.condition();
        if self.shared.gauges.is_full() {
            return Err(StoreError::Failed(format!("the journal owes {} entries", condition.owed)));
        }
        self.shared.front.write(commit, !condition.refuses, |sealed| queue.push(Request::Commit(sealed)))
    }

    /// Journal records with a sequence number over `after`, oldest first, at most `limit`. Never blocks.
    pub fn read_journal(
        &self,
        after: u64,
        limit: usize,
        done: impl FnOnce(Result<Vec<Vec<u8>>, StoreError>) + Send + 'static,
    ) {
        self.send(Request::ReadJournal { after, limit, done: Box::new(done) });
    }

    /// Commits after this place, oldest first, until they take so many bytes. Never blocks.
    pub fn read_commits(
        &self,
        after: Place,
        max_bytes: usize,
        done: impl FnOnce(Result<Vec<Written>, StoreError>) + Send + 'static,
    ) {
        self.send(Request::ReadCommits { after, max_bytes, done: Box::new(done) });
    }

    /// State whose key begins so, in the order of keys. Never blocks.
    pub fn scan(
        &self,
        prefix: &str,
        done: impl FnOnce(Result<Vec<(String, Vec<u8>)>, StoreError>) + Send + 'static,
    ) {
        self.send(Request::Scan(prefix.to_owned(), Box::new(done)));
    }

    /// How many decisions are kept from now on. Never blocks.
    pub fn set_journal_retention(&self, retention: JournalRetention) {
        self.send(Request::Retain(retention));
    }

    /// Writes everything, marks the store as closed in good order; later requests are answered
    /// [`StoreError::Closed`]. Never blocks.
    pub fn close(&self, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        // Also behind a full queue: nothing that comes later is taken any more.
        self.shared.front.close(|| match &self.shared.queue {
            None => done(Err(StoreError::Closed)),
            Some(queue) => queue.push(Request::Close(Box::new(done))),
        });
    }

    fn send(&self, request: Request) {
        match &self.shared.queue {
            None => request.refuse(StoreError::Closed),
            Some(queue) if queue.is_full() => request.refuse(StoreError::Busy),
            Some(queue) => queue.push(request),
        }
    }
}

/// The last handle waits until all is written and the lock is free, so that who drops a store can open it again.
impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.get_mut().map(Option::take).unwrap_or_default();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
