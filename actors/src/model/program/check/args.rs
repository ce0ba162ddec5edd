//! What is wrong with arguments that are there or not, and what is probably not meant.

use super::{places::Use, values::invalid};
use crate::model::{Arg, Command, ParamKind, ParamValue, Part, Placeholder, Problem, Program, Template};

/// An argument as it is written, and where.
pub(super) struct Word<'a> {
    pub(super) path: String,
    pub(super) text: &'a str,
    /// Whether it is there whatever the parameters are, but for one that is unset in itself.
    pub(super) alone: bool,
}

impl Program {
    /// Everything that may stand on its command line behind what is run, in order.
    pub(super) fn words(&self) -> Vec<Word<'_>> {
        let mut words = Vec::new();
        for (key, first, args) in [("command", 1, self.own_args()), ("args", 0, &self.args)] {
            for (at, arg) in args.iter().enumerate() {
                push_words(&format!("{key}[{}]", at + first), arg, true, &mut words);
            }
        }
        words
    }

    pub(super) fn check_args(&self, found: &mut Vec<Problem>) {
        for (at, arg) in self.own_args().iter().enumerate() {
            self.check_arg(&format!("command[{}]", at + 1), arg, found);
        }
        for (at, arg) in self.args.iter().enumerate() {
            self.check_arg(&format!("args[{at}]"), arg, found);
        }
        self.check_dashes(found);
    }

    fn check_arg(&self, path: &str, arg: &Arg, found: &mut Vec<Problem>) {
        match arg {
            Arg::One(text) => {
                self.check_template(path, text, Use::Argument, found);
                one_list(path, std::slice::from_ref(text), found);
            }
            Arg::Group(texts) => {
                if texts.is_empty() {
                    let help = "write for example [\"--since\", \"{since}\"]";
                    found.push(invalid(path, "a group without arguments is never there", help));
                }
                for (at, text) in texts.iter().enumerate() {
                    self.check_template(&format!("{path}[{at}]"), text, Use::Argument, found);
                }
                one_list(path, texts, found);
            }
            Arg::When { when, args, otherwise } => {
                self.check_switch(&format!("{path}.when"), when, found);
                if args.is_empty() && otherwise.is_empty() {
                    let help = "write for example { when = \"headless\", args = [\"--headless\"] }";
                    found.push(invalid(
                        format!("{path}.args"),
                        "neither `args` nor `else` has an argument",
                        help,
                    ));
                }
                for (key, args) in [("args", args), ("else", otherwise)] {
                    for (at, arg) in args.iter().enumerate() {
                        self.check_arg(&format!("{path}.{key}[{at}]"), arg, found);
                    }
                }
            }
        }
    }

    /// The parameter that chooses between arguments must be a boolean and no secret.
    fn check_switch(&self, path: &str, name: &str, found: &mut Vec<Problem>) {
        match self.params.get(name) {
            None => found.push(self.unknown_param(path, name)),
            Some(spec) if spec.secret => found.push(Problem::new(
                "config.secret",
                path,
                format!("`{name}` is a secret, and its arguments would show what it is"),
                "choose by a parameter that is no secret",
            )),
            Some(spec) if spec.kind != ParamKind::Boolean => found.push(invalid(
                path,
                format!("`when` needs a boolean, and `{name}` is of type {}", spec.kind.name()),
                format!("a group [\"--{name}\", \"{{{name}}}\"] is there when {name} has a value"),
            )),
            Some(_) => {}
        }
    }

    /// Values of the definition itself that no start would let through: they would become options.
    fn check_dashes(&self, found: &mut Vec<Problem>) {
        let words = self.words();
        let before = words.iter().take_while(|word| !(word.alone && word.text == "--"));
        for word in before {
            let Some(place) = Template::parse(word.text).ok().and_then(|template| template.leading()) else {
                continue;
            };
            let Some(spec) = self.params.get(place.name).filter(|spec| !spec.allow_dash && !spec.secret)
            else {
                continue;
            };
            let texts = |value: &ParamValue| match value {
                ParamValue::List(items) => items.clone(),
                one => vec![one.clone()],
            };
            let mut values: Vec<(&str, ParamValue)> = Vec::new();
            values.extend(spec.default.iter().flat_map(texts).map(|value| ("default", value)));
            if let ParamKind::Choice(choices) = spec.kind.of_one() {
                values.extend(choices.iter().map(|choice| ("choices", choice.as_str().into())));
            }
            let dashed = values
                .into_iter()
                .find(|(_, value)| !value.is_number() && value.to_string().starts_with('-'));
            let Some((key, value)) = dashed else { continue };
            let message = format!(
                "`{value}` begins with `-`, and {} (`{}`) would be an option by it",
                word.path, word.text
            );
            let help = format!("write allow_dash = true, or put \"--\" before {place} in args");
            let path = format!("params.{}.{key}", place.name);
            if !found.iter().any(|problem| problem.path == path && problem.code == "config.value") {
                found.push(invalid(path, message, help));
            }
        }
    }

    /// Arguments that come out otherwise than they look.
    pub(super) fn doubtful_args(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        // An option at the end of the command and its value at the beginning of args belong together.
        let (own, args) = (self.own_args(), self.args.as_slice());
        let own = own.iter().enumerate().map(|(at, arg)| (format!("command[{}]", at + 1), arg));
        let args = args.iter().enumerate().map(|(at, arg)| (format!("args[{at}]"), arg));
        self.doubtful(&own.chain(args).collect::<Vec<_>>(), &mut found);
        found
    }

    fn doubtful(&self, args: &[(String, &Arg)], found: &mut Vec<Problem>) {
        let mut option: Option<&str> = None;
        for (path, arg) in args {
            let before = option.take();
            match arg {
                Arg::One(text) => {
                    found.extend(self.doubtful_text(path, text, before));
                    let is_option =
                        text.len() > 1 && text.starts_with('-') && text != "--" && !text.contains(['{', '=']);
                    option = is_option.then_some(text);
                }
                Arg::Group(_) => {}
                Arg::When { args, otherwise, .. } => {
                    for (key, args) in [("args", args), ("else", otherwise)] {
                        let args: Vec<_> = args
                            .iter()
                            .enumerate()
                            .map(|(at, arg)| (format!("{path}.{key}[{at}]"), arg))
                            .collect();
                        self.doubtful(&args, found);
                    }
                }
            }
        }
    }

    fn doubtful_text(&self, path: &str, text: &str, option: Option<&str>) -> Option<Problem> {
        let template = Template::parse(text).ok()?;
        let spec = |place: &Placeholder<'_>| self.params.get(place.name);
        let unset = template.places().find(|place| spec(place).is_some_and(|spec| spec.may_be_unset()));
        if let (Some(place), Some(option)) = (unset, option) {
            let message = format!("`{option}` is there without a value when `{}` is unset", place.name);
            let help =
                format!("write the two as a group, which is left out whole: [\"{option}\", \"{text}\"]");
            return Some(invalid(path, message, help).against(path.to_owned()));
        }
        let mut places = template.places();
        let repeated = places.any(|place| place.part == Part::Each);
        if let (Some(place), None) = (unset, template.single())
            && !repeated
        {
            let message = format!("`{text}` is left out when `{}` is unset", place.name);
            let help = format!(
                "if that is meant, write it as a group: [\"{text}\"]; else give {} a default",
                place.name
            );
            return Some(invalid(path, message, help));
        }
        let switch =
            template.single().filter(|place| spec(place).is_some_and(|spec| spec.kind == ParamKind::Boolean));
        if let (Some(place), None) = (switch, option) {
            let name = place.name;
            let message = format!("`{text}` is the word true or false, and no switch");
            let help = format!("write {{ when = \"{name}\", args = [\"--{name}\"] }}");
            return Some(invalid(path, message, help));
        }
        None
    }

    pub(super) fn check_argv(&self, found: &mut Vec<Problem>) {
        let Command::Argv(argv) = &self.command else { return };
        let help = "write for example command = [\"./server\", \"--port\", \"8081\"]";
        let program = match argv.first() {
            Some(Arg::One(program)) if !program.is_empty() => program,
            None | Some(Arg::One(_)) => {
                found.push(Problem::new("config.required", "command", "`command` is empty", help));
                return;
            }
            Some(Arg::Group(_) | Arg::When { .. }) => {
                found.push(invalid("command[0]", "what is run is always there, and one text", help));
                return;
            }
        };
        if program.contains('\0') {
            found.push(invalid("command[0]", "a NUL byte cannot be passed to a program", "take it out"));
        }
        let named = Template::parse(program).ok();
        let known = |place: Placeholder<'_>| place.is_own() || self.params.contains_key(place.name);
        if named.is_some_and(|template| template.places().any(known)) {
            found.push(invalid(
                "command[0]",
                format!("`{program}` makes a parameter choose what is run"),
                "parameters may stand in the elements after the first",
            ));
        }
    }
}

/// One argument cannot go through two lists at once.
fn one_list(path: &str, texts: &[String], found: &mut Vec<Problem>) {
    let templates = texts.iter().filter_map(|text| Template::parse(text).ok());
    let mut lists: Vec<&str> = templates
        .flat_map(|template| template.places().collect::<Vec<_>>())
        .filter(|place| place.part == Part::Each)
        .map(|place| place.name)
        .collect();
    lists.dedup();
    if let [first, second, ..] = lists.as_slice() {
        let message =
            format!("`{first}` and `{second}` are two lists, and a group is there once for each item of one");
        found.push(invalid(path, message, "write a group for each list"));
    }
}

fn push_words<'a>(path: &str, arg: &'a Arg, alone: bool, words: &mut Vec<Word<'a>>) {
    match arg {
        Arg::One(text) => words.push(Word { path: path.to_owned(), text, alone }),
        Arg::Group(texts) => {
            for (at, text) in texts.iter().enumerate() {
                words.push(Word { path: format!("{path}[{at}]"), text, alone: false });
            }
        }
        Arg::When { args, otherwise, .. } => {
            for (key, args) in [("args", args), ("else", otherwise)] {
                for (at, arg) in args.iter().enumerate() {
                    push_words(&format!("{path}.{key}[{at}]"), arg, false, words);
                }
            }
        }
    }
}
