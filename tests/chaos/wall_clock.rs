//! A wall clock that a test moves, under a daemon that knows nothing of it: `clock_gettime` of the C library, replaced.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) struct WallClock {
    library: PathBuf,
    moved: PathBuf,
}

impl WallClock {
    /// Needs a C compiler, as building us does; why there is none.
    pub(crate) fn build(folder: &Path) -> Result<Self, String> {
        let clock = Self { library: folder.join("wall_clock.so"), moved: folder.join("wall_clock") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/wall_clock.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&clock.library, &source])
            .output()
            .map_err(|error| error.to_string())?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned());
        }
        clock.set(0);
        Ok(clock)
    }

    /// From where it should stand, in milliseconds.
    pub(crate) fn set(&self, ms: i64) {
        // Written in place: who lives has it mapped.
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(&self.moved);
        let bytes = (ms * 1_000_000).to_le_bytes();
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, &bytes));
        written.expect("the clock is set");
    }

    /// The environment of whoever shall read it.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        vec![("LD_PRELOAD".into(), text(&self.library)), ("WALL_CLOCK".into(), text(&self.moved))]
    }
}
