//! Healing what breaks on this machine: the ssh master, its listeners, its ports, and the machine's own sleep.

use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::harness::{Guard, Lab, Running, SOON, eventually, get};
use crate::healing::{By, Looker, healthy, master, measure, measure_at_once, signal, suspend};

#[test]
fn the_master_is_killed() {
    let lab = Lab::new();
    lab.run_web("web", &[]);
    let healers = [By::Keep, By::Watch("ls"), By::Later("url web"), By::Later("show web"), By::Later("ls")];
    measure(&lab, "the master killed", &healers, &|_| {
        let pid = master(&lab);
        let began = Instant::now();
        signal(pid, Signal::KILL);
        eventually("its end", SOON, || (!lab.ssh_processes().iter().any(|(it, _)| *it == pid)).then_some(()));
        began
    });
}

/// The master lives, and knows nothing of the forward any more.
#[test]
fn a_listener_is_lost() {
    let lab = Lab::new();
    lab.run_web("web", &[]);
    measure(&lab, "the listener lost", &[By::Keep, By::Watch("ls"), By::Later("url web")], &|_| {
        let began = Instant::now();
        cancel_forward(&lab);
        began
    });
}

fn cancel_forward(lab: &Lab) {
    let web = lab.towline(&["show", "web", "--no-refresh", "--json"]).json();
    let (place, port) = (&web["place"], &web["local_port"]);
    let forward = format!("127.0.0.1:{port}:{}:{}", place["host"].as_str().unwrap(), place["port"]);
    let sockets = std::fs::read_dir(lab.path("run/towline")).unwrap().map(|entry| entry.unwrap().path());
    let socket = sockets.into_iter().find(|path| path.extension() == Some("sock".as_ref())).unwrap();
    let mut cancel = Command::new("ssh");
    cancel.args(["-F", "none", "-O", "cancel", "-L", &forward, "-S"]).arg(socket).arg("master");
    Running::start(&mut cancel, b"").finish(SOON).code(0);
}

/// The keeper and the master sleep as they do with the machine, for longer than the connection may be silent.
#[test]
fn the_machine_is_suspended() {
    let healers = [By::Keep, By::Later("ls")];
    let labs = Lab::several(Guard::shared(), healers.len());
    labs.iter().for_each(|lab| drop(lab.run_web("web", &[])));
    measure_at_once(&labs, "suspended for 15 s", &healers, &|patients| suspend(patients, 15, || ()));
}

/// The master is gone, and before anybody looks another program listens on the port.
#[test]
fn another_program_takes_the_port() {
    let lab = Lab::new();
    lab.run_web("web", &[]);
    for by in [By::Keep, By::Later("ls")] {
        let before = healthy(&lab);
        let port = u16::try_from(before["local_port"].as_u64().unwrap()).unwrap();
        let looker = Looker::start(&lab, by);
        let pid = master(&lab);
        let began = Instant::now();
        if let Some(keeper) = looker.keeper() {
            // Or it would be quicker.
            keeper.signal(Signal::STOP);
        }
        signal(pid, Signal::KILL);
        let other = eventually("the port", SOON, || TcpListener::bind(("127.0.0.1", port)).ok());
        if let Some(keeper) = looker.keeper() {
            keeper.signal(Signal::CONT);
        }
        let told = format!("service web has another local port: {port} was taken by another program");
        // What was learnt less than two seconds ago is not asked again.
        eventually("another port", SOON, || {
            let said = looker.keeper().map_or_else(|| lab.towline(&["ls"]).code(0).stderr, Running::stdout);
            said.contains(&told).then_some(())
        });
        let after = healthy(&lab);
        assert_ne!(after["local_port"], port, "{after}");
        let url = after["url"].as_str().unwrap();
        assert_eq!(get(url).unwrap().status, 200);
        println!("heal: another program has the port: by {by:?} {:.1} s", began.elapsed().as_secs_f32());
        assert_eq!(lab.towline(&["url", "web"]).ok().trim(), url);
        assert!(lab.towline(&["ls"]).ok().contains(url));
        looker.end();
        drop(other);
    }
}
