//! Whose files are opened where.

use super::{Broken, Source, code, each_line, is_test_file, without_tests};

/// Who opens files, and whose. Everybody else's could be a user's: a pipe that nobody writes, a device without an end.
const OPENERS: [(&str, &str); 13] = [
    ("actors/src/user_file.rs", "the place for a user's"),
    ("actors/src/owned/", "the place for the store's: no links, nobody else's"),
    ("actors/src/clock.rs", "/proc"),
    ("actors/src/keeper/", "/dev/null, /proc, the store's"),
    ("actors/src/store/", "the store's"),
    ("actors/src/launcher/recover.rs", "/proc, the store's"),
    ("actors/src/monitor/", "spool files"),
    ("src/process_manager/usage.rs", "/proc"),
    ("examples/supervise/client.rs", "a token that a user names may come through a pipe; the wait is theirs"),
    ("examples/supervise/given.rs", "a secret that a user names may come through a pipe; the wait is theirs"),
    ("examples/supervise/port.rs", "/proc"),
    ("examples/supervise/reference.rs", "a page of the repository"),
    ("examples/scrapers/", "no supervisor"),
];

/// A file that is opened where nobody has looked what it is.
pub(super) fn unlooked(file: &Source) -> Broken {
    let test = ["tests/", "actors/tests/", "benches/"].iter().any(|folder| file.path.starts_with(folder));
    let known = OPENERS.iter().any(|(opener, _)| file.path.starts_with(opener));
    if test || known || is_test_file(&file.path) {
        return vec![];
    }
    each_line(&without_tests(&code(&file.text)), |line| {
        ["File::open", "File::options", "OpenOptions::new", "fs::read(", "fs::read_to_string"]
            .iter()
            .find(|call| line.contains(*call))
            .map(|call| format!("calls `{call}`"))
    })
}
