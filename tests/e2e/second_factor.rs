//! A cluster that wants a password besides the key: it is typed once, and every other command goes on without a question.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{AskingSshd, Lab, Output, PASSWORD, SOON, Screen, eventually, get};

const PROMPT: &str = "alice@10.77.1.2's password: ";
const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

/// Logs in at a terminal.
#[track_caller]
fn log_in(lab: &Lab) -> Output {
    let mut screen = Screen::run(lab, "towline profile login lab");
    screen.shows(PROMPT, 1);
    screen.types(&format!("{PASSWORD}\n"));
    let done = screen.ends().code(0);
    assert!(done.stdout.contains("logged in to alice@login; all commands use this login"), "{done:?}");
    assert!(!done.stdout.contains(PASSWORD), "{done:?}");
    done
}

/// The login of the profile `lab`, as `profile ls` tells it.
fn login(lab: &Lab) -> (Value, Value) {
    let profiles = lab.towline(&["profile", "ls", "--json"]).json();
    let of_lab =
        profiles.as_array().unwrap().iter().find(|profile| profile["name"] == "lab").unwrap().clone();
    (of_lab["login"].clone(), of_lab["login_needs_person"].clone())
}

/// Nobody asks anything, and it is said what to type.
#[track_caller]
fn assert_not_logged_in(output: Output) {
    let output = output.fails(6, &["\nhint: towline profile login lab"]);
    assert!(!output.stderr.contains("password:"), "{output:?}");
}

#[test]
fn one_password_serves_every_command_until_the_connection_is_gone() {
    let sshd = AskingSshd::start();
    let lab = sshd.lab();
    assert_not_logged_in(lab.run("early", &STAY));
    assert_eq!(login(&lab), (Value::Null, false.into()));

    log_in(&lab);
    let (made, needs_person) = login(&lab);
    assert_eq!((&made["by"], needs_person), (&Value::from("towline"), true.into()));
    assert!(made["since"].is_string(), "{made}");
    lab.towline(&["profile", "login", "lab"]).code(0).says(&["already logged in to alice@login for "]);
    let url = lab.run_web("web", &[]);
    assert_eq!(get(&url).unwrap().status, 200);
    assert!(lab.towline(&["ls"]).ok().contains("HEALTHY"));
    assert!(lab.towline(&["logs", "web"]).ok().contains("GET / "));
    lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert_eq!(sshd.logins(), 1);

    let processes = lab.ssh_processes();
    let [(master, _)] = processes.as_slice() else { panic!("{processes:?}") };
    kill_process(Pid::from_raw(i32::try_from(*master).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("the connection is gone", SOON, || lab.ssh_processes().is_empty().then_some(()));
    let connections = sshd.logged("Connection from");
    assert_not_logged_in(lab.towline(&["logs", "web"]));
    assert_not_logged_in(lab.run("other", &STAY));
    // What was learnt two seconds ago is not asked for again.
    let notices = || lab.towline(&["ls"]).code(0).stderr.contains("nobody is logged in").then_some(());
    eventually("somebody notices", SOON, notices);
    for words in [&["refresh", "--now"][..], &["show", "web"], &["ls"]] {
        lab.towline(words)
            .code(0)
            .says(&["nobody is logged in to login", "\nhint: towline profile login lab\n"]);
    }
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(6);
    assert!(checked.stdout.contains("failed   authentication nobody is logged in to login"), "{checked:?}");
    assert_eq!(login(&lab), (Value::Null, true.into()));
    let service = lab.towline(&["show", "web", "--json"]).json();
    assert_eq!(service["status"], "UNHEALTHY", "nothing says that it has ended: {service}");
    assert_eq!(lab.living_jobs().len(), 1);
    assert_eq!(sshd.logged("Connection from"), connections, "nobody tries without a person");

    let again = log_in(&lab);
    assert!(again.stdout.contains(&format!("service web is HEALTHY at {url}")), "{again:?}");
    assert_eq!(get(&url).unwrap().status, 200);
    assert_eq!(sshd.logins(), 2);

    let out = lab.towline(&["profile", "logout", "lab"]).code(0);
    out.says(&["logged out of alice@login", &format!("the tunnel of service web is down with it: {url}")]);
    assert!(get(&url).is_err() && lab.ssh_processes().is_empty());
    assert_eq!(login(&lab), (Value::Null, false.into()));
    lab.towline(&["profile", "logout", "lab"]).code(0).says(&["nobody is logged in to alice@login"]);
    assert_eq!(lab.living_jobs().len(), 1, "services run on");
    log_in(&lab);
}

/// Stopped, the connection answers nothing. No doubt ends what somebody had to type for.
#[test]
fn a_login_that_was_typed_and_hangs_is_left_to_whoever_types() {
    let sshd = AskingSshd::start();
    let lab = sshd.lab();
    log_in(&lab);
    let url = lab.run_web("web", &[]);
    let signal_master = |signal| {
        let processes = lab.ssh_processes();
        let [(master, _)] = processes.as_slice() else { panic!("{processes:?}") };
        kill_process(Pid::from_raw(i32::try_from(*master).unwrap()).unwrap(), signal).unwrap();
        *master
    };
    let stopped = signal_master(Signal::STOP);
    let assert_hangs = |output: Output| {
        let hangs = "the connection to login does not answer, and is left alone";
        output.fails(6, &[hangs, "\nhint: towline profile login lab ("]);
    };
    let begun = Instant::now();
    assert_hangs(lab.towline(&["logs", "web"]));
    println!("logs: said after {:.1} s", begun.elapsed().as_secs_f32());
    let begun = Instant::now();
    assert_hangs(lab.run("other", &STAY));
    println!("run: said after {:.1} s", begun.elapsed().as_secs_f32());
    for words in [&["refresh", "--now"][..], &["ls"]] {
        let begun = Instant::now();
        lab.towline(words).code(0).says(&["does not answer", "\nhint: towline profile login lab\n"]);
        println!("{}: said after {:.1} s", words[0], begun.elapsed().as_secs_f32());
    }
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(6);
    assert!(
        checked.stdout.contains("skipped  host           not asked: the connection does not answer"),
        "{checked:?}"
    );
    let (made, needs_person) = login(&lab);
    assert_eq!((&made["answers"], needs_person), (&false.into(), true.into()));
    assert!(lab.towline(&["profile", "ls"]).ok().contains(", does not answer"));

    assert_eq!(signal_master(Signal::CONT), stopped, "it is the same one");
    lab.towline(&["refresh", "--now"]).code(0);
    assert_eq!(lab.wait_for("web", "HEALTHY", SOON)["url"].as_str(), Some(url.as_str()));
    assert_eq!((get(&url).unwrap().status, sshd.logins()), (200, 1));
    assert_eq!(login(&lab).0["answers"], true);

    signal_master(Signal::STOP);
    let again = log_in(&lab);
    assert!(again.stdout.contains(&format!("service web is HEALTHY at {url}")), "{again:?}");
    assert_eq!((get(&url).unwrap().status, sshd.logins()), (200, 2));
    assert_ne!(signal_master(Signal::STOP), stopped);
    lab.towline(&["profile", "logout", "lab"]).code(0).says(&["logged out of alice@login"]);
    eventually("it is ended", SOON, || lab.ssh_processes().is_empty().then_some(()));
    assert_eq!(login(&lab), (Value::Null, false.into()));
    log_in(&lab);
}

#[test]
fn a_wrong_password_and_second_thoughts_leave_nothing() {
    let sshd = AskingSshd::start();
    let lab = sshd.lab();
    let nothing_left = || {
        eventually("no ssh is left", SOON, || lab.ssh_processes().is_empty().then_some(()));
        assert_eq!(login(&lab), (Value::Null, false.into()));
        assert_eq!(sshd.logins(), 0);
    };
    let mut screen = Screen::run(&lab, "NO_COLOR=1 towline profile login lab");
    for count in 1..=3 {
        screen.shows(PROMPT, count);
        screen.types("wrong\n");
    }
    let failed = screen.ends().code(6);
    for words in [
        "ssh: Permission denied, please try again.",
        "error: failed to log in to lab",
        "Permission denied (password)",
        "hint: towline profile login lab",
    ] {
        assert!(failed.stdout.contains(words), "{words}: {failed:?}");
    }
    nothing_left();

    let mut screen =
        Screen::run(&lab, "towline profile login lab; code=$?; echo the shell goes on; exit $code");
    screen.shows(PROMPT, 1);
    screen.types("tow\u{3}");
    let interrupted = screen.ends().code(130);
    assert!(interrupted.stdout.contains("the login to login was interrupted"), "{interrupted:?}");
    assert!(interrupted.stdout.contains("the shell goes on"), "{interrupted:?}");
    nothing_left();

    let words = ["there is neither a terminal nor SSH_ASKPASS", "hint: log in at a terminal"];
    Screen::run(&lab, "NO_COLOR=1 setsid --wait towline profile login lab").ends().code(6).shows(&words);
    nothing_left();
}

#[test]
fn a_connection_of_the_user_s_own_is_used_and_left_alone() {
    let sshd = AskingSshd::start();
    let lab = sshd.lab();
    let own = format!(
        "    ControlMaster auto\n    ControlPath {}\n    ControlPersist yes\n",
        lab.path("own").display()
    );
    sshd.ssh_config(&lab, &own);
    let ssh = format!("ssh -F {} login", lab.path("ssh_config").display());
    let mut screen = Screen::run(&lab, &format!("{ssh} true"));
    screen.shows(PROMPT, 1);
    screen.types(&format!("{PASSWORD}\n"));
    screen.ends().code(0);

    let (made, _) = login(&lab);
    assert_eq!((made["by"].as_str(), made["socket"].as_str()), (Some("user"), lab.path("own").to_str()));
    let url = lab.run_web("web", &[]);
    assert_eq!(get(&url).unwrap().status, 200);
    lab.towline(&["profile", "login", "lab"]).code(0).says(&["already logged in", "of your own ssh"]);
    lab.towline(&["profile", "logout", "lab"]).code(0).says(&["of your own ssh", "leaves it alone"]);
    assert_eq!(get(&url).unwrap().status, 200, "its tunnel stays");
    lab.towline(&["stop", "web"]).code(0).says(&["STOPPED"]);
    assert!(get(&url).is_err(), "what was opened on it is closed again");
    assert_eq!(sshd.logins(), 1);

    let exit = Screen::run(&lab, &format!("{ssh} -O check && {ssh} -O exit")).ends().code(0);
    assert!(exit.stdout.contains("Master running"), "{exit:?}");
}
