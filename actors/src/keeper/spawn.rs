//! `posix_spawn`: the child borrows our memory until it execs, so the cost does not grow with it.
//!
//! It is libc's, and so is `unsafe`: the kernel has no such call, and `rustix` has only what the kernel has.

use super::{
    inherited::{make_more_killable, open_files_mark},
    protocol::Launch,
    syscall::{every_signal, no_signals, open_files_limit, set_open_files_limit},
};
use rustix::process::Rlimit;
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// What a child gets beside its [`Launch`].
pub(super) struct Ends<'a> {
    /// `/dev/null`, for its standard input.
    pub(super) null: BorrowedFd<'a>,
    /// Its standard output.
    pub(super) stdout: BorrowedFd<'a>,
    /// Its standard error.
    pub(super) stderr: BorrowedFd<'a>,
    /// The soft limit of descriptors it shall see, where ours was raised. Lowering our own for the moment of the spawn
    /// is exact, where `prlimit` on the child would race with its first instructions; descriptors that are open
    /// already stay valid above the limit. Only the keeper's own process may do this: it has one thread.
    pub(super) open_files: Option<u64>,
}

/// Starts a program in a session of its own, with default signal dispositions, an empty mask and no descriptor but
/// 0, 1 and 2.
///
/// # Errors
/// The kernel's word; the same ENOENT for a missing program, interpreter and working directory.
pub(super) fn spawn(launch: &Launch, ends: &Ends<'_>) -> io::Result<i32> {
    let program = text(&launch.program)?;
    let cwd = text(&launch.cwd)?;
    let argv = Vector::new(&launch.argv)?;
    let env = Vector::new(&launch.env)?;
    let mut actions = Actions::new()?;
    actions.duplicate(ends.null, 0)?;
    actions.duplicate(ends.stdout, 1)?;
    actions.duplicate(ends.stderr, 2)?;
    actions.directory(&cwd)?;
    actions.close_the_rest()?;
    let attributes = Attributes::new()?;
    let raised = ends.open_files.map(|soft| {
        let raised = open_files_limit();
        let soft = soft.min(raised.maximum.unwrap_or(u64::MAX));
        set_open_files_limit(Rlimit { current: Some(soft), ..raised });
        raised
    });
    let spawned = posix_spawn(&program, &actions, &attributes, &argv, &env);
    if let Some(raised) = raised {
        set_open_files_limit(raised);
    }
    let pid = spawned?;
    make_more_killable(pid);
    Ok(pid)
}

/// Starts this executable again as the keeper: `control` becomes descriptor 3, and the environment is ours plus `mark` and
/// what children are to inherit.
pub(super) fn spawn_self(mark: &[u8], null: BorrowedFd<'_>, control: BorrowedFd<'_>) -> io::Result<i32> {
    use std::os::unix::ffi::OsStrExt;
    let mut env: Vec<Vec<u8>> =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    env.extend([mark.to_vec(), open_files_mark()]);
    let env = Vector::new(&env)?;
    let argv = Vector::new(&[b"actix-process-keeper".to_vec()])?;
    let mut actions = Actions::new()?;
    actions.duplicate(null, 0)?;
    actions.duplicate(null, 1)?;
    actions.duplicate(control, 3)?;
    let attributes = Attributes::new()?;
    posix_spawn(c"/proc/self/exe", &actions, &attributes, &argv, &env)
}

fn posix_spawn(
    program: &CStr,
    actions: &Actions,
    attributes: &Attributes,
    argv: &Vector,
    env: &Vector,
) -> io::Result<i32> {
    let mut pid = 0;
    // SAFETY: all pointers are to initialised values that outlive the call; both vectors end with a null.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.pointers.as_ptr(),
            env.pointers.as_ptr(),
        )
    };
    error_number(result).map(|()| pid)
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// These functions return their error instead of setting it.
fn error_number(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// C strings and the null-terminated list of pointers to them.
struct Vector {
    pointers: Vec<*mut libc::c_char>,
    _texts: Vec<CString>,
}

impl Vector {
    fn new(items: &[Vec<u8>]) -> io::Result<Self> {
        let texts = items.iter().map(|item| text(item)).collect::<io::Result<Vec<_>>>()?;
        let pointers = texts.iter().map(|t| t.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect();
        Ok(Self { pointers, _texts: texts })
    }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        // SAFETY: init fills the zeroed structure in, and it is not moved by C code.
        unsafe {
            let mut actions = std::mem::zeroed();
            error_number(libc::posix_spawn_file_actions_init(&raw mut actions))?;
            Ok(Self(actions))
        }
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
        // SAFETY: the structure is initialised.
        error_number(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), number)
        })
    }

    fn directory(&mut self, path: &CString) -> io::Result<()> {
        // SAFETY: the structure is initialised; the path is copied.
        error_number(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, path.as_ptr()) })
    }

    /// Our own descriptors close by themselves; those of a host application may not.
    fn close_the_rest(&mut self) -> io::Result<()> {
        #[cfg(target_env = "gnu")]
        // SAFETY: the structure is initialised.
        error_number(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut self.0, 3) })?;
        Ok(())
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A session of its own, every signal at its default, none blocked.
    fn new() -> io::Result<Self> {
        // SAFETY: init fills the zeroed structure in; the sets are initialised and copied.
        unsafe {
            let mut attributes = std::mem::zeroed();
            error_number(libc::posix_spawnattr_init(&raw mut attributes))?;
            let mut attributes = Self(attributes);
            let (none, all) = (no_signals(), every_signal());
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            let flags = flags as libc::c_short | libc::POSIX_SPAWN_SETSID as libc::c_short;
            error_number(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags))?;
            error_number(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, &raw const none))?;
            error_number(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, &raw const all))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
