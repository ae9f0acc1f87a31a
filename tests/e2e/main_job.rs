//! The main job: a service on the cluster, reached at one local URL, from the first command to the last.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Guard, Lab, Output, SOON, eventually, get, on, state_dir};

const STATUSES: [&str; 4] = ["SUBMITTED", "PENDING", "STARTING", "HEALTHY"];

/// The statuses that a waiting command has shown, in the order in which it did.
fn shown(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter_map(|line| line.split_whitespace().nth(1)).collect()
}

fn text<'a>(service: &'a Value, field: &str) -> &'a str {
    service[field].as_str().unwrap_or_else(|| panic!("{field}: {service}"))
}

#[test]
fn a_service_from_profile_to_removal() {
    let lab = Lab::bare(Guard::shared());
    let (ssh_config, fingerprint) = lab.own_key();
    let ssh_config = ssh_config.to_str().unwrap();
    let home = lab.remote_home();
    let add = ["profile", "add", "lab", "--host", "login", "--user", "alice", "--ssh-config", ssh_config];
    lab.towline(&[&add[..], &["--home", &home]].concat()).ok();
    let found = lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert!(found.lines().all(|line| line.starts_with("ok ")), "{found}");

    let (id, port) = start(&lab);
    second_terminal(&lab, &id);
    follow_logs(&lab);
    stop(&lab, port);
    remove(&lab, &id);

    let log = fs::read_to_string(state_dir().join("hosts/login/log/sshd.log")).unwrap();
    let logins = log.lines().filter(|line| line.contains("Accepted publickey for alice"));
    assert_eq!(logins.filter(|line| line.contains(&fingerprint)).count(), 1, "one login serves all commands");
}

/// `run` ends with the URL of a service that can only be reached through the tunnel.
fn start(lab: &Lab) -> (String, u16) {
    let asked = ["--time", "10", "--mem", "500M", "--cpus", "1", "--health", "/"];
    let command = ["--", "python3", "-u", "-m", "http.server", "{port}"];
    let run = lab.run("web", &[&asked[..], &command].concat()).code(0);
    let statuses = shown(&run);
    let ranks: Vec<usize> =
        statuses.iter().map(|status| STATUSES.iter().position(|known| known == status).unwrap()).collect();
    assert!(ranks.is_sorted(), "{statuses:?}");
    assert!(
        statuses.starts_with(&["SUBMITTED"]) && statuses.ends_with(&["STARTING", "HEALTHY"]),
        "{statuses:?}"
    );

    let url = run.stdout.trim_end();
    assert_eq!(run.stdout, format!("{url}\n"), "the URL and nothing else");
    let port: u16 = url.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
    let page = get(url).unwrap();
    assert!(page.status == 200 && page.body().contains("Directory listing"), "{page:?}");

    let service = lab.show("web");
    let (id, job) = (text(&service, "id").to_owned(), text(&service, "job_id"));
    let queued = on("login").as_("alice").run(&["squeue", "-h", "-j", job, "-o", "%T %j %C %m %l"]).ok();
    assert_eq!(queued.trim(), format!("RUNNING web-{id} 1 500M 10:00"));
    let address = match text(&service, "node") {
        "c1" => [10, 77, 2, 11],
        "c2" => [10, 77, 2, 12],
        "c3" => [10, 77, 2, 13],
        other => panic!("{other}"),
    };
    let place = u16::try_from(service["place"]["port"].as_u64().unwrap()).unwrap();
    let direct = TcpStream::connect_timeout(&(address, place).into(), Duration::from_secs(5));
    assert!(direct.is_err(), "the compute node is out of reach without the tunnel");
    (id, port)
}

/// Other processes see the same service, and the same URL.
fn second_terminal(lab: &Lab, id: &str) {
    let url = lab.towline(&["url", "web"]).ok();
    let table = lab.towline(&["ls"]).ok();
    let row = table.lines().nth(1).unwrap();
    for word in ["web", "HEALTHY", "lab", url.trim()] {
        assert!(row.contains(word), "{word}: {table}");
    }
    let listed = lab.towline(&["ls", "--json"]).json();
    let [service] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((text(service, "id"), text(service, "name"), text(service, "status")), (id, "web", "HEALTHY"));
    assert_eq!((text(service, "profile"), text(service, "url")), ("lab", url.trim()));
    assert!(service["cause"].is_null(), "{service}");
    assert!(text(service, "job_id").bytes().all(|b| b.is_ascii_digit()), "{service}");
    assert!(["c1", "c2", "c3"].contains(&text(service, "node")), "{service}");
    for field in ["created_at", "observed_at"] {
        let time = text(service, field);
        let bytes = time.as_bytes();
        assert!(time.len() >= 20 && time.ends_with('Z') && bytes[10] == b'T' && bytes[4] == b'-', "{time}");
    }
    assert_eq!(lab.show("web")["id"], id);
    assert_eq!(lab.show(id)["name"], "web");
    assert_eq!(lab.show(&id[..13])["name"], "web", "a unique beginning of the UUID");
    let details = lab.towline(&["show", "web"]).ok();
    assert!(details.contains(id) && details.contains("python3 -u -m http.server '{port}'"), "{details}");
    assert_eq!(lab.history("web").iter().filter(|to| *to == "HEALTHY").count(), 1);
    let events = lab.towline(&["events", "web"]).ok();
    assert!(events.contains("SUBMITTED") && events.contains("HEALTHY"), "{events}");
    assert_eq!(lab.ssh_processes().len(), 1, "{:?}", lab.ssh_processes());
}

/// `logs -f` prints what is added while it looks.
fn follow_logs(lab: &Lab) {
    let url = lab.towline(&["url", "web"]).ok();
    let following = lab.start(&["logs", "-f", "web"]);
    eventually("the log so far", SOON, || following.stdout().contains("GET / ").then_some(()));
    let asked = get(&format!("{}/sesame-{}", url.trim(), std::process::id())).unwrap();
    assert_eq!(asked.status, 404);
    let wanted = format!("sesame-{}", std::process::id());
    eventually("the new line", SOON, || following.stdout().contains(&wanted).then_some(()));
    following.signal(rustix::process::Signal::INT);
    let ended = following.finish(SOON);
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(lab.towline(&["logs", "web"]).ok().contains(&wanted));
    let last = lab.towline(&["logs", "-n", "1", "web"]).ok();
    assert_eq!(last.lines().count(), 1, "{last}");
}

/// `stop` ends the job and gives the port back.
fn stop(lab: &Lab, port: u16) {
    let service = lab.show("web");
    lab.towline(&["stop", "web"]).code(0).says(&["STOPPED"]);
    let job = text(&service, "job_id");
    let accounted = eventually("the job in accounting", SOON, || {
        let state = on("login").as_("alice").run(&["sacct", "-X", "-n", "-P", "-j", job, "-o", "State"]).ok();
        (!state.is_empty() && !state.starts_with("RUNNING")).then_some(state)
    });
    assert!(accounted.starts_with("CANCELLED"), "{accounted}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the tunnel is closed");
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());

    assert_eq!(lab.towline(&["ls", "--json"]).json(), serde_json::json!([]));
    assert_eq!(lab.towline(&["ls"]).ok(), "");
    let table = lab.towline(&["ls", "--all"]).ok();
    assert!(table.lines().nth(1).unwrap().contains("STOPPED"), "{table}");
    let ended = lab.show("web");
    assert_eq!((text(&ended, "status"), text(&ended, "cause")), ("STOPPED", "stopped on request"));
    assert!(ended["url"].is_null(), "{ended}");
    lab.towline(&["url", "web"]).code(5);
    lab.towline(&["stop", "web"]).code(0).says(&["ended as STOPPED at 20"]);
}

/// `rm` forgets it here and there.
fn remove(lab: &Lab, id: &str) {
    let dir = format!("{}/services/{id}", lab.remote_name());
    on("login").as_("alice").run(&["test", "-e", &format!("{dir}/server.log")]).ok();
    lab.towline(&["rm", "web"]).ok();
    on("login").as_("alice").run(&["test", "-e", &dir]).code(1);
    assert_eq!(lab.towline(&["ls", "--all", "--json"]).json(), serde_json::json!([]));
    lab.towline(&["show", "web"]).fails(4, &["there is no service web"]);
}
