//! Who notices what nobody answers for: panics in any thread, and what is logged.

use std::sync::{Mutex, Once, PoisonError};

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}

/// Watches from now on.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Log).expect("no other logger in this binary");
        log::set_max_level(log::LevelFilter::Warn);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
            before(info);
        }));
    });
}

#[track_caller]
pub(crate) fn assert_no_panic(what: &str) {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(panics.is_empty(), "{what}: {panics:#?}");
}

/// Warnings and errors that speak of damage, from this place in the log on; and the place where it ends.
pub(crate) fn damage_logged(from: usize) -> (Vec<String>, usize) {
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let speaks =
        |line: &&String| ["damag", "lost", "missing", "set aside"].iter().any(|word| line.contains(word));
    (logged[from..].iter().filter(speaks).cloned().collect(), logged.len())
}
