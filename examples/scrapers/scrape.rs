//! The child: asks the shop for one page after the other, and gives up when it is refused, as most scrapers do.
#![expect(clippy::print_stderr, reason = "that is where a refusal is said")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

/// The first argument that makes this executable a scraper.
pub(crate) const MARKER: &str = "--scrape";

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// `QPI PAGES`, and the shop's address in `SHOP`.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let numbers: Vec<u32> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let (&[qpi, pages], Ok(shop)) = (numbers.as_slice(), std::env::var("SHOP")) else {
        eprintln!("usage: SHOP=ADDRESS scrapers {MARKER} QPI PAGES");
        return ExitCode::from(2);
    };
    for page in 1..=pages {
        match get(&shop, page) {
            Ok(200) => {}
            Ok(status) => {
                eprintln!("HTTP {status} at page {page}, asking {qpi} times a second");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("connection to the shop failed: {error}");
                return ExitCode::FAILURE;
            }
        }
        if page % 10 == 0 {
            println!("page {page} of {pages}");
        }
        pause(Duration::from_secs(1) / qpi.max(1));
    }
    ExitCode::SUCCESS
}

/// The status with which the shop answers.
fn get(shop: &str, page: u32) -> io::Result<u16> {
    let mut stream = TcpStream::connect(shop)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /pages/{page} HTTP/1.1\r\nHost: {shop}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer without a status"))
}

#[expect(clippy::disallowed_methods, reason = "a scraper that asks less often has nothing else to wait for")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
