//! The values of secrets, each run's in a file that no other user may read, until the run ends.

use crate::{model::RunId, owned};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The folder `secrets` in the store.
#[derive(Clone, Debug)]
pub(super) struct Secrets(PathBuf);

impl Secrets {
    pub(super) fn of(store: &Path) -> Self {
        Self(store.join("secrets"))
    }

    /// Writes the values whole or not at all.
    pub(super) fn keep(&self, run: RunId, values: &BTreeMap<String, String>) -> io::Result<()> {
        owned::make_folder(&self.0)?;
        let temporary = self.0.join(format!("{run}.new"));
        // A file left by an earlier crash may not have our mode.
        drop(fs::remove_file(&temporary));
        owned::write(&temporary, &serde_json::to_vec(values)?)?;
        fs::rename(&temporary, self.0.join(run.to_string()))
    }

    /// The values; empty when there are none, or no longer.
    pub(super) fn load(&self, run: RunId) -> BTreeMap<String, String> {
        let content = owned::read(&self.0.join(run.to_string())).ok();
        content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }

    /// Runs whose values are kept.
    pub(super) fn runs(&self) -> Vec<RunId> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    pub(super) fn forget(&self, run: RunId) {
        drop(fs::remove_file(self.0.join(run.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_kept_for_us_alone_until_they_are_forgotten() {
        let store = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(store.path());
        let run = RunId::from_parts(1, 2);
        let values = BTreeMap::from([("key".to_owned(), "hush\n\"".to_owned())]);
        secrets.keep(run, &values).unwrap();
        secrets.keep(run, &values).unwrap();
        assert_eq!(secrets.load(run), values);
        assert_eq!(secrets.runs(), [run]);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.path().join("secrets")), 0o700);
        assert_eq!(mode(store.path().join("secrets").join(run.to_string())), 0o600);
        secrets.forget(run);
        assert!(secrets.load(run).is_empty() && secrets.runs().is_empty());
    }
}
