//! Datagrams with descriptors over the control socket.

use super::syscall::socket_pair;
use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::{Errno, retry_on_intr},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// Largest message sent as it is: far below the socket's buffer (208 KiB), so that several fit. A larger one travels
/// in a memory file of its own, of which only the descriptor is sent.
const DATAGRAM: usize = 32 << 10;

/// Largest message accepted from a memory file: argv and environment are 2 MiB at most for the kernel.
const ENCLOSED: u64 = 8 << 20;

/// Descriptors in one message; an event has three.
const FDS: usize = 4;

/// First byte of a message whose content is in the memory file sent with it; no message begins so.
const ENCLOSED_MARK: u8 = 0xff;

/// Room for the control part of a message: [`FDS`] descriptors.
const CONTROL: usize = rustix::cmsg_space!(ScmRights(FDS));

/// What came in.
pub(super) enum Received {
    /// A message and its descriptors.
    Message(Vec<u8>, Vec<OwnedFd>),
    /// Nothing for now.
    Empty,
    /// The other side is gone.
    Closed,
}

/// One end of the control socket, non-blocking.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        socket_pair().map(|(a, b)| (Self(a), Self(b)))
    }

    pub(super) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one message; [`io::ErrorKind::WouldBlock`] when there is no room.
    pub(super) fn send(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if message.len() <= DATAGRAM {
            return self.send_raw(message, fds);
        }
        let file = memory_file(message)?;
        self.send_raw(&[ENCLOSED_MARK], &[file.as_fd()])
    }

    fn send_raw(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let fds = fds.get(..FDS.min(fds.len())).unwrap_or_default();
        let mut space = [MaybeUninit::uninit(); CONTROL];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let part = [IoSlice::new(message)];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match retry_on_intr(|| sendmsg(&self.0, &part, &mut control, flags)) {
            Ok(_) => Ok(()),
            // Too many descriptors are under way: room comes when the other side reads.
            Err(Errno::TOOMANYREFS | Errno::NOBUFS) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives one message.
    pub(super) fn receive(&self) -> io::Result<Received> {
        let mut buffer = vec![0_u8; DATAGRAM];
        let mut space = [MaybeUninit::uninit(); CONTROL];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let read = match recvmsg(&self.0, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
            Ok(received) => received.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Empty),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(error) => return Err(error.into()),
        };
        let fds = take_fds(&mut control);
        if read == 0 {
            return Ok(Received::Closed);
        }
        buffer.truncate(read);
        if buffer == [ENCLOSED_MARK]
            && let [file] = fds.as_slice()
        {
            return Ok(Received::Message(read_enclosed(file)?, Vec::new()));
        }
        Ok(Received::Message(buffer, fds))
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.0
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// The descriptors of a received message. When our own limit is reached the kernel leaves some out, and the message is
/// valid without them.
fn take_fds(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let rights = control.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    rights.flatten().collect()
}

fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"launch", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    Ok(file)
}

fn read_enclosed(file: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(file.try_clone()?);
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(ENCLOSED).read_to_end(&mut content)?;
    Ok(content)
}
