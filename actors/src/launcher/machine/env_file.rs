//! The lines of an env file. Each tool reads them in its own way; ours is [`parse_env_file`].

/// A line that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EnvFileError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong, to be read behind "line 3 of its env_file /a/.env".
    pub what: &'static str,
    /// One thing to do.
    pub help: &'static str,
}

/// Returns names and values in the order of the lines; of equal names the last one counts.
///
/// A line is blank, a comment (`#` first), or `NAME=value`. Blanks around name and value mean nothing. A value that
/// begins with `"` or `'` ends at the next such quote, and only a comment after a blank may follow. Any other value
/// ends where a blank and a `#` come, or with the line; a quote inside it is a character. There are no escapes, no
/// `export`, no value of several lines, and nothing is substituted for `$NAME`. A byte order mark before the first
/// line is skipped. Any other line is an error: tools differ in what they make of it, and a wrong value is worse than
/// a refusal.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse_env_file(content: &str) -> Result<Vec<(String, String)>, EnvFileError> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let mut out = Vec::new();
    for (index, line) in content.lines().enumerate() {
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let pair = pair(trimmed).map_err(|(what, help)| EnvFileError { line: index + 1, what, help })?;
            out.push(pair);
        }
    }
    Ok(out)
}

type Wrong = (&'static str, &'static str);

fn pair(line: &str) -> Result<(String, String), Wrong> {
    let not_a_pair = ("is not KEY=value", "correct the line, or make it a comment with #");
    let (name, value) = line.split_once('=').ok_or(not_a_pair)?;
    let name = name.trim();
    if name.strip_prefix("export").is_some_and(|rest| rest.starts_with(char::is_whitespace)) {
        return Err(("is not KEY=value", "leave out `export`: every line is given to the program"));
    }
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(not_a_pair);
    }
    let quoted = value.trim_start();
    let value = match quoted.chars().next() {
        Some(quote @ ('"' | '\'')) => in_quotes(quoted.get(1..).unwrap_or_default(), quote)?,
        _ => without_comment(value).trim(),
    };
    Ok((name.to_owned(), value.to_owned()))
}

fn in_quotes(text: &str, quote: char) -> Result<&str, Wrong> {
    let (value, rest) = text.split_once(quote).ok_or((
        "begins a value with a quote and does not end it",
        "end the value with the same quote on the same line, or write it without quotes",
    ))?;
    let after = rest.trim_start();
    if after.is_empty() || after.starts_with('#') && after.len() < rest.len() {
        return Ok(value);
    }
    Err((
        "has something behind the quote that ends its value",
        "write a comment as ` # …`; where the value holds a quote itself, use the other kind around it",
    ))
}

/// The part before the first `#` that follows a blank.
fn without_comment(value: &str) -> &str {
    let mut blank = false;
    for (at, c) in value.char_indices() {
        if c == '#' && blank {
            return value.get(..at).unwrap_or_default();
        }
        blank = c.is_whitespace();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_at_its_quote_or_before_a_comment() {
        for (line, value) in [
            ("A=x", "x"),
            ("A = x ", "x"),
            ("A=", ""),
            ("A=\"x\"", "x"),
            ("A='x'", "x"),
            ("A=\"x\" # note", "x"),
            ("A='x'\t# it's", "x"),
            ("A=\" x # y \"  ", " x # y "),
            ("A='say \"x\"'", "say \"x\""),
            ("A=v # note", "v"),
            ("A=v #", "v"),
            ("A= # note", ""),
            ("A=#fff", "#fff"),
            ("A=v#1", "v#1"),
            ("A=a b  # note # more", "a b"),
            ("A=it's", "it's"),
            ("A=x\"y\"", "x\"y\""),
            ("A=b=c", "b=c"),
            ("A=$HOME", "$HOME"),
            ("A=v\r", "v"),
            ("A=\"x\"\r", "x"),
            ("\u{feff}A=v", "v"),
        ] {
            assert_eq!(parse_env_file(line), Ok(vec![("A".to_owned(), value.to_owned())]), "{line:?}");
        }
        assert_eq!(parse_env_file("# a\n\n  # b\n"), Ok(vec![]));
    }

    #[test]
    fn any_other_line_is_an_error_with_its_number() {
        for (text, line, what) in [
            ("A=1\n\nexport B=2", 3, "is not KEY=value"),
            ("A=1\nB", 2, "is not KEY=value"),
            ("=x", 1, "is not KEY=value"),
            ("A B=x", 1, "is not KEY=value"),
            ("A=\"open", 1, "does not end it"),
            ("A='open\nB=x'", 1, "does not end it"),
            ("A=\"", 1, "does not end it"),
            ("A=\"x\"y", 1, "something behind the quote"),
            ("A=\"x\"#y", 1, "something behind the quote"),
            ("B=1\nA=\"a\\\"b\"", 2, "something behind the quote"),
            ("A='x' 'y'", 1, "something behind the quote"),
        ] {
            let error = parse_env_file(text).unwrap_err();
            assert!(error.line == line && error.what.contains(what), "{text:?}: {error:?}");
        }
        assert!(parse_env_file("export A=1").unwrap_err().help.contains("leave out `export`"));
        assert!(parse_env_file("exports=1").is_ok() && parse_env_file("export=1").is_ok());
    }
}
