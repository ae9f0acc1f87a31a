//! The keeper as a command: what it tells, what it costs, and how it ends.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Fault, Lab, Relay, Running, SOON, at_sshd_from, eventually, get};
use crate::healing::{master, signal};

/// How long `keep --once` may take, with some leave for a machine that is busy: it promises 15 s.
const ONCE: Duration = Duration::from_secs(20);

fn lines(keeper: &Running) -> Vec<String> {
    keeper.stdout().lines().map(str::to_owned).collect()
}

#[track_caller]
fn until_told(keeper: &Running, words: &str) -> String {
    eventually(words, SOON, || lines(keeper).into_iter().find(|line| line.contains(words)))
}

#[test]
fn it_waits_for_services_follows_them_and_leaves_their_tunnels() {
    let lab = Lab::new();
    // What nohup(1) lets its programs ignore, a keeper ignores as well.
    let signals = [Signal::INT, Signal::TERM, if ignores_hangups() { Signal::TERM } else { Signal::HUP }];
    for (number, leave) in signals.into_iter().enumerate() {
        let name = format!("web-{number}");
        let (keeper, json) = (lab.start(&["keep"]), lab.start(&["keep", "--json"]));
        let first = if number == 0 { "no services run; waiting for some" } else { "keeping " };
        until_told(&keeper, first);
        until_told(&json, "\"at\":");
        let url = lab.run_web(&name, &[]);
        let told = until_told(&keeper, &format!("{name}: HEALTHY: the server answers, {url}"));
        assert!(told.starts_with("20") && told.contains("Z web-"), "{told}");
        until_told(&json, &url);
        for keeper in [&keeper, &json] {
            keeper.signal(leave);
        }
        let output = keeper.finish(SOON).code(0);
        let stays = ["the tunnel stays open", "the 2 tunnels stay open", "the 3 tunnels stay open"][number];
        assert!(output.stdout.ends_with(&format!("towline: told to leave; {stays}\n")), "{output:?}");
        assert_eq!(output.stderr, "", "{output:?}");
        let events: Vec<Value> =
            json.finish(SOON).ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let healthy = events.iter().find(|event| event["status"] == "HEALTHY" && event["service"] == *name);
        assert_eq!(healthy.unwrap()["url"], url, "{events:?}");
        assert_eq!(events.last().unwrap()["event"], "stopped");
        assert_eq!(get(&url).unwrap().status, 200, "the tunnel stays open");
    }
}

/// Whether this process, and so what it starts, ignores SIGHUP: the first bit of the mask (proc(5), SigIgn).
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

#[test]
fn named_services_are_kept_until_they_have_ended() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    lab.run_web("other", &[]);
    let keeper = lab.start(&["keep", "web"]);
    until_told(&keeper, &format!("web: HEALTHY: the server answers, {url}"));
    lab.towline(&["stop", "web"]).code(0);
    let output = keeper.finish(SOON).code(0);
    assert!(output.stdout.contains("web: STOPPED: stopped on request"), "{output:?}");
    assert!(output.stdout.ends_with("towline: all services that were named have ended\n"), "{output:?}");
    assert!(!output.stdout.contains("other"), "{output:?}");
    lab.towline(&["keep", "web"]).fails(5, &["service web has ended as STOPPED"]);
    lab.towline(&["keep", "nobody"]).fails(4, &["nobody"]);
}

/// Servers that answer cost the login host nothing but that the scheduler is asked once a minute, however many keep them.
#[test]
fn two_keepers_of_healthy_services_cost_next_to_nothing() {
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    for name in ["web-1", "web-2", "web-3"] {
        lab.run_web(name, &[]);
    }
    let keepers = [lab.start(&["keep"]), lab.start(&["keep"])];
    keepers.iter().for_each(|keeper| drop(until_told(keeper, "keeping 3 services")));
    let before = at_sshd_from(&relay.far_ports());
    std::thread::sleep(Duration::from_secs(75));
    let after = at_sshd_from(&relay.far_ports());
    let asked = after.commands - before.commands;
    println!(
        "two keepers of three healthy services, 75 s: {asked} commands, {} logins",
        after.logins - before.logins
    );
    assert!((1..=4).contains(&asked), "{asked} commands: once, and then a minute later for all");
    assert_eq!(after.logins, before.logins);
    for keeper in keepers {
        keeper.signal(Signal::TERM);
        let output = keeper.finish(SOON).code(0);
        assert_eq!(output.stdout.lines().count(), 5, "{output:?}");
    }
}

#[test]
fn a_cluster_that_is_down_at_the_start_is_waited_for_with_one_line() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    lab.disconnect();
    let fault = Fault::start(&["login-sshd"]);
    let keeper = lab.start(&["keep"]);
    until_told(&keeper, "profile lab: no news: ");
    lab.towline(&["keep", "--once"])
        .code(6)
        .says(&["there is no news of profile lab", "doctor --profile lab"]);
    std::thread::sleep(Duration::from_secs(10));
    let lost = lines(&keeper);
    assert_eq!(lost.iter().filter(|line| line.contains("no news")).count(), 1, "{lost:?}");
    assert!(lost.len() <= 6, "{lost:?}");
    fault.end();
    until_told(&keeper, "profile lab: there is news again");
    eventually("an answer", SOON, || get(&url).is_ok_and(|page| page.status == 200).then_some(()));
}

/// Where packets are dropped, with a master that is there and hangs and with none, and where the connection is refused.
#[test]
fn once_on_a_dead_network_ends_soon_and_says_why() {
    let lab = Lab::alone();
    lab.run_web("web", &[]);
    let once = || {
        // What was learnt less than two seconds ago is not asked again.
        let ended = eventually("a look", SOON, || {
            let began = Instant::now();
            let ended = lab.start(&["keep", "--once"]).finish(ONCE);
            println!("keep --once: {:.1} s: {}", began.elapsed().as_secs_f32(), ended.stderr);
            (ended.code != 0).then_some(ended)
        });
        let ended = ended.code(6);
        assert!(ended.stdout.contains("keeping one service"), "{ended:?}");
        ended.says(&["error: ", "profile lab", "hint: `towline doctor --profile lab` checks the way there"])
    };
    let fault = Fault::start(&["login-link"]);
    once();
    lab.disconnect();
    once().says(&["did not answer in time"]);
    fault.end();
    let fault = Fault::start(&["login-sshd"]);
    once().says(&["refused the connection"]);
    fault.end();
    lab.towline(&["keep", "--once"]).code(0);
}

#[test]
fn once_heals_what_it_can_and_tells_whether_all_is_well() {
    let lab = Lab::new();
    lab.towline(&["keep", "--once"]).code(0);
    let url = lab.run_web("web", &[]);
    signal(master(&lab), Signal::KILL);
    let healed = lab.towline(&["keep", "--once"]).code(0);
    assert!(healed.stdout.contains("keeping one service"), "{healed:?}");
    assert_eq!(get(&url).unwrap().status, 200);
    // Its server ends, and its job goes on.
    let server =
        "python3 -m http.server $PORT & until [ -e told ]; do sleep 0.2; done; kill $!; exec sleep 600";
    let words = ["--chdir", &lab.remote_home(), "--health", "/", "--", "bash", "-c", server];
    lab.run("mute", &words).ok();
    let host = crate::harness::on("login").as_("alice");
    host.run(&["touch", &format!("{}/told", lab.remote_name())]).ok();
    lab.wait_for("mute", "UNHEALTHY", SOON);
    lab.towline(&["keep", "--once"]).code(5).says(&["service mute is UNHEALTHY", "towline why mute"]);
}

#[test]
fn a_keeper_whose_reader_goes_away_ends_without_a_word() {
    let lab = Lab::new();
    lab.run_web("web", &[]);
    let towline = lab.command();
    let mut command = Command::new("bash");
    let text = "set -o pipefail; \"$0\" keep | head -n 1";
    command.args(["-c", text]).arg(towline.get_program()).env_clear();
    command.envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = Running::start(&mut command, b"").finish(SOON).code(0);
    assert!(output.stdout.ends_with("towline: keeping one service\n"), "{output:?}");
    assert_eq!(output.stderr, "");
}
