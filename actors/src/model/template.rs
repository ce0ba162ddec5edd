//! `{name}` inside arguments, environment values and scopes.

use std::fmt;

/// A text with places for parameters: `{name}`; `{{` and `}}` are braces themselves.
///
/// A value stays inside the text that held its place: no splitting, no quoting, no shell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Param(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `{` without its `}`, or the reverse; the byte where it stands.
    Unbalanced(usize),
    /// `{}` or a name with characters outside `[A-Za-z0-9_]`.
    BadName(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced(at) => {
                write!(f, "a brace at byte {at} has no partner; write {{{{ or }}}} for a brace itself")
            }
            Self::BadName(name) => {
                write!(f, "`{{{name}}}` names no parameter; names are letters, digits and _")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// [`TemplateError`] says which brace or name is wrong.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        for piece in pieces(text) {
            match piece? {
                Piece::Text(text) => literal.push_str(text),
                Piece::Param(name) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Param(name.to_owned()));
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The parameters it names, in order, repeats included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Param(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether it is one parameter and nothing else: such an argument is left out when the parameter is unset.
    #[must_use]
    pub fn is_single_param(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Param(_)])
    }

    /// Whether its text begins with a parameter's value, which may then bring a leading `-`; the parameter's name.
    #[must_use]
    pub fn leading_param(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Param(name)) => Some(name),
            _ => None,
        }
    }

    /// Fills the places in. `value` answers with the text of a parameter, `None` when it is unset (then: empty text).
    pub fn render(&self, mut value: impl FnMut(&str) -> Option<String>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Param(name) => out.push_str(&value(name).unwrap_or_default()),
            }
        }
        out
    }
}

/// A stretch of a template's text.
pub(super) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// The place of the parameter with this name.
    Param(&'a str),
}

/// The grammar, for those who want to fill a text in without keeping it as a [`Template`]. Ends with the first error.
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
    let name = rest.get(1..end).unwrap_or_default();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return (0, Err(TemplateError::BadName(name.to_owned())));
    }
    (end + 1, Ok(Piece::Param(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_places_and_doubled_braces_are_braces() {
        let render = |text: &str| Template::parse(text).map(|t| t.render(|name| Some(format!("<{name}>"))));
        assert_eq!(render("--depth={depth}"), Ok("--depth=<depth>".into()));
        assert_eq!(render("{a}{b}-é{c}é"), Ok("<a><b>-é<c>é".into()));
        assert_eq!(render("{{a}} }}{{"), Ok("{a} }{".into()));
        assert_eq!(render("{{{a}}}"), Ok("{<a>}".into()));
        assert_eq!(render("{a"), Err(TemplateError::Unbalanced(0)));
        assert_eq!(render("a}"), Err(TemplateError::Unbalanced(1)));
        assert_eq!(render("{a b}"), Err(TemplateError::BadName("a b".into())));
        assert_eq!(render("{}"), Err(TemplateError::BadName(String::new())));
    }
}
