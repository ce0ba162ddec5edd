//! Datagrams with descriptors over the control socket.

use super::syscall::{check, socket_pair};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
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

/// Room for the control part of a message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

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
        let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        let mut control = Control([0; 64]);
        // SAFETY: all zeroes is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        let fds = fds.get(..FDS.min(fds.len())).unwrap_or_default();
        if !fds.is_empty() {
            let bytes = u32::try_from(size_of_val(fds)).unwrap_or(0);
            header.msg_control = control.0.as_mut_ptr().cast();
            // SAFETY: these only compute; `control` holds CMSG_SPACE of FDS descriptors (32 bytes).
            unsafe {
                header.msg_controllen = libc::CMSG_SPACE(bytes) as _;
                let first = libc::CMSG_FIRSTHDR(&raw const header);
                (*first).cmsg_level = libc::SOL_SOCKET;
                (*first).cmsg_type = libc::SCM_RIGHTS;
                (*first).cmsg_len = libc::CMSG_LEN(bytes) as _;
                // A BorrowedFd is its number in memory, and both areas have `bytes` bytes.
                ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(first), bytes as usize);
            }
        }
        loop {
            let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
            // SAFETY: the header points to areas that live until the call is over.
            let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const header, flags) };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                // Too many descriptors are under way: room comes when the other side reads.
                Some(libc::ETOOMANYREFS | libc::ENOBUFS) => return Err(io::ErrorKind::WouldBlock.into()),
                _ => return Err(error),
            }
        }
    }

    /// Receives one message.
    pub(super) fn receive(&self) -> io::Result<Received> {
        let mut buffer = vec![0_u8; DATAGRAM];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; 64]);
        // SAFETY: all zeroes is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        // SAFETY: the header points to areas that live until the call is over.
        let read = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, flags) };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Received::Empty),
                io::ErrorKind::ConnectionReset => Ok(Received::Closed),
                _ => Err(error),
            };
        };
        let fds = take_fds(&header);
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
fn take_fds(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled the control area; the CMSG functions stay inside the length it wrote, and each
    // descriptor in it is new and ours.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(header);
        while !part.is_null() {
            if (*part).cmsg_level == libc::SOL_SOCKET && (*part).cmsg_type == libc::SCM_RIGHTS {
                let bytes = ((*part).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let data = libc::CMSG_DATA(part).cast::<libc::c_int>();
                for index in 0..bytes / size_of::<libc::c_int>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            part = libc::CMSG_NXTHDR(header, part);
        }
    }
    fds
}

fn memory_file(content: &[u8]) -> io::Result<File> {
    // SAFETY: the name is a C string.
    let fd = check(unsafe { libc::memfd_create(c"launch".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the descriptor is new and ours.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
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
