//! Text of children and users where it is shown.

/// Whether a terminal, an editor or a page may do something else with this character than show it: move a cursor, end a line,
/// change the order of what stands beside it, or show nothing at all. The joiners of scripts and emoji are none of these.
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with such characters written out, but the tab: `\\n`, `\\x1b`, `\\u{202e}`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_obeyed(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        for (text, shown) in [
            ("plain ünïcode\tand tabs", "plain ünïcode\tand tabs"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("a\u{200b}b\u{2028}c\u{2029}", "a\\u{200b}b\\u{2028}c\\u{2029}"),
            ("\u{feff}\u{2066}\u{61c}", "\\u{feff}\\u{2066}\\u{61c}"),
            ("\u{7f}", "\\x7f"),
            ("👨\u{200d}👩", "👨\u{200d}👩"),
        ] {
            assert_eq!(escape(text), shown);
        }
    }
}
