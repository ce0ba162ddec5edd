//! How fast a child's bytes come out again: `run --wait > file` and `logs -n all -o cat > file`, beside `cat file > file`.
//!
//! The child is `cat` of a file of log lines; what both commands write is compared with that file byte for byte, so a figure
//! is one of a true copy. It needs the daemon itself:
//!
//! ```sh
//! cargo build --release --example supervise
//! cargo bench --bench passing            # -- MIB, default 1024
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, prints its figures and reads the clock"
)]

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What both are held to, on a machine that does nothing else.
const LEAST_MB_S: f64 = 150.0;

struct Daemon {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Daemon {
    fn up(folder: &Path) -> Self {
        let mut command = Command::new(supervise());
        let listen = ["up", "supervise.toml", "--listen", "127.0.0.1:0"];
        command.args(listen).current_dir(folder).stderr(Stdio::piped()).env_remove("RUST_LOG");
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = said
            .find_map(|line| Some(line.unwrap().split("listening on ").nth(1)?.trim().to_owned()))
            .unwrap();
        std::thread::spawn(move || said.for_each(drop));
        Self { child, folder: folder.to_owned(), url }
    }

    fn ask(&self, args: &[&str], out: &Path) -> Duration {
        let mut command = Command::new(supervise());
        command
            .args(args)
            .args(["--data", "store"])
            .env("SUPERVISE_URL", &self.url)
            .current_dir(&self.folder);
        timed(command, out)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: the signal goes to a child of ours that nobody has waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

fn supervise() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join("examples/supervise");
    assert!(path.exists(), "build it first: cargo build --release --example supervise");
    path
}

fn timed(mut command: Command, out: &Path) -> Duration {
    let file = File::create(out).unwrap();
    let begun = Instant::now();
    assert!(command.stdin(Stdio::null()).stdout(file).status().unwrap().success(), "{command:?}");
    begun.elapsed()
}

/// Lines as a scraper writes them: no two are the same, and they pack to a fifth.
fn write_lines(path: &Path, bytes: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut written, mut state, mut number) = (0, 1_u64, 0_u64);
    while written < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        number += 1;
        let line = format!(
            "2026-11-28T12:{:02}:{:02}.{:03}Z INFO shop: GET https://shop.example/items/{} 200 in {} ms, {:x}\n",
            number / 60_000 % 60,
            number / 1_000 % 60,
            number % 1_000,
            number,
            state % 900,
            state
        );
        file.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
    }
    file.flush().unwrap();
}

/// Whether the rest of `found` is what the file has.
fn assert_same(mut found: impl BufRead, expected: &Path) {
    let mut expected = BufReader::new(File::open(expected).unwrap());
    let (mut one, mut other) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = expected.read(&mut one).unwrap();
        if length == 0 {
            break;
        }
        found.read_exact(&mut other[..length]).unwrap();
        assert!(one[..length] == other[..length], "what came out is not what was written");
    }
    assert_eq!(found.read(&mut other).unwrap(), 0, "something came twice");
}

fn main() {
    let mib = std::env::args().find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(1_024);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_lines(&path("lines"), mib << 20);
    let size = path("lines").metadata().unwrap().len();
    std::fs::write(
        path("supervise.toml"),
        format!(
            "version = 1\n[store]\npath = \"store\"\n[store.retention]\nlogs = {{ max_size = \"64GiB\" }}\n[program.lines]\ncommand = [\"cat\", {:?}]\n\
             output = {{ backlog = \"1GiB\", on_backlog = \"wait\" }}\n",
            path("lines")
        ),
    )
    .unwrap();
    let mut bare = Command::new("cat");
    bare.arg(path("lines"));
    let bare = timed(bare, &path("bare"));
    std::fs::remove_file(path("bare")).unwrap();
    let daemon = Daemon::up(folder.path());
    let run = daemon.ask(&["run", "lines", "--wait"], &path("run"));
    let mut out = BufReader::new(File::open(path("run")).unwrap());
    out.read_line(&mut String::new()).unwrap(); // The id.
    assert_same(out, &path("lines"));
    std::fs::remove_file(path("run")).unwrap();
    let logs = daemon.ask(&["logs", "lines", "-n", "all", "-o", "cat"], &path("logs"));
    assert_same(BufReader::new(File::open(path("logs")).unwrap()), &path("lines"));
    #[expect(clippy::cast_precision_loss, reason = "a size of some gigabytes")]
    let rate = |time: Duration| size as f64 / 1e6 / time.as_secs_f64();
    println!("{mib} MiB of lines, copied byte for byte");
    println!("  cat file > file                     {:>6.0} MB/s", rate(bare));
    for (name, time) in [("run --wait > file", run), ("logs -n all -o cat > file", logs)] {
        let (mb_s, ratio) = (rate(time), time.as_secs_f64() / bare.as_secs_f64());
        let held = if mb_s >= LEAST_MB_S { "PASS" } else { "FAIL" };
        println!(
            "  {name:<34}  {mb_s:>6.0} MB/s, {ratio:.1} times as long   {held} (at least {LEAST_MB_S:.0} MB/s)"
        );
    }
}
