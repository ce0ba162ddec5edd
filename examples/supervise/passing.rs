//! A child's bytes on their way to our outputs: unchanged into files and pipes, harmless on a terminal.

use crate::{client::Client, failure::Failure, screen::escape};
use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    sync::mpsc::sync_channel,
    thread,
};

/// The header that says where a page of bytes goes on.
const NEXT_CURSOR: &str = "next-cursor";

/// The header of a page before which more was written than the daemon could take in.
const BEHIND: &str = "output-behind";

/// Memory that is taken for a page before it comes, in bytes, whatever its header says: twice what the daemon sends.
const LARGEST_PAGE: usize = 10 << 20;

/// Output as it was written, a page at a time, from one place to the next.
pub(crate) struct Bytes<'a> {
    client: &'a Client,
    filters: Vec<(&'static str, String)>,
    pub(crate) cursor: Option<String>,
    /// More had been written than the last page could have.
    pub(crate) behind: bool,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(client: &'a Client, filters: Vec<(&'static str, String)>) -> Self {
        Self { client, filters, cursor: None, behind: false }
    }

    /// What comes next, at most so many lines; empty when nothing came within `wait`.
    pub(crate) fn next(&mut self, wait: &str, lines: Option<u64>) -> Result<Vec<u8>, Failure> {
        let lines = lines.map(|lines| lines.to_string());
        let mut query: Vec<_> = self.filters.iter().map(|(key, value)| (*key, value.as_str())).collect();
        query.extend([("dir", "fwd"), ("wait", wait)]);
        query.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        query.extend(lines.as_deref().map(|lines| ("limit", lines)));
        let response = self.client.open("/logs", &query, "text/plain")?;
        let cursor =
            response.headers().get(NEXT_CURSOR).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let behind = response.headers().contains_key(BEHIND);
        // A page grows to 5 MiB: what doubled on the way would be copied each time.
        let length = response.body().content_length().and_then(|length| usize::try_from(length).ok());
        let mut page = Vec::with_capacity(length.unwrap_or(0).min(LARGEST_PAGE));
        let read = response.into_body().into_reader().read_to_end(&mut page);
        read.map_err(|error| self.client.unreachable(&error.to_string()))?;
        // Only now: what broke off on the way is asked for again.
        self.cursor = cursor.or(self.cursor.take());
        self.behind = behind;
        Ok(page)
    }
}

/// The output of a run, each stream of it on ours.
pub(crate) struct Passing<'a> {
    /// The last one leads where our own sentences go.
    ways: Vec<(Bytes<'a>, Outlet)>,
}

impl<'a> Passing<'a> {
    /// Where both of our outputs are the same file, or terminal, all comes in the order in which it was written.
    pub(crate) fn of(client: &'a Client, run: &str) -> io::Result<Self> {
        let of = |stream: Option<&str>| {
            let mut filters = vec![("run", run.to_owned())];
            filters.extend(stream.map(|stream| ("stream", stream.to_owned())));
            Bytes::new(client, filters)
        };
        let (out, err) = (Outlet::of(&io::stdout())?, Outlet::of(&io::stderr())?);
        let ways = if out.is(&err) {
            vec![(of(None), out)]
        } else {
            vec![(of(Some("stdout")), out), (of(Some("stderr")), err)]
        };
        Ok(Self { ways })
    }

    /// Everything that is there. While a page is written, the next one is fetched.
    pub(crate) fn pass_on(&mut self) -> Result<(), Failure> {
        for (bytes, outlet) in &mut self.ways {
            thread::scope(|scope| {
                let (pages, fetched) = sync_channel(1);
                scope.spawn(move || {
                    loop {
                        let page = bytes.next("0s", None);
                        let is_last = page.as_ref().map_or(true, |page| page.is_empty() && !bytes.behind);
                        // Nobody takes it any more where the page before could not be written.
                        if pages.send(page).is_err() || is_last {
                            break;
                        }
                    }
                });
                fetched.into_iter().try_for_each(|page| -> Result<(), Failure> { Ok(outlet.write(&page?)?) })
            })?;
        }
        Ok(())
    }

    /// A sentence of ours, on a line of its own.
    pub(crate) fn say(&mut self, sentence: &str) -> Result<(), Failure> {
        if let Some((_, outlet)) = self.ways.last_mut() {
            outlet.end_line()?;
        }
        eprintln!("{sentence}");
        Ok(())
    }
}

/// One of our outputs.
pub(crate) struct Outlet {
    file: File,
    terminal: Option<Visible>,
    /// The last line has its end.
    ended: bool,
}

impl Outlet {
    /// Past std's line buffer: what came in one piece goes out in one piece.
    pub(crate) fn of(output: &(impl AsFd + IsTerminal)) -> io::Result<Self> {
        let file = File::from(output.as_fd().try_clone_to_owned()?);
        Ok(Self { file, terminal: output.is_terminal().then(Visible::default), ended: true })
    }

    /// Whether both lead to the same place.
    fn is(&self, other: &Self) -> bool {
        let place = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        place(&self.file).is_some_and(|here| Some(here) == place(&other.file))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.ended = *last == b'\n';
        }
        match &mut self.terminal {
            Some(visible) => self.file.write_all(visible.show(bytes).as_bytes()),
            None => self.file.write_all(bytes),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.ended, true) { Ok(()) } else { self.file.write_all(b"\n") }
    }
}

/// What a terminal is shown of a child's bytes, which come in pieces of any size.
#[derive(Debug, Default)]
struct Visible {
    /// The beginning of a character.
    half: Vec<u8>,
    /// A carriage return, which may be the beginning of a line's end.
    returned: bool,
}

impl Visible {
    /// Text with everything a terminal would obey made visible, but ends of lines. A line that begins anew (a bar, a
    /// counter) takes the place of what it was before.
    fn show(&mut self, bytes: &[u8]) -> String {
        self.half.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.half);
        let mut out = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text(chunk.valid(), &mut out);
            let rest = chunk.invalid();
            let may_go_on = || std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
            if chunks.peek().is_none() && !rest.is_empty() && may_go_on() {
                self.half = rest.to_vec();
            } else if !rest.is_empty() {
                self.text("\u{fffd}", &mut out);
            }
        }
        out
    }

    fn text(&mut self, text: &str, out: &mut String) {
        for part in text.split_inclusive(['\n', '\r']) {
            let words = part.trim_end_matches(['\n', '\r']);
            if !words.is_empty() {
                if std::mem::take(&mut self.returned) {
                    out.push_str("\r\u{1b}[K");
                }
                out.push_str(&escape(words));
            }
            match part.chars().next_back() {
                Some('\n') => {
                    self.returned = false;
                    out.push('\n');
                }
                Some('\r') => self.returned = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_whole_characters_and_the_last_state_of_a_line() {
        for (pieces, shown) in [
            (&[&b"price \xe2"[..], b"\x82", b"\xac end\n"][..], "price € end\n"),
            (&[b"a\xff\xe2", b"b"], "a\u{fffd}\u{fffd}b"),
            (
                &[b"\rfetched  10%", b"\rfetched 100%\r", b"\n"],
                "\r\u{1b}[Kfetched  10%\r\u{1b}[Kfetched 100%\n",
            ),
            (&[b"one\r\ntwo\r", b"\nthree"], "one\ntwo\nthree"),
            (&[b"\x1b[31mred\x07", b" \xe2\x80\xae"], "\\x1b[31mred\\x07 \\u{202e}"),
        ] {
            let mut visible = Visible::default();
            let said: String = pieces.iter().map(|piece| visible.show(piece)).collect();
            assert_eq!(said, shown);
        }
    }
}
