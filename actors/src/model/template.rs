//! `{name}` inside arguments, the working directory, environment values and scopes.

use super::{AttemptId, ParamValue, Params};
use std::fmt::{self, Write as _};

/// The places that every text may have, without a parameter: the program's name, the run's id and the attempt's number.
pub const OWN_PLACEHOLDERS: [&str; 3] = ["program", "run", "attempt"];

/// A text with places for values: `{name}`; `{{` and `}}` are braces themselves.
///
/// A value stays inside the text that held its place: no splitting, no quoting, no shell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template<'a> {
    pieces: Vec<Piece<'a>>,
}

/// A stretch of a template's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// A place for a value.
    Placeholder(Placeholder<'a>),
}

/// A place between two braces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placeholder<'a> {
    /// The name of a parameter, or one of [`OWN_PLACEHOLDERS`].
    pub name: &'a str,
    /// The part of the value that is wanted.
    pub part: Part,
}

/// The part of a value that is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// `{name}`: the whole value.
    All,
    /// `{name*}`: each item of a list, one after the other.
    Each,
    /// `{name.host}`: the host of an address, in lower case.
    Host,
    /// `{name:lower}`: the value in lower case.
    Lower,
}

impl Part {
    /// The text that is written behind the name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Each => "*",
            Self::Host => ".host",
            Self::Lower => ":lower",
        }
    }
}

impl Placeholder<'_> {
    /// Whether it is one of [`OWN_PLACEHOLDERS`].
    #[must_use]
    pub fn is_own(&self) -> bool {
        OWN_PLACEHOLDERS.contains(&self.name)
    }
}

impl fmt::Display for Placeholder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}{}}}", self.name, self.part.suffix())
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `{` without its `}`, or the reverse; the byte where it stands.
    Unbalanced(usize),
    /// `{}`, a name with characters outside `[A-Za-z0-9_]`, or a part that no value has.
    BadName(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced(at) => {
                write!(f, "a brace at byte {at} has no partner; write {{{{ or }}}} for a brace itself")
            }
            Self::BadName(name) => {
                write!(
                    f,
                    "`{{{name}}}` names no parameter; names are letters, digits and _, and behind one may stand `*`, `.host` or `:lower`"
                )
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// The values that fill the places of a text.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The program's name.
    pub program: &'a str,
    /// The attempt whose run and number are wanted; `None` where there is no attempt yet, and both are unset.
    pub attempt: Option<AttemptId>,
    /// The values of the parameters, by name.
    pub params: &'a Params,
    /// The item that stands for the list in `{name*}`.
    pub item: Option<&'a ParamValue>,
}

impl<'a> Values<'a> {
    /// The values of a start, before there is a run.
    #[must_use]
    pub const fn of_a_start(program: &'a str, params: &'a Params) -> Self {
        Self { program, attempt: None, params, item: None }
    }

    /// The value of a parameter; `None` where it is unset, which a list without items is too.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a ParamValue> {
        self.params.get(name).filter(|value| !matches!(value, ParamValue::List(items) if items.is_empty()))
    }

    /// Whether this place has a value.
    #[must_use]
    pub fn has(&self, place: Placeholder<'_>) -> bool {
        match place.name {
            "program" => true,
            "run" | "attempt" => self.attempt.is_some(),
            name => self.param(name).is_some(),
        }
    }

    /// The value of the place, and the item of a list that stands there.
    #[must_use]
    pub fn value(&self, place: Placeholder<'_>) -> Option<&'a ParamValue> {
        let whole = self.param(place.name)?;
        Some(self.item.filter(|_| place.part == Part::Each).unwrap_or(whole))
    }

    /// Appends the value of the place to the text; `None` where it is unset.
    pub(super) fn fill(&self, place: Placeholder<'_>, out: &mut String) -> Option<()> {
        // Writing into a string cannot fail.
        match (place.name, place.part) {
            ("program", _) => out.push_str(self.program),
            ("run", _) => self.attempt?.run.push_to(out),
            ("attempt", _) => drop(write!(out, "{}", self.attempt?.number)),
            (_, Part::All | Part::Each) => drop(write!(out, "{}", self.value(place)?)),
            (_, Part::Lower) => out.push_str(&self.value(place)?.to_string().to_lowercase()),
            (_, Part::Host) => {
                let address = self.value(place)?.to_string();
                out.push_str(&super::address::host_of(&address).unwrap_or_default());
            }
        }
        Some(())
    }
}

impl<'a> Template<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// [`TemplateError`] says which brace or name is wrong.
    pub fn parse(text: &'a str) -> Result<Self, TemplateError> {
        Ok(Self { pieces: pieces(text).collect::<Result<_, _>>()? })
    }

    /// The places of the text, in order, repeats included.
    pub fn places(&self) -> impl Iterator<Item = Placeholder<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(place) => Some(*place),
            Piece::Text(_) => None,
        })
    }

    /// The place that the text consists of; `None` where it is more than one place.
    #[must_use]
    pub fn single(&self) -> Option<Placeholder<'a>> {
        match self.pieces.as_slice() {
            [Piece::Placeholder(place)] => Some(*place),
            _ => None,
        }
    }

    /// The place with which the text begins, whose value may then bring a leading `-`.
    #[must_use]
    pub fn leading(&self) -> Option<Placeholder<'a>> {
        match self.pieces.first() {
            Some(Piece::Placeholder(place)) => Some(*place),
            _ => None,
        }
    }

    /// Whether every place has a value.
    #[must_use]
    pub fn is_filled_by(&self, values: &Values<'_>) -> bool {
        self.places().all(|place| values.has(place))
    }

    /// The text with a letter in every place: what the author of the text decides whatever the values are.
    #[must_use]
    pub fn shape(&self) -> String {
        let text = |piece: &Piece<'a>| match piece {
            Piece::Text(text) => *text,
            Piece::Placeholder(_) => "x",
        };
        self.pieces.iter().map(text).collect()
    }

    /// Fills in the places; an unset one becomes the empty text.
    #[must_use]
    pub fn render(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Placeholder(place) => drop(values.fill(*place, &mut out)),
            }
        }
        out
    }
}

/// The length of the longest usual key, in bytes, such as `site:` and a host. A key is made at each start and each
/// end, and a text that grows while it is written is copied each time.
const KEY_LENGTH: usize = 48;

/// Renders the key under which siblings share something; `None` when one of its parameters is unset.
#[must_use]
pub fn render_key(template: &str, program: &str, params: &Params) -> Option<String> {
    let values = Values::of_a_start(program, params);
    let mut key = String::with_capacity(KEY_LENGTH);
    for piece in pieces(template) {
        match piece.ok()? {
            Piece::Text(text) => key.push_str(text),
            Piece::Placeholder(place) => values.fill(place, &mut key)?,
        }
    }
    Some(key)
}

/// The pieces of a text, for callers that fill it in without keeping it as a [`Template`]. Ends with the first error.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, TemplateError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (length, piece) = first_piece(rest, at);
        at = if piece.is_ok() { at + length } else { text.len() };
        Some(piece)
    })
}

/// The first piece of a text that is not empty and begins at byte `at`, and how long it is with its braces.
fn first_piece(rest: &str, at: usize) -> (usize, Result<Piece<'_>, TemplateError>) {
    let upto = |end: usize| rest.get(..end).unwrap_or_default();
    let plain = rest.find(['{', '}']).unwrap_or(rest.len());
    if plain > 0 {
        return (plain, Ok(Piece::Text(upto(plain))));
    }
    if rest.starts_with("{{") || rest.starts_with("}}") {
        return (2, Ok(Piece::Text(upto(1))));
    }
    let end = rest.find('}').filter(|_| rest.starts_with('{'));
    let Some(end) = end else { return (0, Err(TemplateError::Unbalanced(at))) };
    let inside = rest.get(1..end).unwrap_or_default();
    let parts = [Part::Each, Part::Host, Part::Lower];
    let cut = parts.into_iter().find_map(|part| Some((inside.strip_suffix(part.suffix())?, part)));
    let (name, part) = cut.unwrap_or((inside, Part::All));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return (0, Err(TemplateError::BadName(inside.to_owned())));
    }
    (end + 1, Ok(Piece::Placeholder(Placeholder { name, part })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunId;

    fn params() -> Params {
        let address = "https://me@Shop.Example.:8443/a?b#c";
        let list = ParamValue::List(vec!["x".into(), "y".into()]);
        [
            ("depth", 3.into()),
            ("a", "<a>".into()),
            ("Up", "ÀB".into()),
            ("url", address.into()),
            ("list", list),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn rendered(text: &str) -> Result<String, TemplateError> {
        let params = params();
        let attempt = AttemptId { run: RunId::from_parts(0, 0), number: 7 };
        let item = ParamValue::from("item");
        let values = Values { attempt: Some(attempt), item: Some(&item), ..Values::of_a_start("p", &params) };
        Template::parse(text).map(|template| template.render(&values))
    }

    #[test]
    fn braces_are_places_and_doubled_braces_are_braces() {
        assert_eq!(rendered("--depth={depth}"), Ok("--depth=3".into()));
        assert_eq!(rendered("{a}{a}-é{depth}é"), Ok("<a><a>-é3é".into()));
        assert_eq!(rendered("{{a}} }}{{"), Ok("{a} }{".into()));
        assert_eq!(rendered("{{{a}}}"), Ok("{<a>}".into()));
        assert_eq!(rendered("{a"), Err(TemplateError::Unbalanced(0)));
        assert_eq!(rendered("a}"), Err(TemplateError::Unbalanced(1)));
        for bad in ["a b", "", "*", ".host", "a.port", "a:upper", "a**", "a.host:lower", "a:lower*"] {
            assert_eq!(rendered(&format!("{{{bad}}}")), Err(TemplateError::BadName(bad.into())));
        }
    }

    #[test]
    fn a_place_may_ask_for_a_part_and_for_what_runs() {
        assert_eq!(rendered("{program}/{attempt}"), Ok("p/7".into()));
        assert_eq!(rendered("{run}"), Ok("00000000000000000000000000".into()));
        assert_eq!(rendered("{url.host} {Up:lower} {list*}"), Ok("shop.example àb item".into()));
    }

    #[test]
    fn a_key_without_one_of_its_values_is_no_key() {
        let key = |text| render_key(text, "p", &params());
        assert_eq!(key("site:{url.host}").as_deref(), Some("site:shop.example"));
        assert_eq!(key("{program}:{depth}").as_deref(), Some("p:3"));
        assert_eq!((key("x:{unset}"), key("x:{run}"), key("x:{")), (None, None, None));
    }
}
