//! The control socket on Tokio: events are passed on as they come, requests wait when there is no room.

use crate::keeper::{Incoming, Keeper, protocol};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    rc::Rc,
};
use tokio::{io::unix::AsyncFd, task::JoinHandle};

/// The number of events that are passed on in one turn; then the other tasks of the thread have theirs.
const TURN: u32 = 64;

/// The pause before a request is tried again that found no room though the socket is writable (descriptors under
/// way).
const RETRY: std::time::Duration = std::time::Duration::from_millis(2);

/// What came over the keeper's socket.
#[derive(Debug)]
pub(super) enum Heard {
    /// An event and its descriptors.
    Event(protocol::Event, Vec<OwnedFd>),
    /// The keeper is gone.
    Closed,
}

/// A keeper and the connection to it. When this is dropped, the keeper ends by its own rules.
pub(super) struct Link {
    keeper: Rc<AsyncFd<Keeper>>,
    /// Encoded requests: of a thousand starts that wait here, each is one piece of memory and not one for each of its
    /// words.
    queue: Rc<RefCell<VecDeque<Vec<u8>>>>,
    writing: Rc<Cell<bool>>,
    reader: Reader,
}

/// The listening task, which must not keep the socket open when the link is gone.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Listens to a keeper on this thread. Must be called where a local task can be spawned.
    pub(super) fn open(keeper: Keeper, hear: impl Fn(Heard) + 'static) -> io::Result<Self> {
        // SAFETY: a Keeper owns its open socket and neither replaces nor closes it before it is dropped or taken back. Tokio
        // has no safe way to say so.
        let keeper = Rc::new(unsafe { AsyncFd::register(keeper) }?);
        let reader = Reader(tokio::task::spawn_local(read(Rc::clone(&keeper), hear)));
        Ok(Self { keeper, queue: Rc::default(), writing: Rc::default(), reader })
    }

    /// Sends a request, in order; never blocks.
    pub(super) fn send(&self, request: &protocol::Request) {
        let mut datagram = request.encode();
        if self.queue.borrow().is_empty() {
            match self.keeper.get_ref().send_encoded(&datagram) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An error is the end of the keeper, which its reader reports.
                _ => return,
            }
        }
        datagram.shrink_to_fit();
        self.queue.borrow_mut().push_back(datagram);
        if !self.writing.replace(true) {
            let (keeper, queue, writing) =
                (Rc::clone(&self.keeper), Rc::clone(&self.queue), Rc::clone(&self.writing));
            tokio::task::spawn_local(async move {
                write(&keeper, &queue).await;
                writing.set(false);
            });
        }
    }

    /// The keeper's process id; `None` unless it has a process of its own.
    pub(super) fn pid(&self) -> Option<i32> {
        self.keeper.get_ref().pid()
    }

    /// Kills the keeper's process. Returns false where it has none of its own, or where the process is not ours any
    /// more.
    pub(super) fn kill(&self) -> bool {
        self.keeper.get_ref().kill()
    }

    /// Takes the keeper back after its end was heard, to wait for its process or thread.
    pub(super) fn into_keeper(self) -> Option<Keeper> {
        self.queue.borrow_mut().clear();
        drop(self.reader);
        Rc::into_inner(self.keeper).map(AsyncFd::into_inner)
    }
}

async fn read(keeper: Rc<AsyncFd<Keeper>>, hear: impl Fn(Heard)) {
    let mut turn = 0;
    while let Ok(mut ready) = keeper.readable().await {
        match keeper.get_ref().receive() {
            Ok(Incoming::Event(event, fds)) => hear(Heard::Event(event, fds)),
            Ok(Incoming::Unknown) => log::warn!("keeper said something unknown"),
            Ok(Incoming::Empty) => ready.clear_ready(),
            Ok(Incoming::Closed) | Err(_) => break,
        }
        turn += 1;
        if turn % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(keeper);
    hear(Heard::Closed);
}

async fn write(keeper: &AsyncFd<Keeper>, queue: &RefCell<VecDeque<Vec<u8>>>) {
    loop {
        let Ok(mut ready) = keeper.writable().await else { return };
        // Nothing else runs until it is sent or back in its place, so nothing overtakes it.
        let Some(datagram) = queue.borrow_mut().pop_front() else { return };
        match keeper.get_ref().send_encoded(&datagram) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                queue.borrow_mut().push_front(datagram);
                ready.clear_ready();
                drop(ready);
                // Readiness does not tell of room for descriptors, so time is the second cause to look again.
                let _ = tokio::time::timeout(RETRY, keeper.writable()).await;
            }
            Err(_) => return queue.borrow_mut().clear(),
            Ok(()) => {}
        }
    }
}
