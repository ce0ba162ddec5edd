//! Which store this is: its two random numbers, and the folder that they were made for.
//!
//! Processes that a supervisor left are found by the manager's number. A copy of the folder has the same one, and its
//! supervisor would stop the processes of the original. So the identity holds where it belongs: inode, device, birth and
//! file system of the folder. Elsewhere it is a copy (or was moved from another file system, which is the same to a folder),
//! gets a number of its own, and nobody's processes are touched. A folder that was renamed is where it was.

use super::{
    lock::{Predecessor, boot_id},
    open_error::{LAYOUT, OpenError},
};
use crate::owned;
use rustix::fs::statvfs;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::UNIX_EPOCH,
};

/// What is made once for each store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) manager: u128,
    pub(crate) seed: u64,
    /// Whether it was read where it was made: processes of this store may be left then, and are ours.
    pub(crate) at_home: bool,
}

/// An identity, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    /// The old one could not be read.
    pub(crate) damage: Option<String>,
    /// The store was copied or moved.
    pub(crate) moved: Option<String>,
}

/// Where a folder is.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    inode: u64,
    device: u64,
    /// When the folder was made, in nanoseconds; 0 where the file system does not tell. Inodes are used again.
    born: u64,
    /// The file system's own id, which most keep over a start of the machine; devices are numbered anew then.
    filesystem: u64,
    boot: String,
}

impl Place {
    fn of(dir: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(dir)?;
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            inode: metadata.ino(),
            device: metadata.dev(),
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()).unwrap_or(0),
            filesystem: statvfs(dir)?.f_fsid,
            boot: boot_id(),
        })
    }

    /// Whether a folder that was there is here: the device counts within a boot, where a snapshot may lie beside its original.
    fn is(&self, other: &Self) -> bool {
        let device =
            self.device == other.device || self.boot != other.boot && self.filesystem == other.filesystem;
        self.inode == other.inode && self.born == other.born && device
    }

    fn parse(words: &[&str]) -> Option<Self> {
        let [inode, device, born, filesystem, boot] = words else { return None };
        let number = |word: &str| u64::from_str_radix(word, 16).ok();
        Some(Self {
            inode: number(inode)?,
            device: number(device)?,
            born: number(born)?,
            filesystem: number(filesystem)?,
            boot: (*boot).to_owned(),
        })
    }
}

/// What the file says.
struct Written {
    layout: u32,
    manager: u128,
    seed: u64,
    /// None in a store of an earlier version.
    place: Option<Place>,
}

/// Reads the identity, or makes one.
pub(crate) fn know(dir: &Path, before: &Predecessor) -> Result<Known, OpenError> {
    let path = dir.join("identity");
    let at = |error| OpenError::Io { path: path.clone(), error };
    let here = Place::of(dir).map_err(at)?;
    let mut damage = None;
    let written = match owned::read(&path) {
        Ok(bytes) => match parse(&String::from_utf8_lossy(&bytes)) {
            Ok(written) => Some(written),
            Err(Some(found)) => return Err(OpenError::Layout { dir: dir.to_owned(), found }),
            Err(None) => {
                damage = Some("the store's identity was damaged; a new one was made".to_owned());
                None
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(error)),
    };
    let Some(written) = written else {
        let identity =
            Identity { manager: random(dir)?, seed: random(dir)? as u64, at_home: damage.is_none() };
        write(dir, &identity, &here).map_err(at)?;
        return Ok(Known { identity, damage, moved: None });
    };
    let Written { layout, manager, seed, place } = written;
    let at_home = place.as_ref().is_some_and(|place| place.is(&here));
    let original = before.holds_another().then_some(before.pid);
    if at_home && original.is_none() {
        let identity = Identity { manager, seed, at_home };
        // A version that reads an older layout only would take the folder for an empty one.
        if place.as_ref() != Some(&here) || layout != LAYOUT {
            write(dir, &identity, &here).map_err(at)?;
        }
        return Ok(Known { identity, damage, moved: None });
    }
    let moved = match (&place, original) {
        (_, Some(pid)) => Some(format!("it is a copy of a store that process {pid} owns")),
        (Some(_), None) => Some("it was copied, or moved from another file system".to_owned()),
        // Of an earlier version, as a rule the original; nobody can tell.
        (None, None) => None,
    };
    let moved = moved.map(|how| {
        format!(
            "the store {} is not where it was: {how}; it has a new identity, no process of the old one is touched, and \
             attempts that were alive in it are lost here",
            dir.display()
        )
    });
    let identity = Identity { manager: random(dir)?, seed, at_home: false };
    write(dir, &identity, &here).map_err(at)?;
    Ok(Known { identity, damage, moved })
}

fn random(dir: &Path) -> Result<u128, OpenError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| OpenError::Io {
        path: dir.join("identity"),
        error: io::Error::other(error.to_string()),
    })?;
    Ok(u128::from_le_bytes(bytes))
}

/// An error has the layout of another version, or none where it is damaged.
fn parse(text: &str) -> Result<Written, Option<u32>> {
    let words: Vec<_> = text.split_whitespace().collect();
    let [layout, rest @ ..] = words.as_slice() else { return Err(None) };
    let layout = layout.parse().map_err(|_| None)?;
    if layout == 0 || layout > LAYOUT {
        return Err(Some(layout));
    }
    let [manager, seed, place @ ..] = rest else { return Err(None) };
    Ok(Written {
        layout,
        manager: u128::from_str_radix(manager, 16).map_err(|_| None)?,
        seed: u64::from_str_radix(seed, 16).map_err(|_| None)?,
        place: Place::parse(place),
    })
}

/// As a whole or not at all, and on the disk: everything else hangs on it.
fn write(dir: &Path, identity: &Identity, place: &Place) -> io::Result<()> {
    let fresh = dir.join("identity.new");
    let Identity { manager, seed, .. } = identity;
    let Place { inode, device, born, filesystem, boot } = place;
    let text =
        format!("{LAYOUT} {manager:032x} {seed:016x} {inode:x} {device:x} {born:x} {filesystem:x} {boot}\n");
    owned::write(&fresh, text.as_bytes())?.sync_all()?;
    fs::rename(&fresh, dir.join("identity"))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn place() -> Place {
        Place { inode: 1, device: 2, born: 3, filesystem: 4, boot: "b".into() }
    }

    #[test]
    fn a_place_is_the_same_where_nothing_but_a_new_boots_device_differs() {
        let there = place();
        for (other, same) in [
            (place(), true),
            (Place { inode: 9, ..place() }, false),
            (Place { born: 9, ..place() }, false),
            (Place { device: 9, ..place() }, false),
            (Place { device: 9, boot: "c".into(), ..place() }, true),
            (Place { device: 9, filesystem: 9, boot: "c".into(), ..place() }, false),
            (Place { filesystem: 9, boot: "c".into(), ..place() }, true),
        ] {
            assert_eq!(there.is(&other), same, "{other:?}");
        }
    }

    #[test]
    fn a_renamed_store_is_itself_and_a_copied_one_is_another() {
        let above = tempdir().unwrap();
        let [first, renamed, copy] = ["first", "renamed", "copy"].map(|name| above.path().join(name));
        fs::create_dir(&first).unwrap();
        let know = |dir: &Path| know(dir, &Predecessor::default()).unwrap();
        let new = know(&first);
        assert!(new.identity.at_home && new.moved.is_none());
        fs::rename(&first, &renamed).unwrap();
        assert_eq!(know(&renamed).identity, new.identity);
        fs::create_dir(&copy).unwrap();
        fs::copy(renamed.join("identity"), copy.join("identity")).unwrap();
        let copied = know(&copy);
        assert_ne!(copied.identity.manager, new.identity.manager);
        assert_eq!((copied.identity.seed, copied.identity.at_home), (new.identity.seed, false));
        assert!(copied.moved.unwrap().contains("it was copied, or moved from another file system"));
        // From now on that is its own.
        let again = know(&copy);
        assert!(again.identity.at_home && again.moved.is_none());
        assert_eq!(know(&renamed).identity, new.identity);
    }

    #[test]
    fn of_an_earlier_versions_store_nobody_can_tell_whose_processes_are_left() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("identity");
        fs::write(&path, format!("1 {:032x} {:016x}\n", 7, 8)).unwrap();
        let known = know(dir.path(), &Predecessor::default()).unwrap();
        assert!(!known.identity.at_home && known.moved.is_none() && known.damage.is_none());
        assert_eq!(known.identity.seed, 8);
        fs::write(&path, "1 zz").unwrap();
        let known = know(dir.path(), &Predecessor::default()).unwrap();
        assert!(!known.identity.at_home && known.damage.is_some());
    }
}
