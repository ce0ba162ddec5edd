//! The store of a file that may be wrong elsewhere: who mends a file must not lose touch with the daemon meanwhile.

use super::files::{folder_of, read_text};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The folder of the store that this file names, whatever else of the file is wrong, a broken line included. Nothing
/// when the file cannot be read or does not name one itself; [`load`](super::load) knows included files and defaults.
#[must_use]
pub fn store_path(file: &Path) -> Option<PathBuf> {
    let text = read_text(file).ok()?;
    let (tree, _) = DeTable::parse_recoverable(&text);
    let store = member(tree.get_ref(), "store")?.as_table()?;
    let path = member(store, "path")?.as_str()?;
    Some(folder_of(file).join(path))
}

fn member<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<&'a DeValue<'i>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value.get_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_errors_still_tells_where_its_store_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("supervise.toml");
        for (text, store) in [
            ("version = 1\n[store]\npath = \"here\"\n", Some("here")),
            ("[store]\npath = \"here\"\n[progam.x]\ncomand = 1\n", Some("here")),
            ("[store]\npath = \"here\"\n[program.x\ncommand = [\n", Some("here")),
            ("[program.x]\ncommand = [\"true\"]\n", None),
            ("store = 5\n", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(store_path(&file), store.map(|name| folder.path().join(name)), "{text}");
        }
        assert_eq!(store_path(&folder.path().join("none.toml")), None);
    }
}
