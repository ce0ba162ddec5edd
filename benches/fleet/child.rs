//! What the children do.

use std::{
    fs::OpenOptions,
    io::Write,
    time::{Duration, Instant},
};

/// The argument that makes this executable a child.
pub(crate) const FLAG: &str = "--child";

/// Plays a role for ever, or until it is over.
pub(crate) fn play(args: Vec<String>) -> ! {
    match args.first().map(String::as_str) {
        Some("sleep") => sleep(&args[1]),
        Some("lines") => write_lines(&args[1], args[2].parse().unwrap(), args[3].parse().unwrap()),
        _ => std::process::exit(0),
    }
}

/// Says that it is there, one byte in a file that all share, and sleeps.
fn sleep(board: &str) -> ! {
    OpenOptions::new().append(true).open(board).unwrap().write_all(b".").unwrap();
    loop {
        std::thread::park();
    }
}

/// One `write` for each line, at times that do not drift.
fn write_lines(id: &str, per_second: u32, seconds: u32) -> ! {
    let begin = Instant::now();
    let mut out = std::io::stdout();
    for n in 0..u64::from(per_second * seconds) {
        let due = begin + Duration::from_secs(1) * u32::try_from(n).unwrap() / per_second;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        out.write_all(line(id, n).as_bytes()).unwrap();
        out.flush().unwrap();
    }
    std::process::exit(0)
}

/// The n-th line of a child: 60 to 160 bytes that nothing but its name and number decides.
pub(crate) fn line(id: &str, n: u64) -> String {
    let mut state = id.bytes().fold(n + 1, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut text = format!("{id} {n:08} ");
    let length = 60 + (state % 100) as usize;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(b'a' + (state >> 59) as u8 % 26));
    }
    text.push('\n');
    text
}
