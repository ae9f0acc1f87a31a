//! Tunnels that go through the compute nodes, and services that only they reach.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Fault, Lab, Running, SOON, eventually, get, on, state_dir};

/// How long Slurm may take to start a job again.
const REQUEUED: Duration = Duration::from_secs(120);

/// A server that listens where it is told to.
const TOLD: [&str; 10] =
    ["--health", "/", "--", "python3", "-u", "-m", "http.server", "{port}", "--bind", "{host}"];

/// A configuration of ssh as the cluster's, with a list of host keys of this lab's own, in which those of the nodes are as
/// well if `knows_nodes`.
fn ssh_config(lab: &Lab, knows_nodes: bool) -> PathBuf {
    let theirs = state_dir().join("known_hosts").display().to_string();
    let mut known = fs::read_to_string(&theirs).unwrap();
    if knows_nodes {
        known += &fs::read_to_string(state_dir().join("etc/ssh/ssh_known_hosts")).unwrap();
    }
    fs::write(lab.path("known_hosts"), known).unwrap();
    lab.write_ssh_config(|text| text.replace(&theirs, lab.path("known_hosts").to_str().unwrap()))
}

/// Adds the profile `lab`, whose tunnels go through the nodes.
fn by_nodes(lab: Lab) -> Lab {
    lab.add_profile(&ssh_config(&lab, true), &["--via", "node"]);
    lab
}

/// The masters that there are, by what they are connected to.
fn masters(lab: &Lab) -> Vec<(u32, String)> {
    let masters = lab.ssh_processes().into_iter().filter(|(_, line)| line.contains(" -M "));
    let host = |line: String| line.trim().rsplit(' ').next().unwrap().to_owned();
    let mut masters: Vec<_> = masters.map(|(pid, line)| (pid, host(line))).collect();
    masters.sort_by(|a, b| a.1.cmp(&b.1));
    masters
}

fn names(masters: &[(u32, String)]) -> Vec<&str> {
    masters.iter().map(|(_, name)| name.as_str()).collect()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// Whether bob reaches a service from a host of the cluster.
fn bob_reaches(from: &'static str, service: &Value) -> bool {
    let address =
        format!("/dev/tcp/{}/{}", service["place"]["host"].as_str().unwrap(), service["place"]["port"]);
    on(from).as_("bob").run(&["bash", "-c", "exec 3<>\"$1\"", "bob", &address]).code == 0
}

#[test]
fn a_private_service_is_for_its_owner_alone() {
    let lab = by_nodes(Lab::bare(crate::harness::Guard::shared()));
    let run = |name: &str, options: &[&str]| {
        let url = lab.run(name, &[options, &["--nodelist", "c1"], &TOLD].concat()).ok();
        (url.trim().to_owned(), lab.show(name))
    };
    let (open_url, open) = run("open", &[]);
    let (mine_url, mine) = run("mine", &["--bind", "loopback"]);
    assert_eq!((&open["bind"], &open["place"]["loopback"]), (&"all".into(), &false.into()), "{open:#}");
    assert_eq!((&mine["bind"], &mine["place"]["loopback"]), (&"loopback".into(), &true.into()), "{mine:#}");
    for url in [&open_url, &mine_url] {
        assert_eq!(get(url).unwrap().status, 200, "{url}");
    }
    for from in ["login", "c2"] {
        assert!(bob_reaches(from, &open), "from {from}");
        assert!(!bob_reaches(from, &mine), "from {from}");
    }
    assert_eq!(names(&masters(&lab)), ["c1", "login"], "one login to the node serves both");
    let log = lab.towline(&["logs", "mine"]).ok();
    assert!(!log.contains("out of reach"), "{log}");
    let out = lab.towline(&["profile", "logout", "lab"]).code(0);
    out.says(&["the tunnel of service open is down with it", "the tunnel of service mine is down with it"]);
    for url in [&open_url, &mine_url] {
        eventually("its tunnel again", SOON, || {
            lab.towline(&["refresh", "--now"]).code(0);
            get(url).is_ok_and(|page| page.status == 200).then_some(())
        });
    }
    lab.towline(&["stop", "open", "mine"]).code(0);
    assert_eq!(names(&masters(&lab)), ["login"], "no tunnel goes through the node any more");
}

#[test]
fn a_private_service_that_is_not_private_does_not_run() {
    let lab = by_nodes(Lab::bare(crate::harness::Guard::shared()));
    let wide = ["--bind", "loopback", "--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    let run = lab.run("wide", &wide).code(8);
    assert!(run.stderr.contains("where other users reach it, and was ended"), "{run:?}");
    let told = lab.towline(&["why", "wide"]).ok();
    assert!(told.contains("--bind all") && told.contains("{host}"), "{told}");
    assert_eq!(lab.show("wide")["status"], "FAILED");

    let by_login = Lab::new();
    by_login
        .run("mine", &[&["--bind", "loopback"][..], &TOLD].concat())
        .fails(5, &["would be out of reach", "via = \"node\""]);
    by_login.towline(&["show", "mine"]).code(4);
    by_login.towline(&["profile", "add", "here", "--here", "--bind", "loopback"]).fails(5, &["--bind all"]);
    by_login.towline(&["profile", "add", "here", "--here", "--via", "node"]).code(2);
}

#[test]
fn a_login_host_that_forwards_nothing_is_gone_around() {
    let lab = Lab::alone();
    let fault = Fault::start(&["forwarding"]);
    lab.towline(&["profile", "rm", "lab"]).ok();
    let lab = by_nodes(lab);
    let url = lab.run("mine", &[&["--bind", "loopback", "--nodelist", "c2"][..], &TOLD].concat()).ok();
    let url = url.trim();
    let answers = |what: &str| {
        eventually(what, SOON, || {
            lab.towline(&["refresh"]).code(0);
            get(url).is_ok_and(|page| page.status == 200).then_some(())
        });
        assert_eq!(lab.towline(&["url", "mine"]).ok().trim(), url);
        assert_eq!(names(&masters(&lab)), ["c2", "login"], "{what}");
    };
    answers("the service");
    let rows = lab.towline(&["tunnel", "ls", "--json"]).json();
    assert_eq!(rows[0]["reach"], "answers", "{rows:#}");
    let checked = lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert!(checked.contains("not needed: tunnels go through the nodes"), "{checked}");

    kill(masters(&lab)[0].0);
    answers("it after the node's master was killed");
    kill(masters(&lab)[1].0);
    answers("it after the login's master was killed");
    lab.towline(&["stop", "mine"]).code(0);
    eventually("the end of the node's master", SOON, || (names(&masters(&lab)) == ["login"]).then_some(()));
    fault.end();
}

#[test]
fn a_tunnel_follows_a_requeued_job_to_its_node() {
    let lab = by_nodes(Lab::bare(crate::harness::Guard::shared()));
    let options = ["--bind", "loopback", "--requeue", "--exclude", "c1,c2"];
    let url = lab.run("moves", &[&options[..], &TOLD].concat()).ok();
    let before = lab.show("moves");
    assert_eq!(before["node"], "c3");
    lab.requeue(&before);
    let moved = eventually("the service on another node", REQUEUED, || {
        let service = lab.show("moves");
        (service["status"] == "HEALTHY" && service["node"] != "c3").then_some(service)
    });
    assert_eq!((&moved["url"], &moved["job_id"]), (&before["url"], &before["job_id"]));
    assert_eq!(get(url.trim()).unwrap().status, 200);
    let node = moved["node"].as_str().unwrap();
    assert_eq!(names(&masters(&lab)), [node, "login"], "nothing goes through c3 any more");
}

/// It is told once, and the node is not hammered; once it lets somebody in, a tunnel that another command has opened is used.
#[test]
fn a_keeper_leaves_a_node_alone_that_refuses() {
    let lab = Lab::bare(crate::harness::Guard::shared());
    let config = ssh_config(&lab, true);
    lab.add_profile(&config, &["--via", "node"]);
    let allowed = fs::read_to_string(&config).unwrap();
    let stranger = lab.remote_name().trim_start_matches('.').to_owned();
    fs::write(&config, format!("Host c1\n  User {stranger}\n\n{allowed}")).unwrap();
    lab.run("mine", &[&["--detach", "--bind", "loopback", "--nodelist", "c1"][..], &TOLD].concat()).ok();
    let tries = || {
        let log = fs::read_to_string(state_dir().join("hosts/c1/log/sshd.log")).unwrap();
        log.lines().filter(|line| line.contains(&format!("Invalid user {stranger} "))).count()
    };
    let keeper = lab.start(&["keep"]);
    let refused = || keeper.stdout().lines().filter(|line| line.contains("mine: no tunnel: ")).count();
    eventually("word of the refusal", SOON, || (refused() == 1).then_some(()));
    eventually("another try", SOON, || (tries() == 2).then_some(()));
    std::thread::sleep(Duration::from_secs(20));
    assert_eq!((tries(), refused()), (2, 1), "{}", keeper.stdout());
    lab.towline(&["keep", "--once"]).code(5).says(&["service mine is STARTING"]);
    fs::write(&config, allowed).unwrap();
    let url = lab.towline(&["tunnel", "open", "mine"]).ok();
    eventually("the service", SOON, || keeper.stdout().contains("mine: HEALTHY").then_some(()));
    assert_eq!(get(url.trim()).unwrap().status, 200);
    keeper.signal(Signal::TERM);
    let said = keeper.finish(SOON).code(0).stdout;
    assert!(!said.contains("no news"), "{said}");
}

#[test]
fn nodes_that_do_not_let_one_in_say_what_to_do() {
    let lab = Lab::bare(crate::harness::Guard::shared());
    let config = ssh_config(&lab, false);
    lab.add_profile(&config, &["--via", "node"]);
    lab.run("mine", &[&["--detach", "--bind", "loopback", "--nodelist", "c1"][..], &TOLD].concat()).ok();
    let row = eventually("a node whose key is not known", SOON, || {
        let rows = lab.towline(&["tunnel", "ls", "--json"]).json();
        (rows[0]["reach"] == "node_refuses").then(|| rows[0].clone())
    });
    assert!(
        row["url"].is_null() && row["text"].as_str().unwrap().contains("the host key of c1 is not known"),
        "{row:#}"
    );
    assert_eq!(lab.show("mine")["status"], "STARTING");

    // The hint is to be taken by its word.
    let failed =
        lab.towline(&["tunnel", "open", "mine"]).fails(6, &["failed to log in to node c1 by way of login"]);
    let hint = failed.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap();
    let command = hint.split('`').nth(1).unwrap();
    Running::start(Command::new("sh").args(["-c", command]), b"").finish(SOON).ok();
    assert!(fs::read_to_string(lab.path("known_hosts")).unwrap().contains("\nc1,10.77.2.11 ssh-ed25519 "));
    let service = lab.wait_for("mine", "HEALTHY", SOON);
    assert_eq!(get(service["url"].as_str().unwrap()).unwrap().status, 200);

    // A key that the nodes do not know, for the nodes alone.
    lab.disconnect();
    let key = lab.path("stranger");
    let mut keygen = Command::new("ssh-keygen");
    Running::start(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key), b"").finish(SOON).ok();
    let text = fs::read_to_string(&config).unwrap();
    let nobody =
        format!("Host c1 c2 c3\n  User nobody\n  IdentityFile {}\n  IdentitiesOnly yes\n\n", key.display());
    fs::write(&config, nobody + &text).unwrap();
    let failed = lab.towline(&["tunnel", "open", "mine"]).fails(6, &["failed to log in to node c1"]);
    failed.says(&["authorized_keys", "via = \"login\""]);
}
