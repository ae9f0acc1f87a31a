use std::collections::BTreeMap;

use super::*;
use crate::ready::Ready;
use crate::resources::Resources;
use crate::spec::Bind;

fn spec(command: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().unwrap(),
        profile: "lab".into(),
        command: command.iter().map(ToString::to_string).collect(),
        setup: Vec::new(),
        env: BTreeMap::new(),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(1),
        resources: Resources::default(),
    }
}

fn runner() -> Runner<'static> {
    Runner {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        dir: "\"$HOME\"/.towline/services/01890a5d-ac96-774b-bcce-b302099a8057",
        job: "$SLURM_JOB_ID",
        host: "${SLURMD_NODENAME:-$HOSTNAME}",
        restarts: "${SLURM_RESTART_COUNT:-0}",
        same_host: false,
        time_limit: None,
    }
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line {start}"))
}

#[test]
fn the_port_is_left_to_the_shell_wherever_it_stands() {
    let text = render(&spec(&["serve", "{port}", "--bind=0.0.0.0:{port}/{port}", "a b{port}"]), &runner());
    assert_eq!(
        line(&text.unwrap(), "towline_command()"),
        "towline_command() { set -- serve \"$PORT\" '--bind=0.0.0.0:'\"$PORT\"/\"$PORT\" 'a b'\"$PORT\"; towline_argv=(\"$@\"); }"
    );
}

#[test]
fn the_address_is_left_to_the_shell_like_the_port() {
    let told = |bind, same_host| {
        let spec = ServiceSpec { bind, ..spec(&["serve", "--at={host}:{port}/{host}", "{host}"]) };
        let text = render(&spec, &Runner { same_host, ..runner() }).unwrap();
        let command = "towline_command() { set -- serve '--at='\"$HOST\":\"$PORT\"/\"$HOST\" \"$HOST\"; towline_argv=(\"$@\"); }";
        assert_eq!(line(&text, "towline_command()"), command);
        (line(&text, "towline_listen=").to_owned(), line(&text, "towline_private=").to_owned())
    };
    let lines = |listen: &str, private: &str| {
        (format!("towline_listen={listen}"), format!("towline_private={private}"))
    };
    assert_eq!(told(Bind::All, false), lines("0.0.0.0", ""));
    assert_eq!(told(Bind::All, true), lines("127.0.0.1", ""), "its clients are there as well");
    assert_eq!(told(Bind::Loopback, false), lines("127.0.0.1", "1"));
    assert_eq!(told(Bind::Loopback, true), lines("127.0.0.1", "1"));
}

#[test]
fn user_text_is_quoted_in_every_place() {
    let mut spec = spec(&["$(id)", "it's", "a\nb", "\\", ""]);
    spec.setup = vec!["echo \"$HOME\"".into(), "if true; then".into()];
    spec.chdir = Some("~/my dir/$(id)".into());
    let text = render(&spec, &runner()).unwrap();
    assert!(text.contains("set -- '$(id)' \"it's\" 'a\nb' \"\\\\\" ''; "), "{text}");
    assert_eq!(line(&text, "eval"), "eval 'echo \"$HOME\"' || towline_setup_failed 1 $?");
    assert!(text.contains("eval 'if true; then' || towline_setup_failed 2 $?"));
    assert_eq!(line(&text, "towline_chdir="), "towline_chdir=$HOME'/my dir/$(id)'");
}

#[test]
fn secrets_are_in_the_environment_file_only() {
    let mut spec = spec(&["serve"]);
    spec.env.insert("KEY".into(), "s3cr3t 'x'\n$(id)".into());
    assert!(!render(&spec, &runner()).unwrap().contains("s3cr3t"));
    assert_eq!(env_file(&spec).unwrap(), "export KEY=\"s3cr3t 'x'\n\"'$(id)'\n");
}

#[test]
fn variables_of_the_shell_itself_are_refused() {
    for name in SET.into_iter().chain(OF_BASH).chain(["towline_dir"]) {
        let mut spec = spec(&["serve"]);
        spec.env.insert(name.into(), "1".into());
        assert_eq!(env_file(&spec).unwrap_err().field, "env", "{name}");
    }
}

#[test]
fn a_spec_that_nothing_can_run_is_refused() {
    assert_eq!(render(&spec(&[]), &runner()).unwrap_err().field, "command");
    assert_eq!(render(&spec(&["a\0b"]), &runner()).unwrap_err().field, "command");
}

#[test]
fn a_time_limit_is_in_whole_seconds_and_never_none() {
    let limited = |limit| {
        let text = render(&spec(&["serve"]), &Runner { time_limit: limit, ..runner() }).unwrap();
        line(&text, "towline_limit=").to_owned()
    };
    assert_eq!(limited(None), "towline_limit=0");
    assert_eq!(limited(Some(Duration::from_millis(10))), "towline_limit=1");
    assert_eq!(limited(Some(Duration::from_secs(90))), "towline_limit=90");
}
