//! Parameters of a start as they are typed: a name that is repeated gives a list, and a secret need not stand on the
//! command line, where everybody on the machine can read it.

use crate::{
    answer::text,
    client::{Client, percent},
    failure::{Failure, code},
    screen::escape,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, IsTerminal, Read, stdin},
};

/// Most bytes of a secret that are read: the daemon takes no body that is longer.
const LONGEST: u64 = 16 << 10;

/// The parameters of a start of this program, as JSON has them. Which of them are secrets is asked for: of those
/// `name=@FILE` is what a file holds, and `name=-` what comes from standard input.
pub(crate) fn params(client: &Client, program: &str, pairs: &[(String, String)]) -> Result<Value, Failure> {
    if pairs.is_empty() {
        return Ok(json!({}));
    }
    // A program that is not there is told of by the start itself.
    let definition = client.get(&format!("/programs/{}", percent(program)), &[]).unwrap_or_default();
    let specs = definition.get("params").and_then(Value::as_array).into_iter().flatten();
    let secrets: BTreeSet<&str> =
        specs.filter(|spec| spec["secret"] == json!(true)).map(|spec| text(spec, "name")).collect();
    let (read, told) = hidden(pairs, &secrets, &mut stdin().lock(), stdin().is_terminal())?;
    for name in told {
        eprintln!(
            "warning: `{0}` is a secret, and the command line shows it to everybody on this machine\n  \
             help: write {0}=@FILE, or {0}=- and give it by standard input",
            escape(name)
        );
    }
    Ok(object(&read))
}

/// Pairs of names and values as a JSON object; a name that stands there again makes a list.
pub(crate) fn object(pairs: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.get_mut(name) {
            None => drop(object.insert(name.clone(), json!(value))),
            Some(Value::Array(list)) => list.push(json!(value)),
            Some(one) => *one = json!([one.take(), value]),
        }
    }
    Value::Object(object)
}

type Pairs = Vec<(String, String)>;

/// The pairs with secrets read from where they are, and the names of those that are on the command line.
fn hidden<'a>(
    pairs: &'a [(String, String)],
    secrets: &BTreeSet<&str>,
    input: &mut impl BufRead,
    by_hand: bool,
) -> Result<(Pairs, BTreeSet<&'a str>), Failure> {
    let (mut read, mut told, mut reader) = (Pairs::new(), BTreeSet::new(), None);
    for (name, value) in pairs {
        let secret = secrets.contains(name.as_str());
        let value = match value.strip_prefix('@') {
            Some(path) if secret => {
                let file = File::open(path).map_err(|error| unread(name, path, &error.to_string()))?;
                whole(file).map_err(|why| unread(name, path, &why))?
            }
            None if secret && value == "-" => {
                if let Some(other) = reader.replace(name) {
                    let what = format!("`{}` and `{}` both read standard input", escape(other), escape(name));
                    return Err(Failure::new(code::USAGE, what).help("give one of them by @FILE"));
                }
                // Somebody who types ends with a line.
                let read = if by_hand { line(&mut *input) } else { whole(&mut *input) };
                read.map_err(|why| unread(name, "standard input", &why))?
            }
            _ => {
                told.extend(secret.then_some(name.as_str()));
                value.clone()
            }
        };
        read.push((name.clone(), value));
    }
    Ok((read, told))
}

fn line(input: &mut impl BufRead) -> Result<String, String> {
    let mut bytes = Vec::new();
    input.take(LONGEST + 1).read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
    as_text(bytes)
}

fn whole(input: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    input.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    as_text(bytes)
}

/// Without the end of its last line, which editors and `echo` add.
fn as_text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > LONGEST {
        return Err("it is longer than 16 KiB".into());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unread(name: &str, place: &str, why: &str) -> Failure {
    Failure::new(
        code::USAGE,
        format!("cannot read the secret `{}` from {}: {why}", escape(name), escape(place)),
    )
    .help("name a file that holds it and nothing else")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_name_that_is_repeated_makes_a_list() {
        let given = pairs(&[("t", "a"), ("x", "1"), ("t", "b"), ("t", "")]);
        assert_eq!(object(&given), json!({"t": ["a", "b", ""], "x": "1"}));
    }

    #[test]
    fn a_secret_is_read_from_a_file_or_from_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "in the file\r\n").unwrap();
        let at = format!("@{}", file.display());
        let secrets = BTreeSet::from(["key", "other"]);
        let read = |given: &[(&str, &str)], typed: &str, by_hand| {
            let given = pairs(given);
            let read = hidden(&given, &secrets, &mut typed.as_bytes(), by_hand);
            read.map(|(pairs, told)| (pairs, told.len())).map_err(|failure| failure.what)
        };
        let given = [("key", at.as_str()), ("other", "-"), ("name", "@not"), ("sign", "-")];
        let expected =
            pairs(&[("key", "in the file"), ("other", "one\ntwo"), ("name", "@not"), ("sign", "-")]);
        assert_eq!(read(&given, "one\ntwo\n", false), Ok((expected, 0)));
        assert_eq!(read(&[("key", "-")], "one\ntwo\n", true), Ok((pairs(&[("key", "one")]), 0)));
        assert_eq!(read(&[("key", "on argv")], "", false), Ok((pairs(&[("key", "on argv")]), 1)));
        assert!(read(&[("key", "-"), ("other", "-")], "", false).unwrap_err().contains("both read"));
        assert!(read(&[("key", "@/no/such")], "", false).unwrap_err().contains("/no/such"));
        let long = "x".repeat(20_000);
        assert!(read(&[("key", "-")], &long, false).unwrap_err().contains("16 KiB"));
    }
}
