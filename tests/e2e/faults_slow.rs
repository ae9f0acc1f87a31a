//! A slow link, and more services than sshd lets sessions be open at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Fault, Guard, Lab, SOON, at_sshd, eventually, is_full};

/// Services in all: ten times the sessions that one connection may have.
const SERVICES: usize = 100;

/// Processes that look at the same time.
const AT_ONCE: usize = 10;

/// How long one look may take: 2 processors, and whatever else this machine does.
const LIMIT: Duration = Duration::from_secs(120);

/// An HTTP server with as little in it as can be: it answers whatever is asked, one at a time.
const TINY: &str = r#"perl -MSocket -e '
    socket S, PF_INET, SOCK_STREAM, 0; setsockopt S, SOL_SOCKET, SO_REUSEADDR, 1;
    bind S, sockaddr_in($ENV{PORT}, INADDR_ANY) or die; listen S, 64;
    while (accept C, S) {
        sysread C, $_, 4096; syswrite C, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"; close C;
    }'"#;

/// Starts the services, some at a time: `running` that answer, one that never does, and others held in the queue.
fn start(lab: &Lab, running: usize) {
    let run = |number: usize| {
        let name = format!("s{number}");
        let words = ["run", "--profile", "lab", "--detach", "--mem", "10M", "--health", "/", "--name", &name];
        let (options, command): (&[&str], _) = match number {
            0 => (&["--grace", "3600"], "sleep 3600"),
            _ if number <= running => (&[], TINY),
            _ => (&["--sbatch-arg=--hold"], TINY),
        };
        lab.start(&[&words[..], options, &["--", "bash", "-c", command]].concat())
    };
    for some in (0..SERVICES).collect::<Vec<_>>().chunks(AT_ONCE) {
        let started: Vec<_> = some.iter().map(|number| run(*number)).collect();
        started.into_iter().for_each(|run| drop(run.finish(LIMIT).ok()));
    }
    lab.run("ended", &["--detach", "--", "bash", "-c", "exit 3"]).ok();
}

fn count(listed: &Value) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for service in listed.as_array().unwrap() {
        *counts.entry(service["status"].as_str().unwrap()).or_default() += 1;
    }
    counts
}

/// Ten processes look at all services, and see all as expected. Gives how long it took until the last one had.
fn look_at_once(lab: &Lab, words: &[&str], expected: &BTreeMap<&str, usize>) -> Duration {
    let began = Instant::now();
    let looks: Vec<_> = (0..AT_ONCE).map(|_| lab.start(words)).collect();
    for look in looks {
        let listed = look.finish(LIMIT).code(0);
        assert!(!listed.stderr.contains("warning: "), "{listed:?}");
        let listed = listed.json();
        assert_eq!(count(&listed), *expected);
        let services = listed.as_array().unwrap();
        assert!(services.iter().all(|service| service["doubt"].is_null()), "{listed:#}");
    }
    began.elapsed()
}

/// Ten processes look at all services over a slow link, with a login to be made first. Gives the figures.
fn look_over(lab: &Lab, key: &str, round_trip: &'static str, expected: &BTreeMap<&str, usize>) -> String {
    let jobs = lab.jobs();
    lab.disconnect();
    let fault = Fault::start(&["login-delay", round_trip]);
    let before = at_sshd(key);
    // What was learnt less than two seconds ago is not asked again.
    let first = eventually("a look that logs in", SOON, || {
        let took = look_at_once(lab, &["ls", "--json"], expected);
        (at_sshd(key).logins > before.logins).then_some(took)
    });
    let next = look_at_once(lab, &["refresh", "--now", "--json"], expected);
    let after = at_sshd(key);
    let figures = format!(
        "{SERVICES} services over {round_trip} ms, {AT_ONCE} processes at once: the first look with its login {:.1} s, the \
         next {:.1} s; {} logins, {} commands",
        first.as_secs_f32(),
        next.as_secs_f32(),
        after.logins - before.logins,
        after.commands - before.commands,
    );
    assert_eq!(after.logins - before.logins, 1, "one login for {AT_ONCE} processes and {SERVICES} services");
    assert_eq!(after.refused, before.refused, "nothing is refused");
    assert_eq!(lab.ssh_processes().len(), 1);
    fault.end();
    assert_eq!(lab.jobs(), jobs, "nothing is cancelled, and nothing was submitted");
    figures
}

#[test]
fn a_hundred_services_behind_a_slow_link() {
    let lab = Lab::bare(Guard::alone());
    let (config, key) = lab.own_key();
    lab.add_profile(&config, &[]);
    let running = if is_full() { SERVICES - 2 } else { SERVICES / 5 };
    start(&lab, running);
    let mut expected =
        BTreeMap::from([("HEALTHY", running), ("STARTING", 1), ("PENDING", SERVICES - running - 1)]);
    eventually("the services", SOON * 4, || {
        (count(&lab.towline(&["ls", "--json"]).json()) == expected).then_some(())
    });
    for round_trip in ["50", "300"] {
        println!("{}", look_over(&lab, &key, round_trip, &expected));
    }
    let listed = lab.towline(&["ls", "--all", "--json"]).json();
    expected.insert("FAILED", 1);
    assert_eq!(count(&listed), expected, "no other has ended");
}
