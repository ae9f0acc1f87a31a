//! Texts that are no recipes: where, what, and what to write instead.

use towline_recipes::{Problem, Recipe};

fn problems(text: &str) -> Vec<Problem> {
    let bad = Recipe::read("web", text, "web.toml").err().unwrap_or_else(|| panic!("it is read: {text}"));
    assert!(!bad.problems.is_empty() && bad.to_string().starts_with("web.toml:"), "{bad}");
    bad.problems
}

/// A recipe's two necessary lines, so that `more` begins at line 3.
fn after(more: &str) -> String {
    format!("summary = 's'\ncommand = ['serve', '{{port}}']\n{more}\n")
}

#[track_caller]
fn tells(text: &str, line: usize, column: usize, words: &[&str]) {
    let problems = problems(text);
    let told = |problem: &Problem| {
        let all = format!("{problem} {}", problem.hint.as_deref().unwrap_or_default());
        (problem.line, problem.column) == (line, column) && words.iter().all(|word| all.contains(word))
    };
    assert!(problems.iter().any(told), "{line}:{column} {words:?} not among {problems:#?} of\n{text}");
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    tells("summary = 's'\ncommand = [", 2, 12, &[]);
    tells("summary = s", 1, 11, &[]);
    tells("a = 1\na = 2", 2, 1, &["duplicate key"]);
}

#[test]
fn an_unknown_key_is_told_with_what_is_allowed_and_the_nearest() {
    tells("sumary = 's'\ncommand = ['x', '{port}']", 1, 1, &["sumary", "did you mean summary?", "variants"]);
    tells(&after("[helth]\npath = '/'"), 3, 2, &["helth", "did you mean health?"]);
    tells(&after("[health]\npth = '/'"), 4, 1, &["pth in [health]", "did you mean path?", "grace"]);
    tells(&after("[job]\nmemory = 1"), 4, 1, &["memory", "ntasks_per_node"]);
    tells(&after("[secret]\nenv = 'A'\nargv = 'x'"), 5, 1, &["argv in [secret]"]);
    tells(&after("[container]\nimages = { dokcer = 'x' }"), 4, 12, &["dokcer", "docker"]);
    tells(
        &after("[container]\nmounts = [{ source = '/a', ro = true }]"),
        4,
        28,
        &["ro in a mount", "read_only"],
    );
    tells(&after("[parameters.a]\ntype = 'boolean'\nhelp = 'h'\nmin = 1"), 6, 1, &["min", "of type boolean"]);
    tells(&after("[model]\nname = true"), 4, 1, &["name in [model]"]);
}

#[test]
fn what_is_missing_is_told() {
    tells("command = ['x', '{port}']", 1, 1, &["the recipe has no summary"]);
    tells("summary = 's'", 1, 1, &["the recipe has no command"]);
    tells(&after("[parameters.a]\nhelp = 'h'"), 3, 1, &["has no type", "string, integer"]);
    tells(&after("[parameters.a]\ntype = 'boolean'"), 3, 1, &["[parameters.a] has no help"]);
    tells(&after("[parameters.a]\ntype = 'choice'\nhelp = 'h'"), 3, 1, &["has no choices"]);
    tells(&after("[secret]"), 3, 1, &["[secret] has no env"]);
    tells("summary = 's'\n[variants.a]\nport = 'environment'", 2, 1, &["variant a has no command"]);
    let of_all = problems("");
    assert_eq!(of_all.len(), 2, "all problems at once: {of_all:?}");
}

#[test]
fn a_value_of_another_type_is_told() {
    tells("summary = 3\ncommand = 'x'", 1, 11, &["summary is a text in quotes, not an integer"]);
    tells("summary = 3\ncommand = 'x'", 2, 11, &["command is a list in brackets, not a string"]);
    tells("summary = 's'\ncommand = ['x', 8080]", 2, 17, &["an element of command", "not an integer"]);
    tells(&after("health = '/'"), 3, 10, &["health is a table"]);
    tells(&after("[job]\ncpus = '4'"), 4, 8, &["cpus is a whole number"]);
    tells(&after("[job]\ncpus = 0"), 4, 8, &["above zero"]);
    tells(&after("[job]\nrequeue = 'yes'"), 4, 11, &["requeue is true or false"]);
    tells(&after("[job]\ntime = 'soon'"), 4, 8, &["no time limit"]);
    tells(&after("[health]\npath = 'health'"), 4, 8, &["does not begin with '/'"]);
    tells(&after("[health]\ngrace = 'soon'"), 4, 9, &["not a span of time"]);
    tells(&after("[health]\ngrace = 0"), 4, 9, &["longer than zero"]);
    tells(&after("[health]\nstatus = ['2xx', 'ok']"), 4, 18, &["no status of HTTP", "2xx"]);
    tells(&after("[health]\nstatus = 200"), 4, 10, &["status is a list in brackets"]);
    tells(&after("[health]\nstatus = []"), 4, 10, &["no status in it"]);
    tells(&after("[health]\nheader = { name = 'a b' }"), 4, 10, &["no header's name"]);
    tells(
        &after("[health]\nheader = { nam = 'a' }"),
        4,
        12,
        &["nam in [health] header", "did you mean name?"],
    );
    tells(&after("[health]\njson = { pointer = 'status' }"), 4, 8, &["no JSON pointer"]);
    tells(
        &after("[health]\njson = { pointer = '/a', equals = [1] }"),
        4,
        35,
        &["equals is a text in quotes, a number"],
    );
    tells(&after("port = 'stdin'"), 3, 8, &["stdin", "argument, environment"]);
    tells(&after("[env]\nPORT = '1'"), 4, 1, &["PORT is set where the service runs"]);
    tells(&after("[env]\n'A B' = '1'"), 4, 1, &["not a variable's name"]);
    tells(&after("[env]\nA = '{port}'"), 4, 5, &["not known yet when A is set"]);
    tells(&after("[secret]\nenv = 'a-b'"), 4, 7, &["not a variable's name"]);
    tells(&after("[secret]\nhelp = 'h'"), 3, 1, &["[secret]", "env = \"NAME\"", "file = true"]);
    tells(&after("[secret]\nenv = 'A'\nfile = true"), 4, 7, &["in a variable or in a file, not in both"]);
    tells(&after("[container]\ndefault = 'dokcer'"), 4, 11, &["dokcer", "docker"]);
    tells(&after("[container]\nimages = { apptainer = '-x' }"), 4, 24, &["bad image"]);
}

#[test]
fn parameters_are_checked() {
    let parameter = |rest: &str| after(&format!("[parameters.a]\nhelp = 'h'\n{rest}"));
    tells(&parameter("type = 'strin'"), 5, 8, &["strin", "did you mean string?"]);
    tells(&parameter("type = 'integer'\nmin = 2\nmax = 1"), 7, 1, &["max is below min"]);
    tells(&parameter("type = 'integer'\nmax = 1\ndefault = 2"), 7, 11, &["bad default: it is above 1"]);
    tells(&parameter("type = 'float'\nmin = 'x'"), 6, 7, &["min is a number"]);
    tells(&parameter("type = 'float'\nmin = nan"), 6, 7, &["min is a number"]);
    tells(&parameter("type = 'choice'\nchoices = ['on', 'off']\ndefault = 'of'"), 7, 11, &["did you mean"]);
    tells(&parameter("type = 'choice'\nchoices = []"), 6, 11, &["no word"]);
    tells(&parameter("type = 'string'\npattern = '('"), 6, 11, &["bad pattern", "unclosed group"]);
    tells(&parameter("type = 'path'\ndefault = '~/x'"), 6, 11, &["bad default", "~"]);
    tells(&parameter("type = 'boolean'\ndefault = true\nrequired = true"), 7, 1, &["never missing"]);
    tells(&parameter("type = 'boolean'"), 3, 13, &["a is used nowhere", "{a}"]);
    tells(&parameter("type = 'variant'\ndefault = 'x'"), 6, 11, &["bad default"]);
    for name in ["Name", "gpus", "port", "no-x", "no-requeue", "api-key", "model", "\"a b\"", "-a", "a_b"] {
        let text = after(&format!("[parameters.{name}]\nhelp = 'h'\ntype = 'boolean'"));
        tells(&text, 3, 13, &["cannot be a parameter's name"]);
    }
}

#[test]
fn what_does_not_fit_together_is_told() {
    let with = |command: &str, more: &str| format!("summary = 's'\ncommand = {command}\n{more}\n");
    let a = "[parameters.abc]\ntype = 'string'\nhelp = 'h'";
    tells(
        &with("['x', '{port}', '{abd}']", a),
        2,
        27,
        &["no parameter abd", "did you mean abc?", "model-name"],
    );
    tells(&with("['x', '{port}', '{abc}']", a), 2, 27, &["abc may be unset", "[\"--flag\", \"{abc}\"]"]);
    tells(&with("['x', '8080']", ""), 2, 12, &["does not tell its server the port", "$PORT"]);
    tells(&with("['x', ['--port', '{port}']]", ""), 2, 12, &[]);
    tells(&with("[['x'], '{port}']", ""), 2, 11, &["the first element of command is the program"]);
    tells(&with("['x', '{port}', []]", ""), 2, 27, &["no word"]);
    tells(&with("['x', '{port}', 'a{']", ""), 2, 27, &["brace", "{{"]);
    tells(&with("['x', '{port}', '--{extra}']", ""), 2, 27, &["{extra}"]);
    tells(&with("['x', '{port}', '{model}']", ""), 2, 27, &["a recipe without a model", "[model]"]);
    tells(&with("['x', '{port}']", "[model]"), 2, 12, &["the model reaches nothing"]);
    tells(&with("['x', '{port}', {words = ['a']}]", ""), 2, 27, &["has no when"]);
    tells(&with("['x', '{port}', {when = 'z', words = ['a']}]", ""), 2, 35, &["no parameter z"]);
    tells(&with("['x', '{port}']", "setup = [\"a\\nb\"]"), 3, 10, &["one line of shell"]);
    let two = "type = 'list'\nhelp = 'h'\n";
    let lists = format!("[parameters.l]\n{two}[parameters.m]\n{two}");
    tells(&with("['x', '{port}', ['{l}{m}']]", &lists), 2, 28, &["two lists in one word"]);
}

#[test]
fn variants_need_what_chooses_them() {
    let variants = "[variants.fast]\ncommand = ['x', '{port}']\n[variants.slow]\ncommand = ['y', '{port}']\n";
    tells(&format!("summary = 's'\n{variants}"), 2, 2, &["no parameter chooses between the variants"]);
    let engine = |rest: &str| {
        format!("summary = 's'\n{variants}[parameters.engine]\ntype = 'variant'\nhelp = 'h'\n{rest}")
    };
    assert!(Recipe::read("web", &engine("default = 'fast'"), "").is_ok());
    assert!(Recipe::read("web", &engine("required = true"), "").is_ok());
    tells(&engine("default = 'fats'"), 9, 11, &["did you mean fast?"]);
    tells(&engine(""), 6, 13, &["no default and is not required"]);
    let more = "default = 'fast'\n[parameters.b]\ntype = 'boolean'\nhelp = 'h'\nonly = ['slwo']";
    tells(&engine(more), 13, 9, &["no variant slwo", "did you mean slow?"]);
    tells("summary = 's'\ncommand = ['x', '{port}']\nvariants = {}", 3, 1, &["no variant"]);
    let text = engine("default = 'fast'\n[parameters.b]\ntype = 'string'\nhelp = 'h'\nonly = ['slow']")
        .replace("'x', '{port}'", "'x', '{port}', ['{b}']");
    tells(&text, 3, 28, &["b is no parameter of variant fast"]);
}

#[test]
fn a_name_that_no_file_could_have_is_told() {
    for name in ["", "A", "a b", "-a", "../x"] {
        assert!(Recipe::read(name, &after(""), "x").is_err(), "{name}");
    }
}

#[test]
fn what_never_holds_is_no_condition_and_shared_parts_are_told_once() {
    for name in ["port", "host"] {
        let part = format!("{{when = '{name}', words = ['a']}}");
        let text = format!("summary = 's'\ncommand = ['x', '{{port}}', {part}]");
        tells(&text, 2, 35, &["not known before it runs"]);
    }
    let text = "summary = 's'\ncommand = ['x', '{port}']\nsetup = ['a', {when = 'zed', line = 'b'}]";
    tells(text, 3, 23, &["no parameter zed"]);
    let text = "summary = 's'\nenv = { A = '{abd}' }\n[variants.a]\ncommand = ['x', '{port}']\n[variants.b]\n\
                command = ['y', '{port}']\n[parameters.engine]\ntype = 'variant'\ndefault = 'a'\nhelp = 'h'";
    assert_eq!(problems(text).len(), 1, "{:?}", problems(text));
}

#[test]
fn a_key_in_a_file_has_its_place_in_the_command() {
    let with =
        |command: &str, more: &str| format!("summary = 's'\ncommand = ['x', '{{port}}', {command}]\n{more}");
    let group = "['--key-file', '{secret-file}']";
    tells(&with("'a'", "[secret]\nfile = true"), 2, 12, &["the key reaches nothing", "{secret-file}"]);
    tells(&with(group, ""), 2, 42, &["without a key in a file", "file = true"]);
    tells(&with(group, "[secret]\nenv = 'A'"), 2, 42, &["without a key in a file"]);
    tells(&with("'{secret-file}'", "[secret]\nfile = true"), 2, 27, &["may be unset"]);
    let in_env = format!("{}[env]\nKEY = '{{secret-file}}'", with(group, "[secret]\nfile = true\n"));
    tells(&in_env, 6, 7, &["only stand in the command"]);
}

#[test]
fn what_a_terminal_would_obey_is_in_no_help() {
    tells("summary = \"a\\u001bc\"\ncommand = ['x', '{port}']", 1, 11, &["summary is one line of text"]);
    tells(&after("help = \"a\\u001b]0;x\\u0007\""), 3, 8, &["help holds a control character"]);
    assert!(Recipe::read("web", &after("help = \"two\\nlines\""), "web.toml").is_ok());
    let parameter = "[env]\nA = '{a}'\n[parameters.a]\ntype = 'string'\nhelp = 'h'\ndefault = \"\\u001bc\"";
    tells(&after(parameter), 8, 11, &["bad default", "control character"]);
    tells("summary = 's'\ncommand = ['x', '{port}', '{{port}}']", 2, 27, &["cannot stand for itself"]);
}
