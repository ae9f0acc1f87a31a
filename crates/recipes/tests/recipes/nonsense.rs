//! Whatever is fed to it: nothing panics, every refusal says where, and what is resolved can be run.

use proptest::prelude::*;
use towline_core::runner::{Runner, env_file, render};
use towline_recipes::{BUILT_IN, Containing, EXAMPLE, Key, Kind, Provider, Recipe, Request, SecretValue};

use crate::support::request;

/// Reads a text and, if it is a recipe, asks it for a service.
fn feed(text: &str, values: &[String], model: Option<&String>, gpus: &str) {
    let recipe = match Recipe::read("web", text, "web.toml") {
        Ok(recipe) => recipe,
        Err(bad) => {
            let lines = text.split('\n').count();
            assert!(!bad.problems.is_empty(), "a refusal without a reason:\n{text}");
            for problem in bad.problems {
                assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem:?} of\n{text}");
                assert!(!problem.message.is_empty());
            }
            return;
        }
    };
    for container in [Containing::AsRecipe, Containing::Bare, Containing::In(Provider::Apptainer)] {
        let mut request = filled(&recipe, values, model);
        request.container = container;
        request.around.resources.gpus = Some(gpus.to_owned()).filter(|gpus| !gpus.is_empty());
        let Ok(spec) = recipe.resolve(&request) else { continue };
        spec.check().unwrap_or_else(|error| panic!("{error} of\n{text}"));
        env_file(&spec).unwrap_or_else(|error| panic!("{error} of\n{text}"));
        render(&spec, &runner()).unwrap_or_else(|error| panic!("{error} of\n{text}"));
    }
}

/// A request that says something of each parameter: a value that could be, or one of `values`.
fn filled(recipe: &Recipe, values: &[String], model: Option<&String>) -> Request {
    let mut request = request();
    for (parameter, value) in recipe.parameters().iter().zip(values.iter().cycle()) {
        let value = match (&parameter.kind, value.len() % 3) {
            (_, 0) => value.clone(),
            (Kind::Integer { min, .. }, _) => min.unwrap_or(1).to_string(),
            (Kind::Float { min, .. }, _) => min.unwrap_or(1.0).to_string(),
            (Kind::Boolean, _) => "true".to_owned(),
            (Kind::Choice(words) | Kind::Variant(words), _) => words[0].clone(),
            (Kind::Text(_) | Kind::List(_) | Kind::Path, _) => value.clone(),
        };
        if parameter.only.is_empty() {
            request.values.insert(parameter.name.clone(), vec![value]);
        }
    }
    request.model = model.cloned();
    request.key = Key::IfTaken(SecretValue::new("x").unwrap());
    request
}

fn runner() -> Runner<'static> {
    Runner {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        dir: "/d",
        job: "1",
        host: "h",
        restarts: "0",
        same_host: true,
        time_limit: None,
    }
}

fn good() -> impl Strategy<Value = &'static str> {
    prop::sample::select(BUILT_IN.iter().map(|recipe| recipe.text).chain([EXAMPLE]).collect::<Vec<_>>())
}

/// Pieces of recipes, and what does not belong there.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "summary",
        "command",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\"",
        "'",
        "\n",
        "{port}",
        "{model}",
        "{gpus}",
        "{{",
        "type = 'list'",
        "type = 'variant'",
        "[variants.x]",
        "[parameters.y]",
        "[[container.mounts]]",
        "[env]",
        "[job]",
        "only = ['x']",
        "required = true",
        "default = 1",
        "min = 9",
        "max = -1",
        "pattern = '('",
        "\u{0}",
        "\\u0000",
        "1e999",
        "nan",
        "-9223372036854775808",
        "1979-05-27",
        "''",
        "[]",
        "ä",
    ];
    prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), any::<String>()]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "a b", "$(id)", "'", "7", "0.5", "/m", "-x", "x", "{port}", "\0", "\n", "main"
        ])
        .prop_map(str::to_owned),
    ]
}

fn model() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![value(), Just("org/model".to_owned()), Just("/m/a,\"b".to_owned())])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        feed(&text, &["1".to_owned()], None, "");
    }

    #[test]
    fn pieces_in_any_order_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        feed(&pieces.join(" "), &["1".to_owned()], None, "");
        let text = format!("summary = 's'\ncommand = ['x', '{{port}}']\n{}", pieces.join("\n"));
        feed(&text, &["1".to_owned()], None, "");
    }

    #[test]
    fn a_good_recipe_takes_or_refuses_any_value(
        text in good(),
        values in prop::collection::vec(value(), 1..6),
        model in model(),
        gpus in prop::sample::select(vec!["", "0", "1", "a100:2", "many"]),
    ) {
        feed(text, &values, model.as_ref(), gpus);
    }

    #[test]
    fn a_damaged_recipe_is_read_or_refused(
        text in good(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, piece()), 1..4),
        values in prop::collection::vec(value(), 1..4),
        model in model(),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, piece) in cuts {
            let start = at.index(chars.len());
            let end = (start + length).min(chars.len());
            chars.splice(start..end, piece.chars());
        }
        feed(&chars.into_iter().collect::<String>(), &values, model.as_ref(), "2");
    }

    /// Every key's value in turn becomes something else.
    #[test]
    fn a_recipe_with_an_odd_line_is_read_or_refused(
        text in good(),
        line in any::<prop::sample::Index>(),
        odd in prop::sample::select(vec![
            "1", "-1", "true", "''", "'x'", "[]", "['x']", "[['x']]", "{}", "{ when = 'x' }", "'{port}'", "'{'",
            "['{y}', 8]", "1.5", "1979-05-27", "\"\\u0000\"", "\"a\\nb\"",
        ]),
        values in prop::collection::vec(value(), 1..4),
        model in model(),
    ) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let keys: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(" = ")).collect();
        let at = keys[line.index(keys.len())];
        let key = lines[at].split(" = ").next().unwrap().to_owned();
        lines[at] = format!("{key} = {odd}");
        feed(&lines.join("\n"), &values, model.as_ref(), "1");
    }
}
