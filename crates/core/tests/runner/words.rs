//! Commands, directories, set-up lines and environments.

use std::process::Command;

use proptest::prelude::*;
use towline_core::runner::{env_file, quote};
use towline_core::spec::Secret;

use crate::shell::{bash, locale, parts, spec, text, told};

/// A program and its arguments; a program's name is not empty.
fn command() -> impl Strategy<Value = Vec<String>> {
    ("[^\u{0}]{1,6}", prop::collection::vec(text(), 0..6)).prop_map(|(program, mut words)| {
        words.insert(0, program);
        words
    })
}

fn variable() -> impl Strategy<Value = String> {
    // A prefix that nothing else uses; bash's own names are tried below.
    "[A-Z_][A-Za-z0-9_]{0,8}".prop_map(|name| format!("V_{name}"))
}

/// Prints what the process that follows in a pipe would get: the words of `array`.
fn print(array: &str) -> String {
    format!("printf '%s\\0' \"${{{array}[@]}}\"\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_shell_reads_every_quoted_word_as_it_was(words in prop::collection::vec(text(), 1..12), sh in prop::sample::select(vec!["bash", "sh"])) {
        let quoted: Vec<String> = words.iter().map(|word| quote(word).unwrap()).collect();
        let script = format!("printf '%s\\0' {}", quoted.join(" "));
        let output = Command::new(sh).args(["-c", &script]).output().unwrap();
        prop_assert_eq!(told(&output), words);
    }

    #[test]
    fn the_command_receives_what_was_given(words in command(), locale in locale()) {
        let script = parts(&spec(&words)).0 + "PORT=23456\ntowline_command\n" + &print("towline_argv");
        let output = bash(&script, &[("LC_ALL", locale)]);
        let expected: Vec<String> = words.iter().map(|word| word.replace("{port}", "23456")).collect();
        prop_assert_eq!(told(&output), expected);
        prop_assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    #[test]
    fn the_directory_is_the_one_that_was_named(dir in text(), begin in prop::sample::select(vec!["", "~", "~/", "/"])) {
        let dir = format!("{begin}{dir}");
        let mut spec = spec(&["serve".into()]);
        spec.chdir = Some(dir.clone());
        if dir.is_empty() || dir.contains('\n') {
            prop_assert_eq!(spec.check().unwrap_err().field, "chdir");
            return Ok(());
        }
        let output = bash(&(parts(&spec).0 + &print("towline_chdir")), &[]);
        let home = match dir.strip_prefix('~') {
            Some("" | "/") => "/home of x".to_owned(),
            Some(rest) if rest.starts_with('/') => format!("/home of x{rest}"),
            _ if dir.starts_with('/') => dir,
            _ => format!("./{dir}"),
        };
        prop_assert_eq!(told(&output), vec![home]);
    }

    #[test]
    fn the_set_up_is_run_line_by_line_as_it_was_written(lines in prop::collection::vec(text(), 1..6)) {
        let mut spec = spec(&["serve".into()]);
        spec.setup = lines.clone();
        // In the place of what runs a line is what prints it.
        let instead = "eval() { printf '%s\\0' \"$1\"; }\ntowline_prepare() { :; }\ntowline_serve() { :; }\n";
        let output = bash(&(instead.to_owned() + &parts(&spec).1), &[]);
        prop_assert_eq!(told(&output), lines);
    }

    #[test]
    fn the_command_s_environment_is_what_was_given(env in prop::collection::btree_map(variable(), text(), 0..6), locale in locale()) {
        let mut spec = spec(&["serve".into()]);
        spec.env = env.clone();
        let script = env_file(&spec).unwrap() + "exec env -0\n";
        let output = bash(&script, &[("LC_ALL", locale)]);
        let given = told(&output).into_iter().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.starts_with("V_").then(|| (name.to_owned(), value.to_owned()))
        });
        prop_assert_eq!(given.collect::<std::collections::BTreeMap<_, _>>(), env);
    }

    #[test]
    fn a_nul_is_refused_wherever_it_stands(before in text(), after in text(), place in 0..4_u8) {
        let nul = format!("{before}\0{after}");
        let mut spec = spec(&["serve".into()]);
        match place {
            0 => spec.command.push(nul.clone()),
            1 => spec.setup.push(nul.clone()),
            2 => spec.chdir = Some(nul.clone()),
            _ => drop(spec.env.insert("V".into(), nul.clone())),
        }
        prop_assert!(spec.check().is_err() && env_file(&spec).is_err() && quote(&nul).is_err());
    }
}

/// A key that its server reads from a file is in that file alone.
#[test]
fn a_key_lies_in_a_file_that_its_user_alone_reads() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&["serve".into(), "--key-file={secret-file}".into(), "{secret}".into()]);
    spec.env.insert("KEY".into(), "hu'sh $(id)".into());
    let plain = parts(&spec).0;
    assert!(plain.contains("'--key-file={secret-file}'") && env_file(&spec).unwrap().contains("export KEY="));
    spec.secret = Some(Secret { env: "KEY".into(), in_file: true });
    std::fs::write(dir.path().join("env"), env_file(&spec).unwrap()).unwrap();
    let script = parts(&spec).0
        + "towline_path=$PATH\numask 022\n. \"$towline_dir/env\"\ntowline_keep_secret\ntowline_command\n"
        + &print("towline_argv")
        + "env -0\n";
    let output = bash(&script, &[("TEST_DIR", dir.path().to_str().unwrap())]);
    let told = told(&output);
    let path = dir.path().join("secret");
    assert_eq!(
        told[..3],
        ["serve".to_owned(), format!("--key-file={}", path.display()), "{secret}".to_owned()]
    );
    assert!(!told.iter().any(|text| text.contains("sh $(id)")), "{told:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "hu'sh $(id)\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// Names that bash has a meaning for are refused, or mean nothing after all.
#[test]
fn a_variable_of_bash_itself_reaches_the_command_or_is_refused() {
    let dynamic = "BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_COMPAT BASH_ENV BASH_LINENO \
        BASH_LOADABLES_PATH BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_XTRACEFD CDPATH CHILD_MAX COLUMNS COMP_WORDBREAKS \
        COPROC DIRSTACK ENV EPOCHREALTIME EPOCHSECONDS EXECIGNORE FUNCNAME FUNCNEST GLOBIGNORE GROUPS HISTCMD HISTCONTROL \
        HOME IGNOREEOF INPUTRC LANG LC_ALL LINENO LINES MAPFILE OLDPWD OPTARG OPTIND POSIXLY_CORRECT PROMPT_COMMAND PS4 \
        PWD RANDOM READLINE_LINE REPLY SECONDS SHELL SHLVL SRANDOM TIMEFORMAT TMOUT TMPDIR _ auto_resume histchars";
    let own = bash("compgen -A variable", &[]);
    let own = String::from_utf8(own.stdout).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("env");
    let mut reached = 0;
    // A command is looked up in PATH, so that another value of it would be tried on the wrong thing.
    for name in own.lines().chain(dynamic.split_whitespace()).filter(|name| *name != "PATH") {
        let mut spec = spec(&["serve".into()]);
        spec.env.insert(name.into(), "xy z".into());
        let Ok(text) = env_file(&spec) else { continue };
        // As in the runner: from a file, within functions, and with more functions called afterwards.
        std::fs::write(&file, text).unwrap();
        let script = "f() { . \"$FILE\"; }; g() { f; }; h() { g; }; g; h; env -0; :\n";
        let output = bash(script, &[("FILE", file.to_str().unwrap())]);
        let line = format!("{name}=xy z");
        assert!(told(&output).contains(&line), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        reached += 1;
    }
    assert!(reached > 20, "{reached}");
}

/// `CDPATH` makes `cd` look elsewhere first, and `-` is another word for where it was before.
#[test]
fn a_relative_directory_is_below_the_home_directory() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for name in ["home/work", "home/-", "other/work", "other/-"] {
        std::fs::create_dir_all(path(name)).unwrap();
    }
    std::fs::write(path("env"), "").unwrap();
    let (home, dir, other) = (path("home"), path(""), path("other"));
    let env =
        [("HOME", &*home), ("TEST_DIR", &dir), ("TEST_JOB", "7"), ("TEST_HOST", "h"), ("CDPATH", &other)];
    for name in ["work", "-"] {
        let mut spec = spec(&["serve".into()]);
        spec.chdir = Some(name.into());
        let script = parts(&spec).0 + "towline_prepare\ntrap - EXIT\nprintf '%s\\0' \"$PWD\"\n";
        let output = bash(&script, &env);
        assert_eq!(told(&output), [path("home") + "/" + name], "{output:?}");
    }
}
