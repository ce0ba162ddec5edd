//! What reaches the terminal: escaped text, colours where they are wanted, columns.

use std::io::{self, IsTerminal, Write};

/// Text of children and users with everything a terminal would obey made visible.
///
/// Control characters (but the tab) and the marks that reorder text are written as escapes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Colours by meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tint {
    Plain,
    Good,
    Waiting,
    Bad,
    Dim,
    Strong,
}

/// Standard output, whether it likes colours, and how wide it is.
#[derive(Debug)]
pub(crate) struct Screen {
    colours: bool,
    /// Of a terminal. What is read by a program is never cut.
    width: Option<usize>,
    out: io::BufWriter<io::Stdout>,
}

impl Screen {
    /// Colours need a terminal that is not dumb, and no `NO_COLOR`.
    pub(crate) fn new() -> Self {
        let asked_not = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let out = io::stdout();
        let terminal = out.is_terminal();
        let width = if terminal { columns() } else { None };
        Self { colours: terminal && !asked_not && !dumb, width, out: io::BufWriter::new(out) }
    }

    /// The text in a colour, or as it is.
    pub(crate) fn paint(&self, tint: Tint, text: &str) -> String {
        let sequence = match tint {
            _ if !self.colours => return text.to_owned(),
            Tint::Plain => return text.to_owned(),
            Tint::Good => "32",
            Tint::Waiting => "33",
            Tint::Bad => "31",
            Tint::Dim => "2",
            Tint::Strong => "1",
        };
        format!("\x1b[{sequence}m{text}\x1b[0m")
    }

    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Everything written so far is seen; called at the end and before every wait.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Columns as wide as their widest cell; the last one is as long as it likes, and as the terminal has room for.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<(Tint, String)>]) -> io::Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| text.chars().count());
            cells.chain(head.get(column).map(|text| text.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let heads: Vec<_> = head.iter().map(|text| (Tint::Strong, (*text).to_owned())).collect();
        for row in std::iter::once(&heads).chain(rows) {
            let (mut line, mut used) = (String::new(), 0);
            for (column, (tint, text)) in row.iter().enumerate() {
                if let Some(cut) = self.width.and_then(|width| cut(text, width.saturating_sub(used))) {
                    line.push_str(&self.paint(*tint, &cut));
                    break;
                }
                let fill = match column + 1 == row.len() {
                    true => 0,
                    false => widths.get(column).map_or(0, |width| width - text.chars().count() + 2),
                };
                used += text.chars().count() + fill;
                line.push_str(&self.paint(*tint, text));
                line.extend(std::iter::repeat_n(' ', fill));
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// The columns of the terminal: what the user says, or the terminal itself.
fn columns() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    said.or_else(terminal_columns).filter(|columns| *columns > 0)
}

fn terminal_columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call writes into the one struct, which outlives it.
    let read = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (read == 0).then_some(usize::from(size.ws_col))
}

/// A text that has less room than it needs, with an ellipsis at its end; nothing when it fits.
fn cut(text: &str, room: usize) -> Option<String> {
    if text.chars().count() <= room {
        return None;
    }
    let kept = text.chars().take(room.saturating_sub(1));
    Some(kept.chain((room > 0).then_some('…')).collect())
}

/// A phase as shape, word and colour; the word is always there.
pub(crate) fn phase(name: &str) -> (Tint, String) {
    let (tint, shape) = match name {
        "running" => (Tint::Good, '●'),
        "succeeded" => (Tint::Good, '✔'),
        "queued" => (Tint::Waiting, '◌'),
        "starting" => (Tint::Waiting, '◔'),
        "backoff" => (Tint::Waiting, '◐'),
        "stopping" => (Tint::Waiting, '◓'),
        "blocked" => (Tint::Bad, '▲'),
        "failed" => (Tint::Bad, '✖'),
        "quarantined" => (Tint::Bad, '‼'),
        "stopped" => (Tint::Dim, '■'),
        _ => (Tint::Dim, '·'),
    };
    (tint, format!("{shape} {}", escape(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_ends_with_an_ellipsis() {
        for (text, room, shown) in [
            ("abc", 3, None),
            ("abcd", 3, Some("ab…")),
            ("äöü→", 3, Some("äö…")),
            ("abc", 1, Some("…")),
            ("abc", 0, Some("")),
            ("", 0, None),
        ] {
            assert_eq!(cut(text, room).as_deref(), shown, "{text} {room}");
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        for (text, shown) in [
            ("plain ünïcode\tand tabs", "plain ünïcode\tand tabs"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{7f}", "\\x7f"),
        ] {
            assert_eq!(escape(text), shown);
        }
    }
}
