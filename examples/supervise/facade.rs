//! Every call of the library that the daemon makes, in one place.

use crate::failure::{Failure, code};
use std::path::{Path, PathBuf};

/// The keeper's own process begins here and never returns.
pub(crate) fn init() {}

/// The store of a configuration file; the default when there is no such file or it cannot be read.
pub(crate) fn store_of(file: &Path) -> PathBuf {
    file.with_file_name("supervise-data")
}

pub(crate) fn load(file: &Path) -> Result<(), Failure> {
    Err(Failure::new(code::USAGE, format!("{} cannot be read yet", file.display())))
}
