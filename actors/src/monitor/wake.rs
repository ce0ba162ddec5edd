//! Hears which spools grew.

use crate::model::Stream;
use actix::{Message, Recipient};
use std::{
    future::Future,
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};
use tokio::io::{Interest, unix::AsyncFd};

/// After each round the next waits so long: a hundred children that write a hundred lines a second are then twenty
/// rounds a second and not ten thousand. A reader never waits for it, a question looks by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest datagram that is read whole.
const DATAGRAM: usize = 8 << 10;

/// These spools grew: names as the keeper gives them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wakes(pub(crate) Vec<u64>);

/// The token and the stream that a name stands for.
pub(crate) const fn spool_of(name: u64) -> (u64, Stream) {
    (name >> 1, if name & 1 == 0 { Stream::Stdout } else { Stream::Stderr })
}

/// Passes wake-ups on until nobody wants them or nobody sends them any more.
pub(crate) fn listen(fd: OwnedFd, to: Recipient<Wakes>) -> io::Result<impl Future<Output = ()> + 'static> {
    set_nonblocking(&fd)?;
    // SAFETY: the descriptor is owned by what is registered, so it stays open for as long as it is.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
    Ok(async move {
        loop {
            let Ok(mut ready) = fd.readable().await else { return };
            let mut names = Vec::new();
            let open = drain(fd.get_ref(), &mut names);
            ready.clear_ready();
            drop(ready);
            names.sort_unstable();
            names.dedup();
            if !names.is_empty() && to.send(Wakes(names)).await.is_err() {
                return;
            }
            if !open {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Tells the keeper up to where a spool is stored. Left out when there is no room: the next word says more.
pub(crate) fn say(fd: &OwnedFd, name: u64, to: u64) {
    let word = [name.to_le_bytes(), to.to_le_bytes()].concat();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the descriptor is open during the call, which reads as many bytes as the buffer has.
    unsafe { libc::send(fd.as_raw_fd(), word.as_ptr().cast(), word.len(), flags) };
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open during the calls, which touch no memory of ours.
    let done = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads all that waits; false when the other end is gone.
fn drain(fd: &OwnedFd, names: &mut Vec<u64>) -> bool {
    let mut datagram = [0_u8; DATAGRAM];
    loop {
        // SAFETY: the buffer is ours, and the kernel writes at most its length.
        let read = unsafe { libc::recv(fd.as_raw_fd(), datagram.as_mut_ptr().cast(), datagram.len(), 0) };
        match usize::try_from(read) {
            Ok(0) => return false,
            Ok(length) => {
                let bytes = datagram.get(..length).unwrap_or_default();
                names.extend(bytes.as_chunks::<8>().0.iter().map(|name| u64::from_le_bytes(*name)));
            }
            Err(_) => match io::Error::last_os_error().kind() {
                io::ErrorKind::WouldBlock => return true,
                io::ErrorKind::Interrupted => {}
                _ => return false,
            },
        }
    }
}
