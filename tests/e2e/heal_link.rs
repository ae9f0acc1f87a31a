//! Healing what breaks between this machine and the login host, or there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Fault, Guard, Lab, Relay, is_full};
use crate::healing::{By, measure, measure_at_once, suspend};

/// Whoever heals, at each fault.
const HEALERS: [By; 3] = [By::Keep, By::Watch("ls"), By::Later("url web")];

/// Labs that have the cluster alone, with the service `web` in each.
fn alone(count: usize) -> Vec<Lab> {
    let labs = Lab::several(Guard::alone(), count);
    labs.iter().for_each(|lab| drop(lab.run_web("web", &[])));
    labs
}

/// A fault that lasts for so long.
fn lasting(words: &'static [&'static str], secs: u64) -> impl Fn() -> Instant {
    move || {
        let fault = Fault::start(words);
        sleep(Duration::from_secs(secs));
        let over = Instant::now();
        fault.end();
        over
    }
}

#[test]
fn the_sessions_are_killed_at_the_login_host() {
    let lab = Lab::alone();
    lab.run_web("web", &[]);
    measure(&lab, "the login's sshd session killed", &HEALERS, &|_| {
        let began = Instant::now();
        Fault::start(&["login-sessions"]).end();
        began
    });
}

#[test]
fn the_connection_is_reset() {
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    lab.run_web("web", &[]);
    measure(&lab, "RST", &HEALERS, &|_| {
        let began = Instant::now();
        relay.reset();
        began
    });
}

/// For less and for more time than a connection may be silent, and until the next try would be long in coming.
#[test]
fn packets_are_dropped() {
    let labs = alone(HEALERS.len());
    let longest = if is_full() { 600 } else { 70 };
    for secs in [4, 8, longest] {
        let cut = lasting(&["login-link"], secs);
        // Who has not looked for long has nothing to wait for.
        let healers = if secs < longest { &HEALERS } else { &HEALERS[..2] };
        measure_at_once(&labs, &format!("packets dropped for {secs} s"), healers, &|_| cut());
    }
}

/// The machine sleeps, as its ssh master and its keeper do, and the login host gives the connection up meanwhile.
#[test]
fn the_login_host_gives_up_a_machine_that_is_suspended() {
    let healers = [By::Keep, By::Later("ls")];
    measure_at_once(&alone(healers.len()), "suspended for 20 s and given up", &healers, &|patients| {
        suspend(patients, 20, || Fault::start(&["login-sessions"]).end())
    });
}

#[test]
fn the_login_host_is_rebooted() {
    let reboot = lasting(&["login-reboot"], 20);
    measure_at_once(&alone(HEALERS.len()), "the login host rebooted", &HEALERS, &|_| reboot());
}
