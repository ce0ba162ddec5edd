//! How the reader of the spools learns that they grew.
//!
//! A spool's name on this channel is its attempt's token times two, plus one for standard error: the reader then opens and
//! asks for no file but the one that grew.
//!
//! The other way the reader says how far it is: a child that writes faster than its output is stored waits for that word.
//! One that finds no room is left out. The next one says more, and a stream that waits looks by itself at what of its file
//! was given back.

use super::socket::{Received, Socket};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

/// Stands for "look at every spool": sent when wake-ups had to be left out because the channel was full.
pub const LOOK_AT_ALL: u64 = u64::MAX;

/// The name of a spool; `stream` is 0 for standard output and 1 for standard error.
#[must_use]
pub const fn spool_name(token: u64, stream: usize) -> u64 {
    token << 1 | (stream as u64 & 1)
}

/// Names in one datagram: 4 KiB, so that a full channel still costs the kernel little memory.
const BATCH: usize = 512;

/// The end that tells. Belongs to the keeper; the daemon keeps it too, for the next keeper.
#[derive(Debug)]
pub struct WakeSender(Socket);

/// The end that hears. Belongs to the reader of the spools.
#[derive(Debug)]
pub struct WakeReceiver(Socket);

/// A channel for wake-ups; both ends are non-blocking.
///
/// # Errors
/// The kernel has no descriptors left.
pub fn wake_pair() -> io::Result<(WakeSender, WakeReceiver)> {
    Socket::pair().map(|(sender, receiver)| (WakeSender(sender), WakeReceiver(receiver)))
}

impl WakeSender {
    /// A second handle of the same end.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.as_fd().try_clone_to_owned().map(|fd| Self(Socket::new(fd)))
    }

    /// Tells that these spools grew; false when there was no room for all of them. A reader that is gone is no error.
    #[must_use]
    pub fn send(&self, names: &[u64]) -> bool {
        names.chunks(BATCH).all(|batch| {
            let bytes: Vec<u8> = batch.iter().flat_map(|name| name.to_le_bytes()).collect();
            !matches!(self.0.send(&bytes, &[]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        })
    }
}

impl WakeSender {
    /// What the reader said since the last time: names of spools, and the place in each up to which it needs nothing any
    /// more. Never blocks.
    pub(super) fn progress(&self) -> Vec<(u64, u64)> {
        let mut words = Vec::new();
        while let Ok(Received::Message(bytes, _)) = self.0.receive() {
            let halves: Vec<u64> =
                bytes.as_chunks::<8>().0.iter().map(|half| u64::from_le_bytes(*half)).collect();
            words.extend(halves.as_chunks::<2>().0.iter().map(|[name, to]| (*name, *to)));
        }
        words
    }
}

impl From<OwnedFd> for WakeSender {
    fn from(fd: OwnedFd) -> Self {
        Self(Socket::new(fd))
    }
}

impl AsFd for WakeSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl WakeReceiver {
    /// Appends the names of the spools that grew since the last time, repeats included; never blocks.
    /// [`LOOK_AT_ALL`] stands for every spool.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub fn read(&self, out: &mut Vec<u64>) -> io::Result<()> {
        while let Received::Message(bytes, _) = self.0.receive()? {
            out.extend(bytes.as_chunks::<8>().0.iter().map(|name| u64::from_le_bytes(*name)));
        }
        Ok(())
    }
}

impl WakeReceiver {
    /// Says of a spool, by its name, up to where nothing of it is needed any more; never blocks.
    ///
    /// # Errors
    /// There was no room, or nobody hears it.
    pub fn say(&self, name: u64, to: u64) -> io::Result<()> {
        self.0.send(&[name.to_le_bytes(), to.to_le_bytes()].concat(), &[])
    }
}

impl AsFd for WakeReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for WakeReceiver {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_of_every_attempt_has_a_name_of_its_own() {
        let names: Vec<_> =
            [1, 2, 3].into_iter().flat_map(|token| [0, 1].map(|s| spool_name(token, s))).collect();
        assert_eq!(names, [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_full_channel_says_so_and_what_fitted_arrives() {
        let (sender, receiver) = wake_pair().unwrap();
        assert!(sender.send(&[1, 2, LOOK_AT_ALL]));
        let sent = (0..100_000).take_while(|_| sender.send(&[7])).count();
        assert!(sent < 100_000);
        let mut heard = Vec::new();
        receiver.read(&mut heard).unwrap();
        assert_eq!(heard.len(), sent + 3);
        assert_eq!(heard.get(..3), Some(&[1, 2, LOOK_AT_ALL][..]));
    }
}
