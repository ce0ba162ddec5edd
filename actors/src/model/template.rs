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
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '{' | '}' if chars.peek().is_some_and(|(_, next)| *next == c) => {
                    chars.next();
                    literal.push(c);
                }
                '}' => return Err(TemplateError::Unbalanced(at)),
                '{' => {
                    let tail = text.get(at + 1..).unwrap_or_default();
                    let Some(end) = tail.find('}') else { return Err(TemplateError::Unbalanced(at)) };
                    let name = tail.get(..end).unwrap_or_default();
                    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                        return Err(TemplateError::BadName(name.to_owned()));
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Param(name.to_owned()));
                    while chars.next_if(|(i, _)| *i <= at + 1 + end).is_some() {}
                }
                _ => literal.push(c),
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
