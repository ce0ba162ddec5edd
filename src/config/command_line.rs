//! A command given as one text: split as a shell would, run without one.

/// Splits at white space; quotes and backslashes keep text together as in `sh`: nothing is special within single
/// quotes, a backslash keeps `"`, `\`, `$` and the back quote within double ones.
///
/// # Errors
/// What is wrong and one thing to do: a quote without its partner, or something only a shell could do.
pub(super) fn split_command(text: &str) -> Result<Vec<String>, (String, String)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(unclosed("'")),
                    }
                }
            }
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(("the text ends with a backslash".into(), "write \\\\ for one".into())),
            },
            '|' | '&' | ';' | '<' | '>' | '`' => {
                let message = format!("`{c}` is for a shell, and the command is run without one");
                let help = format!("quote it, or ask for a shell: command = [\"sh\", \"-c\", {text:?}]");
                return Err((message, help));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), (String, String)> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some('\n') => {}
                Some(c) => word.extend(['\\', c]),
                None => return Err(unclosed("\"")),
            },
            Some(c) => word.push(c),
            None => return Err(unclosed("\"")),
        }
    }
}

fn unclosed(quote: &str) -> (String, String) {
    (format!("a {quote} has no partner"), "close the quote, or write the command as a list".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, words) in [
            ("./server --port 8081", vec!["./server", "--port", "8081"]),
            ("  a   b\t c ", vec!["a", "b", "c"]),
            (r#"sh -c 'echo "x" $Y; exit 3'"#, vec!["sh", "-c", r#"echo "x" $Y; exit 3"#]),
            (r#"a "b \"c\" \d" '' ""#, vec![]),
            (r#"a "b \"c\" \d" ''"#, vec!["a", r#"b "c" \d"#, ""]),
            (r"a\ b c\'d", vec!["a b", "c'd"]),
            (r#"--x="1 2"'3'"#, vec!["--x=1 23"]),
            ("", vec![]),
        ] {
            let split = split_command(text);
            match split {
                Ok(split) => assert_eq!(split, words, "{text}"),
                Err(_) => assert!(words.is_empty(), "{text}"),
            }
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        assert!(split_command("cat x | grep y").unwrap_err().1.contains("\"sh\", \"-c\""));
        assert!(split_command("sleep 1 &").is_err());
        assert!(split_command("echo 'x").unwrap_err().0.contains("partner"));
        assert!(split_command("echo \\").is_err());
    }
}
