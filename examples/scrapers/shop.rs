//! The other side: a shop that answers 429 to those who ask too often, and 503 while it is down.

use actix_process::actors::{clock, model::Timestamp};
use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Questions in a second beyond which it answers 429; those that it refuses count too. Six scrapers that ask 20 times
/// each are far above, six that ask 10 times are well below.
const MOST_PER_SECOND: usize = 80;
/// It goes down once it has given away so many pages, about two seconds after everybody has begun to ask gently.
const PAGES_BEFORE_OUTAGE: u32 = 200;
/// For so long. Less than the breaker's penalty: the first probe finds it up again.
const OUTAGE_MS: u64 = 2_000;
/// Who connects and says nothing is not waited for: there is one thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// One question that was not answered with a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) at: Timestamp,
    pub(crate) status: u16,
}

#[derive(Debug, Default)]
struct Ledger {
    /// When the questions of the last second came.
    questions: VecDeque<Timestamp>,
    pages: u32,
    /// Set when it goes down, which it does once.
    up_again: Option<Timestamp>,
    refusals: Vec<Refusal>,
}

/// An open shop.
#[derive(Debug)]
pub(crate) struct Shop {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
}

/// Opens it on a free port. Its thread ends with the process.
pub(crate) fn open() -> io::Result<Shop> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let shop = Shop { address: listener.local_addr()?, ledger: Arc::default() };
    let ledger = Arc::clone(&shop.ledger);
    std::thread::Builder::new().name("shop".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // One who hangs up early does not close the shop.
            let _ = serve(&stream, &ledger);
        }
    })?;
    Ok(shop)
}

impl Shop {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pages given away.
    pub(crate) fn pages(&self) -> u32 {
        lock(&self.ledger).pages
    }

    /// Every question that it refused, oldest first.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        lock(&self.ledger).refusals.clone()
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, ledger: &Mutex<Ledger>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(stream).lines();
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let status = lock(ledger).answer(clock::now());
    let (phrase, body) = match status {
        200 => ("OK", "a page\n"),
        429 => ("Too Many Requests", ""),
        _ => ("Service Unavailable", ""),
    };
    let length = body.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} {phrase}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

impl Ledger {
    fn answer(&mut self, now: Timestamp) -> u16 {
        while self.questions.front().is_some_and(|first| now.since(*first) >= 1_000) {
            self.questions.pop_front();
        }
        self.questions.push_back(now);
        if self.pages >= PAGES_BEFORE_OUTAGE && self.up_again.is_none() {
            self.up_again = Some(now.plus(OUTAGE_MS));
        }
        let status = if self.up_again.is_some_and(|up_again| now < up_again) {
            503
        } else if self.questions.len() > MOST_PER_SECOND {
            429
        } else {
            self.pages += 1;
            return 200;
        };
        self.refusals.push(Refusal { at: now, status });
        status
    }
}
