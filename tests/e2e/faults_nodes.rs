//! When a node is lost, or cut off: what ran there ends or moves, and nothing else is touched.

use std::net::TcpStream;
use std::time::Duration;

use crate::doubt::Household;
use crate::harness::{Fault, Lab, eventually, get, on};

/// How long Slurm may take to declare a node down, and to start a job again.
const DECLARED: Duration = Duration::from_secs(120);

#[test]
fn a_node_loses_its_power() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let lost_url = lab.run_web("lost", &["--nodelist", "c3", "--no-requeue"]);
    let url = lab.run_web("moves", &["--exclude", "c1,c2", "--requeue"]);
    let moves = lab.show("moves");
    let (job, local_port) = (moves["job_id"].as_str().unwrap(), &moves["local_port"]);
    assert_eq!(moves["node"], "c3");

    let fault = Fault::start(&["node", "3"]);
    let ended = eventually("the end", DECLARED, || {
        home.look();
        let service = lab.show("lost");
        let status = service["status"].as_str().unwrap();
        assert!(["HEALTHY", "UNHEALTHY", "FAILED"].contains(&status), "{service}");
        (status == "FAILED").then_some(service)
    });
    assert!(ended["cause"].as_str().unwrap().contains("node failed"), "{ended}");
    assert!(TcpStream::connect(lost_url.strip_prefix("http://").unwrap()).is_err());

    eventually("the job in the queue again", DECLARED, || {
        (lab.jobs().get(job).map(String::as_str) == Some("PENDING")).then_some(())
    });
    // It would begin after two minutes only; and it may move.
    let told = ["scontrol", "update", &format!("jobid={job}"), "starttime=now", "excnodelist="];
    on("ctl").run(&told).ok();
    let moved = eventually("the service on another node", DECLARED, || {
        let service = lab.show("moves");
        let status = service["status"].as_str().unwrap();
        assert!(["HEALTHY", "UNHEALTHY"].contains(&status), "{service}");
        (status == "HEALTHY").then_some(service)
    });
    assert_ne!(moved["node"], "c3", "{moved}");
    assert_eq!((&moved["job_id"], &moved["url"]), (&job.into(), &url.clone().into()), "{moved}");
    assert_eq!(&moved["local_port"], local_port);
    assert_eq!(get(&url).unwrap().status, 200, "the tunnel has followed");
    fault.end();
    home.assert_back();
    assert_eq!(lab.living_jobs().len(), 4, "no job but the household's and the one that moved");
}

/// For less time than Slurm takes to declare it down.
#[test]
fn a_node_is_cut_off_and_healed() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let url = lab.run_web("away", &["--nodelist", "c3"]);
    let before = lab.show("away");
    let fault = Fault::start(&["node-link", "3"]);
    let away = eventually("a server out of reach", DECLARED, || {
        home.look();
        let service = lab.show("away");
        (service["status"] == "UNHEALTHY").then_some(service)
    });
    assert_eq!((&away["job_id"], &away["url"]), (&before["job_id"], &before["url"]), "{away}");
    fault.end();
    let back = lab.wait_for("away", "HEALTHY", DECLARED);
    assert_eq!((&back["job_id"], &back["url"]), (&before["job_id"], &before["url"]), "{back}");
    assert_eq!(get(&url).unwrap().status, 200);
    home.assert_back();
    assert_eq!(lab.living_jobs().len(), 4, "no job is cancelled");
    assert!(!lab.history("away").iter().any(|to| ["STOPPED", "TIMEOUT", "FAILED"].contains(&to.as_str())));
}
