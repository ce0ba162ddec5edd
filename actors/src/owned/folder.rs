//! The folder of a store: whether it is ours to take.

use super::owner::{is_trusted, name_of};
use std::{
    fs::{self, DirBuilder, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What a store has written before it is one, and what may be put there for it: a folder with these alone was begun by us.
const OURS: [&str; 11] = [
    "lock",
    "identity.new",
    "token",
    "boot_id",
    "keeper.lock",
    "output",
    "state",
    "state.before",
    "spool",
    "secrets",
    // A file system of its own has this.
    "lost+found",
];

/// Why a folder is not taken for a store.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FolderError {
    /// What and why.
    pub message: String,
    /// One thing to do.
    pub help: String,
    /// Where the system refused: its word.
    #[source]
    pub source: Option<io::Error>,
}

impl FolderError {
    fn refused(message: String, help: &str) -> Self {
        Self { message, help: help.to_owned(), source: None }
    }

    fn of_system(dir: &Path, error: io::Error) -> Self {
        Self {
            message: format!("the store {} cannot be used: {error}", dir.display()),
            help: "look at the free space and the permissions of the store's folder".into(),
            source: Some(error),
        }
    }
}

/// Makes the folder of a store (0700) or takes the one that is there; the path without links.
///
/// Taken is what is empty or a store, of any version. Nothing is changed in one that is refused, its mode included.
///
/// # Errors
/// [`FolderError`] for a folder of somebody else's, one that several users share, and one that holds something else.
pub fn claim(dir: &Path) -> Result<PathBuf, FolderError> {
    let failed = |error| FolderError::of_system(dir, error);
    if dir.as_os_str().is_empty() {
        let help = "name the folder of the store";
        return Err(FolderError::refused("the path of the store is empty".into(), help));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let dir = dir.canonicalize().map_err(failed)?;
    let metadata = fs::metadata(&dir).map_err(failed)?;
    check(&dir, &metadata)?;
    if metadata.mode() & 0o7777 != 0o700 {
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(dir)
}

fn check(dir: &Path, metadata: &Metadata) -> Result<(), FolderError> {
    let shown = dir.display();
    let mode = metadata.mode() & 0o7777;
    if !is_trusted(metadata.uid()) {
        let message = format!("the store {shown} belongs to {}", name_of(metadata.uid()));
        let help = "run as that user, give the folder to the one you run as, or name another folder";
        return Err(FolderError::refused(message, help));
    }
    if is_store(dir) {
        return Ok(());
    }
    let strangers = strangers(dir).map_err(|error| FolderError::of_system(dir, error))?;
    let help = "name a folder of its own for the store: an empty one, or one that does not exist yet";
    // With this bit everybody may leave things there, as in a folder for temporary files.
    if mode & 0o1000 != 0 || mode & 0o002 != 0 && strangers.is_some() {
        let message = format!("the folder {shown} is shared by all users (mode {mode:o}) and no store");
        return Err(FolderError::refused(message, help));
    }
    match strangers {
        Some(Strangers { first, others }) if !first.is_empty() => {
            let others = match others {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message =
                format!("the folder {shown} is neither empty nor a store: it holds `{first}`{others}");
            Err(FolderError::refused(message, help))
        }
        _ => Ok(()),
    }
}

/// Makes sure that all in a claimed folder is ours: plain files and folders of ours or of root's, whoever opens them.
///
/// Nobody else can put anything there once the folder is claimed; what was there before is seen here, the files that are
/// opened by sled included.
///
/// # Errors
/// [`FolderError`] names the first link, device or file of somebody else's.
pub fn check_contents(dir: &Path) -> Result<(), FolderError> {
    let failed = |error| FolderError::of_system(dir, error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            // An earlier keeper may still be about to tidy up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(FolderError::of_system(&path, error)),
        };
        let kind = metadata.file_type();
        let shown = path.to_string_lossy().replace(char::is_control, "?");
        let refused = |why: &str, help| Err(FolderError::refused(format!("{shown} {why}"), help));
        if kind.is_symlink() {
            let why = "is a symbolic link, and nothing in a store may be one";
            return refused(why, "remove it; to keep a part of the store elsewhere, mount it there");
        }
        if !kind.is_file() && !kind.is_dir() && !kind.is_socket() {
            return refused(
                "is neither a file nor a folder, and nothing else may be in a store",
                "remove it",
            );
        }
        if !is_trusted(metadata.uid()) {
            let why = format!("belongs to {}, and the store does not", name_of(metadata.uid()));
            return refused(&why, "remove it, or give it to the store's owner");
        }
        if kind.is_dir() && path.file_name().is_some_and(|name| name != "lost+found") {
            check_contents(&path)?;
        }
    }
    Ok(())
}

/// A store of any version has an identity, which nobody else can have put there.
fn is_store(dir: &Path) -> bool {
    let identity = dir.join("identity").symlink_metadata();
    identity.is_ok_and(|identity| identity.is_file() && is_trusted(identity.uid()))
}

/// What is in a folder that is no store yet.
struct Strangers {
    /// One that is not ours, the first by name; empty when all are.
    first: String,
    others: usize,
}

/// None for an empty folder.
fn strangers(dir: &Path) -> io::Result<Option<Strangers>> {
    let (mut all, mut strange) = (0, Vec::new());
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        all += 1;
        let ours =
            OURS.contains(&name.as_str()) || name.starts_with("journal") || name.starts_with("damaged-");
        if !ours {
            strange.push(name);
        }
    }
    strange.sort_unstable();
    let others = strange.len().saturating_sub(1);
    // The name is anybody's choice.
    let first = strange.first().map(|name| name.replace(char::is_control, "?")).unwrap_or_default();
    Ok((all > 0).then_some(Strangers { first, others }))
}
