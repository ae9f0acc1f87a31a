//! When Slurm's daemons are down, or say nothing: the same.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::doubt::Household;
use crate::harness::{Fault, Guard, Host, Lab, SOON, eventually, get, on};

const ALICE: Host = on("login").as_("alice");

/// Those that only Slurm can tell of.
const TOLD_BY_SLURM: [&str; 2] = ["held", "mute"];

const NO_CONTROLLER: &str = "Unable to contact slurm controller";

/// A command that fails once a file is there.
fn until_told(lab: &Lab) -> (String, String) {
    let file = format!("/home/alice/{}/told", lab.remote_name());
    (format!("until [ -e {file} ]; do sleep 0.2; done; exit 4"), file)
}

/// A real client that leaves its process id, to see how long it hangs.
const SQUEUE: &str = r#"echo $$ >"${0%/*}/asking"; exec /usr/bin/squeue "$@""#;

/// Ctrl-C ends the command at once, while the client that it waits for goes on hanging.
#[track_caller]
fn assert_interruptible(lab: &Lab, words: &[&str]) {
    let asking = format!("{}/bin/asking", lab.remote_name());
    let is_asking = || ALICE.run(&["bash", "-c", r#"kill -0 "$(cat "$1")""#, "asking", &asking]).code == 0;
    eventually("no client that hangs", SOON, || (!is_asking()).then_some(()));
    // What was learnt less than two seconds ago is not asked again.
    let waiting = eventually("a client that hangs", SOON, || {
        let mut command = lab.start(words);
        let asks = eventually("a question or the end", SOON, || {
            let over = command.is_over();
            (is_asking() || over).then_some(!over)
        });
        asks.then_some(command)
    });
    waiting.signal(Signal::INT);
    waiting.finish(SOON).code(130);
    assert!(is_asking(), "{words:?} ended with its client, and not at once");
}

#[test]
fn the_controller_is_down_for_a_minute() {
    let lab = Lab::with_path(Guard::alone(), ":$PATH");
    lab.put_on_path("squeue", SQUEUE);
    let home = Household::settle(&lab);
    let (fault, began) = (Fault::start(&["controller"]), Instant::now());
    assert_interruptible(&lab, &["ls"]);
    assert_interruptible(&lab, &["refresh", "--now"]);
    home.assert_doubtful(NO_CONTROLLER, &TOLD_BY_SLURM);
    assert_eq!(get(&home.url).unwrap().status, 200, "the way to the server needs no controller");
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(6);
    assert!(checked.stdout.contains(NO_CONTROLLER), "{checked:?}");
    let run = lab.run("other", &["--", "sleep", "600"]).fails(6, &[NO_CONTROLLER, "nothing is lost"]);
    assert!(run.stderr.contains("failed to start service other"), "{run:?}");
    while began.elapsed() < Duration::from_secs(60) {
        home.look();
    }
    fault.end();
    home.assert_back_alone();
    lab.run_web("other", &[]);
    home.assert_back();
}

#[test]
fn accounting_is_down_and_then_both() {
    let lab = Lab::alone();
    let accounting = Fault::start(&["accounting"]);
    let home = Household::settle(&lab);
    lab.towline(&["refresh", "--now"]).code(0);
    home.assert_untouched();
    let checked = lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert!(
        checked.lines().any(|line| line.starts_with("warning") && line.contains("accounting")),
        "{checked}"
    );
    let (command, file) = until_told(&lab);
    lab.run("doomed", &["--detach", "--exclude", "c3", "--", "bash", "-c", &command]).ok();
    lab.wait_for("doomed", "STARTING", SOON);

    let controller = Fault::start(&["controller"]);
    home.assert_doubtful(NO_CONTROLLER, &TOLD_BY_SLURM);
    ALICE.run(&["touch", &file]).ok();
    let service = lab.show("doomed");
    assert_eq!(service["status"], "STARTING", "nobody knows that it has ended: {service}");
    controller.end();
    lab.towline(&["refresh", "--now"]).code(0);
    let ended = lab.wait_for("doomed", "FAILED", SOON);
    assert!(ended["cause"].as_str().unwrap().contains("exit code 4"), "{ended}");
    home.assert_back_alone();

    lab.run_web("other", &[]);
    lab.towline(&["stop", "other"]).code(0).says(&["STOPPED"]);
    accounting.end();
    home.assert_back_alone();
}

#[test]
fn a_cluster_that_keeps_no_accounting() {
    let lab = Lab::alone();
    let fault = Fault::start(&["accounting-none"]);
    let home = Household::settle(&lab);
    let asked = ALICE.run(&["sacct", "-X", "-n"]).code(1);
    asked.says(&["accounting storage is disabled"]);
    lab.towline(&["doctor", "--profile", "lab"]).code(0);
    lab.towline(&["refresh", "--now"]).code(0);
    home.assert_untouched();
    lab.run_web("other", &[]);
    lab.towline(&["stop", "other"]).code(0).says(&["STOPPED"]);
    lab.run("fails", &["--", "bash", "-c", "exit 5"]).fails(8, &["FAILED", "exit code 5"]);
    home.assert_back_alone();
    fault.end();
    home.assert_back_alone();
}

/// What a controller is said to do now and then: no rows, and exit code 0.
#[test]
fn a_controller_that_answers_nothing() {
    let lab = Lab::with_path(Guard::shared(), ":$PATH");
    let home = Household::settle(&lab);
    lab.put_on_path("squeue", "exit 0");
    let services = home.assert_doubtful("accounting is late: it has job ", &TOLD_BY_SLURM);
    assert_eq!(get(&home.url).unwrap().status, 200);
    let why = |name: &str| services[name]["doubt"]["why"].as_str().unwrap().to_owned();
    assert!(why("held").contains("as PENDING") && why("mute").contains("as RUNNING"), "{services:#?}");

    // Where accounting has nothing to say either, it takes five minutes of such answers to make a job one that is gone.
    lab.put_on_path("sacct", "echo Slurm accounting storage is disabled >&2; exit 1");
    lab.towline(&["refresh", "--now"]).code(0);
    home.assert_doubtful("neither queue nor accounting lists job ", &TOLD_BY_SLURM);
    let told: Value = lab.towline(&["why", "held", "--json"]).json();
    assert_eq!(told["status"], "PENDING", "{told}");
    for command in ["squeue", "sacct"] {
        lab.take_off_path(command);
    }
    home.assert_back_alone();
}
