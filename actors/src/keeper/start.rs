//! How a keeper comes to be: as this executable again, or as a thread.

use super::{
    event_loop::{Loop, Mode},
    inherited::{open_files_for_children, remember_open_files},
    protocol::{Request, VERSION},
    socket::{Received, Socket},
    spawn::spawn_self,
    syscall::{
        block_signals, is_seqpacket, kill_child, open_files_limit, set_open_files_limit, signal_fd, wait_for,
    },
    wake::WakeSender,
};
use rustix::process::{DumpableBehavior, Rlimit, getpid, set_child_subreaper, set_dumpable_behavior};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::JoinHandle,
};

/// The environment variable that makes this executable a keeper; its value is the control socket's descriptor.
const MARK: &str = "ACTIX_PROCESS_KEEPER";

/// The only value of [`MARK`]: the first descriptor after the standard ones.
const CONTROL_FD: RawFd = 3;

/// Whether [`init`] was called, so that our executable can be started as a keeper.
static PROCESS_IS_POSSIBLE: AtomicBool = AtomicBool::new(false);

/// Call this first in `main`: in the keeper's process it never returns, in every other it remembers that a keeper can
/// have a process of its own, and how many descriptors this process may have: children get that limit, whatever we raise
/// ours to. Without it the keeper is a thread, and children get the limit of the moment.
pub fn init() {
    let marked = std::env::var_os(MARK).is_some_and(|value| value == CONTROL_FD.to_string().as_str());
    // SAFETY: should the descriptor not be open, asking what it is fails and nothing else happens. All that a started process
    // knows of what it inherited is a number.
    let control = unsafe { BorrowedFd::borrow_raw(CONTROL_FD) };
    if !marked || !is_seqpacket(control) {
        remember_open_files();
        PROCESS_IS_POSSIBLE.store(true, Ordering::Release);
        return;
    }
    // SAFETY: whoever started us gave us this descriptor and nobody here has used it.
    let control = unsafe { OwnedFd::from_raw_fd(CONTROL_FD) };
    let result = become_keeper().and_then(|mode| Loop::new(mode, Socket::new(control))?.run());
    std::process::exit(i32::from(result.is_err()));
}

/// Makes this process what a parent of everybody's children should be.
fn become_keeper() -> io::Result<Mode> {
    let _ = rustix::thread::set_name(c"keeper");
    set_child_subreaper(Some(getpid()))?;
    // We hold everybody's output: no child of the same user may take a descriptor of ours, read our memory or trace us. A
    // child can be dumped again once it executes its own program.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // A host's descriptors that it forgot to mark are not ours to hold open.
    // SAFETY: the process has one thread, which has opened nothing yet but the control socket. `rustix` does not have it,
    // because whose descriptors are closed only the caller knows.
    unsafe { libc::close_range(4, libc::c_uint::MAX, 0) };
    // Our working directory must not keep a file system busy; every path we get is absolute.
    let _ = std::env::set_current_dir("/");
    let (limit, open_files) = (open_files_limit(), open_files_for_children());
    set_open_files_limit(Rlimit { current: limit.maximum, ..limit });
    Ok(Mode::Process { signals: signal_fd()?, open_files })
}

/// A running keeper, seen from the daemon. Dropping it closes the control socket: the keeper then stops every tree
/// and ends.
#[derive(Debug)]
pub struct Keeper {
    control: Socket,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Process(i32),
    Thread(JoinHandle<()>),
}

/// What came over the control socket.
#[derive(Debug)]
pub enum Incoming {
    /// An event and the descriptors that came with it.
    Event(super::protocol::Event, Vec<OwnedFd>),
    /// Something of another version; it is passed over.
    Unknown,
    /// Nothing for now.
    Empty,
    /// The keeper is gone.
    Closed,
}

impl Keeper {
    /// Starts a keeper: a process where [`init`] was called, else a thread. It takes the lock of the file `lock`, whose
    /// path is absolute, and answers with `Hello`, or with `Locked` and its end.
    ///
    /// # Errors
    /// The kernel has no process, thread or descriptor left.
    pub fn start(wake: &WakeSender, lock: &Path) -> io::Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        let body = if PROCESS_IS_POSSIBLE.load(Ordering::Acquire) {
            let null = File::open("/dev/null")?;
            let mark = format!("{MARK}={CONTROL_FD}");
            Body::Process(spawn_self(mark.as_bytes(), null.as_fd(), theirs.as_fd())?)
        } else {
            let thread = std::thread::Builder::new().name("keeper".into());
            Body::Thread(thread.spawn(move || {
                // The host's signals are handled by the host's threads.
                block_signals();
                // An error closes the socket, and the daemon hears that.
                drop(Loop::new(Mode::Thread, theirs).and_then(|mut keeper| keeper.run()));
            })?)
        };
        let keeper = Self { control: ours, body };
        let hello = Request::Hello { version: VERSION, lock: lock.as_os_str().as_bytes().to_vec() };
        keeper.control.send(&hello.encode(), &[wake.as_fd()])?;
        Ok(keeper)
    }

    /// The keeper's process, if it has one of its own.
    #[must_use]
    pub const fn pid(&self) -> Option<i32> {
        match &self.body {
            Body::Process(pid) => Some(*pid),
            Body::Thread(_) => None,
        }
    }

    /// Kills its process, which hears nothing else when it is stopped; its socket closes then. False where it has no process
    /// of its own: a thread cannot be stopped without us.
    #[must_use]
    pub fn kill(&self) -> bool {
        // Only `join`, which takes `self`, reaps it: the number is still its own.
        self.pid().is_some_and(kill_child)
    }

    /// Sends a request; never blocks.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room: wait until the socket is writable, or a few milliseconds.
    pub fn send(&self, request: &Request) -> io::Result<()> {
        self.send_encoded(&request.encode())
    }

    /// Sends what [`Request::encode`] made; never blocks.
    ///
    /// # Errors
    /// As [`Keeper::send`].
    pub fn send_encoded(&self, request: &[u8]) -> io::Result<()> {
        self.control.send(request, &[])
    }

    /// Takes the next event; never blocks.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub fn receive(&self) -> io::Result<Incoming> {
        Ok(match self.control.receive()? {
            Received::Message(bytes, fds) => match super::protocol::Event::decode(&bytes) {
                Ok(event) => Incoming::Event(event, fds),
                Err(_) => Incoming::Unknown,
            },
            Received::Empty => Incoming::Empty,
            Received::Closed => Incoming::Closed,
        })
    }

    /// Waits for the end of a keeper that closed its socket, or closes it and waits: the keeper then stops every tree
    /// first. Blocks; on an arbiter only after [`Incoming::Closed`].
    pub fn join(self) {
        let Self { control, body } = self;
        drop(control);
        match body {
            Body::Process(pid) => drop(wait_for(pid)),
            Body::Thread(thread) => drop(thread.join()),
        }
    }
}

impl AsRawFd for Keeper {
    fn as_raw_fd(&self) -> RawFd {
        self.control.as_raw_fd()
    }
}
