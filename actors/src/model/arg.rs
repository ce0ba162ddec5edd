//! Arguments that are there or not.

use super::{
    Values,
    params::ParamValue,
    template::{Part, Piece, pieces},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One entry of [`Program::args`](super::Program::args), or of a command behind its first.
///
/// Texts become one, arrays of texts become a group:
///
/// ```
/// use actix_process_actors::model::{Arg, Program};
///
/// let program = Program::script("search", "search").args((
///     "--site",
///     "{host}",
///     ["--since", "{since}"],               // both, or neither when `since` is unset
///     Arg::when("headless", ["--headless"]), // when the boolean `headless` is true
///     ["--tag", "{tags*}"],                 // both again for each item of the list `tags`
/// ));
/// assert_eq!(program.args.len(), 5);
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Arg {
    /// One argument. It is left out when a parameter in it is unset; with `{name*}` it is present once for each item.
    One(String),
    /// Arguments that are present together: left out when a parameter in them is unset; with `{name*}` all of them
    /// are present once for each item.
    Group(Vec<String>),
    /// Arguments that a boolean parameter chooses.
    When {
        /// The name of the boolean parameter. Unset, it is false.
        when: String,
        /// The arguments where it is true.
        args: Vec<Self>,
        /// The arguments where it is false or unset.
        #[serde(rename = "else", default, skip_serializing_if = "Vec::is_empty")]
        otherwise: Vec<Self>,
    },
}

impl Arg {
    /// Arguments that are there when the boolean parameter `name` is true.
    #[must_use]
    pub fn when<M>(name: impl Into<String>, args: impl IntoArgs<M>) -> Self {
        Self::When { when: name.into(), args: args.into_args(), otherwise: Vec::new() }
    }

    /// Arguments that are there when the parameter of [`Arg::when`] is false or unset. For another kind of argument it
    /// changes nothing.
    #[must_use]
    pub fn otherwise<M>(mut self, args: impl IntoArgs<M>) -> Self {
        if let Self::When { otherwise, .. } = &mut self {
            *otherwise = args.into_args();
        }
        self
    }

    /// The arguments that are present, in order.
    #[must_use]
    pub fn present<'a>(args: &'a [Self], values: Values<'a>) -> Vec<Present<'a>> {
        let mut found = Vec::with_capacity(args.len());
        for arg in args {
            arg.push_present(values, &mut found);
        }
        found
    }

    fn push_present<'a>(&'a self, values: Values<'a>, found: &mut Vec<Present<'a>>) {
        match self {
            Self::One(text) => together(std::slice::from_ref(text), values, found),
            Self::Group(texts) => together(texts, values, found),
            Self::When { when, args, otherwise } => {
                let holds = values.param(when) == Some(&ParamValue::Boolean(true));
                for arg in if holds { args } else { otherwise } {
                    arg.push_present(values, found);
                }
            }
        }
    }
}

/// Texts that are present together, once or for each item of a list. A text that is no template counts as present:
/// filling it in reports what is wrong.
fn together<'a>(texts: &'a [String], values: Values<'a>, found: &mut Vec<Present<'a>>) {
    let mut list = None;
    for piece in texts.iter().flat_map(|text| pieces(text)) {
        let Ok(Piece::Placeholder(placeholder)) = piece else { continue };
        if !values.has(placeholder) {
            return;
        }
        if placeholder.part == Part::Each
            && let Some(ParamValue::List(items)) = values.param(placeholder.name)
        {
            list = Some(items);
        }
    }
    let mut push = |item| {
        found.extend(texts.iter().map(|text| Present { text, values: Values { item, ..values } }));
    };
    match list {
        None => push(values.item),
        Some(items) => items.iter().for_each(|item| push(Some(item))),
    }
}

/// An argument that is present, not filled in yet.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// The text as it was written.
    pub text: &'a str,
    /// The values that fill it in.
    pub values: Values<'a>,
}

macro_rules! one {
    ($($text:ty),*) => {$(
        impl From<$text> for Arg {
            fn from(text: $text) -> Self {
                Self::One(text.into())
            }
        }
    )*};
}
one!(&str, String, &String, Box<str>, Cow<'_, str>);

impl<T: Into<String>, const N: usize> From<[T; N]> for Arg {
    fn from(texts: [T; N]) -> Self {
        Self::Group(texts.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<String>> From<Vec<T>> for Arg {
    fn from(texts: Vec<T>) -> Self {
        Self::Group(texts.into_iter().map(Into::into).collect())
    }
}

/// What [`Program::args`](super::Program::args) takes: an array, a vector or any iterator of arguments of one kind, or a tuple
/// (up to 24) that mixes texts, groups and [`Arg::when`].
///
/// `M` only tells the two apart and is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of arguments",
    note = "write an array of texts, or a tuple of texts, arrays of texts (groups) and `Arg::when(…)`; of one text: `[text]`"
)]
pub trait IntoArgs<M> {
    /// The arguments, in order.
    fn into_args(self) -> Vec<Arg>;
}

/// The marker of [`IntoArgs`] for arguments of one kind.
#[derive(Debug)]
pub struct Alike;
/// The marker of [`IntoArgs`] for a tuple.
#[derive(Debug)]
pub struct Mixed;

impl<I: IntoIterator<Item: Into<Arg>>> IntoArgs<Alike> for I {
    fn into_args(self) -> Vec<Arg> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Into<Arg>, $($rest: Into<Arg>),*> IntoArgs<Mixed> for ($first, $($rest,)*) {
            fn into_args(self) -> Vec<Arg> {
                #[expect(non_snake_case, reason = "a variable for each type, by the same name")]
                let ($first, $($rest,)*) = self;
                vec![$first.into(), $($rest.into()),*]
            }
        }
        tuples!($($rest)*);
    };
    () => {};
}
tuples!(A B C D E F G H I J K L M N O P Q R S T U V W X);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Params;

    /// Which texts are there, with the item that fills each.
    #[track_caller]
    fn there(args: &[Arg], params: &[(&str, ParamValue)]) -> Vec<String> {
        let params: Params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let found = Arg::present(args, Values::of_a_start("p", &params));
        let text = |arg: &Present<'_>| match arg.values.item {
            None => arg.text.to_owned(),
            Some(item) => format!("{}={item}", arg.text),
        };
        found.iter().map(text).collect()
    }

    fn mixed() -> Vec<Arg> {
        (
            "--site",
            "x{unset}",
            ["--since", "{since}"],
            Arg::when("quiet", ["-q"]).otherwise(("-v", ["--level", "{level}"])),
            ["--tag", "{tags*}"],
            "{program}",
        )
            .into_args()
    }

    #[test]
    fn a_group_is_there_as_a_whole_or_not_at_all() {
        assert_eq!(there(&mixed(), &[]), ["--site", "-v", "{program}"]);
        assert_eq!(
            there(&mixed(), &[("since", "".into()), ("level", 3.into()), ("quiet", false.into())]),
            ["--site", "--since", "{since}", "-v", "--level", "{level}", "{program}"]
        );
        assert_eq!(there(&mixed(), &[("quiet", true.into())]), ["--site", "-q", "{program}"]);
    }

    #[test]
    fn a_list_repeats_its_group_and_an_empty_one_leaves_it_out() {
        let tags = |items: &[&str]| vec![("quiet", true.into()), ("tags", items.to_vec().into())];
        assert_eq!(there(&mixed(), &tags(&[])), ["--site", "-q", "{program}"]);
        assert_eq!(
            there(&mixed(), &tags(&["a", ""])),
            ["--site", "-q", "--tag=a", "{tags*}=a", "--tag=", "{tags*}=", "{program}"]
        );
    }

    #[test]
    fn arguments_are_written_as_in_the_file() {
        let text = r#"["--site","x{unset}",["--since","{since}"],{"when":"quiet","args":["-q"],"else":["-v",["--level","{level}"]]},["--tag","{tags*}"],"{program}"]"#;
        assert_eq!(serde_json::to_string(&mixed()).unwrap(), text);
        assert_eq!(serde_json::from_str::<Vec<Arg>>(text).unwrap(), mixed());
    }
}
