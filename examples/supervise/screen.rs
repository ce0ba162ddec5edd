//! What reaches the terminal: escaped text, colours where they are wanted, columns.

use std::io::{self, IsTerminal, Write};

pub(crate) use actix_process::actors::model::escape;
use actix_process::actors::model::is_obeyed;
use serde_json::Value;
use std::borrow::Cow;

/// JSON as a terminal may see it: what it would obey, or use to change the order of text, as `\u009b`. It is the same JSON, as
/// such characters stand in its strings alone.
pub(crate) fn json_shown(json: &str) -> Cow<'_, str> {
    let shows = |c: char| c != '\n' && is_obeyed(c);
    if !json.contains(shows) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if shows(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
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
    terminal: bool,
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
        Self { colours: terminal && !asked_not && !dumb, terminal, width, out: io::BufWriter::new(out) }
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

    /// Whether somebody looks at it.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One JSON value, on a line.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        let json = value.to_string();
        if self.terminal { self.line(&json_shown(&json)) } else { self.line(&json) }
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
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col))
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
    fn json_on_a_terminal_is_the_same_json_and_moves_nothing() {
        for text in [
            "plain ünï \u{9b}31m",
            "\u{9d}52;c;x\u{7f}",
            "a\u{202e}b\u{2066}\u{200b}\u{2028}",
            "tag \u{e0041}\t\u{1b}\n",
        ] {
            let json = serde_json::json!({ "text": text });
            let shown = format!("{}\n", json_shown(&json.to_string()));
            assert!(!shown.chars().any(|c| c != '\n' && is_obeyed(c)), "{shown}");
            assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), json);
        }
    }
}
