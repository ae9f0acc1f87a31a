//! Storms on this machine: no service has two jobs, and none is left at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::storm::Storm;
use crate::world::{World, eventually};

/// Where the servers write down that they have started.
const STARTS: &str = "TOWLINE_STORM_STARTS";

/// The smallest server there is, once for each start of a job that runs it.
#[test]
#[ignore = "a part of the storms"]
fn part_serve() {
    let (Ok(starts), Ok(port)) = (std::env::var(STARTS), std::env::var("PORT")) else { return };
    let service = std::env::var("TOWLINE_SERVICE").unwrap();
    // A job that has lost its port to another program starts its server again, in the same session.
    let session = rustix::process::getsid(None).unwrap().as_raw_nonzero();
    let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let line = format!("{service} {session} {}\n", std::process::id());
    let mut starts = std::fs::OpenOptions::new().append(true).create(true).open(starts).unwrap();
    starts.write_all(line.as_bytes()).unwrap();
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { continue };
        let mut request = [0; 1024];
        if connection.read(&mut request).is_ok_and(|length| length > 0) {
            drop(connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    }
}

/// One job a service, and none of them is left once all are stopped.
fn check_jobs(world: &World, services: &BTreeSet<String>) {
    let starts = std::fs::read_to_string(world.path("starts")).unwrap();
    let mut sessions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in starts.lines() {
        let [service, session, pid] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        sessions.entry(service).or_default().insert(session);
        let environment = PathBuf::from(format!("/proc/{pid}/environ"));
        let mark = format!("TOWLINE_SERVICE={service}\0");
        eventually(&format!("the end of process {pid} of service {service}"), || {
            let runs = std::fs::read(&environment)
                .is_ok_and(|vars| vars.windows(mark.len()).any(|part| part == mark.as_bytes()));
            (!runs).then_some(())
        });
    }
    for (service, sessions) in &sessions {
        assert_eq!(sessions.len(), 1, "{service} has had the jobs {sessions:?}");
        assert!(services.contains(*service), "{service} was run by nobody");
    }
    assert!(!sessions.is_empty());
}

fn rage(title: &str, world: &World) {
    let program = std::env::current_exe().unwrap().display().to_string();
    let starts = format!("{STARTS}={}", world.path("starts").display());
    let words = [
        "--health",
        "/",
        "--env",
        &starts,
        "--",
        &program,
        "--exact",
        "storms::part_serve",
        "--ignored",
        "--nocapture",
    ];
    let server = words.map(str::to_owned);
    let services = Storm { towline: &|| world.command(&[]), server: &server, title }.rage();
    check_jobs(world, &services);
}

#[test]
fn eight_processes_share_a_ledger_of_sqlite() {
    rage("SQLite", &World::new());
}

/// A server of its own, gone at the end.
struct Postgres(TempDir);

impl Postgres {
    fn run(&self, verb: &str) -> String {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres-for-tests");
        let dir = self.0.path().join("server");
        let output = Command::new(script).arg(verb).env("TOWLINE_TEST_POSTGRES_DIR", dir).output().unwrap();
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[test]
fn eight_processes_share_a_ledger_of_postgres() {
    if std::env::var_os("TOWLINE_TEST_POSTGRES_URL").is_none() {
        let why = "SKIPPED eight_processes_share_a_ledger_of_postgres: TOWLINE_TEST_POSTGRES_URL is not set";
        writeln!(std::io::stderr(), "{why}").unwrap();
        return;
    }
    let postgres = Postgres(tempfile::tempdir().unwrap());
    // The server runs as another user.
    assert!(Command::new("chmod").arg("755").arg(postgres.0.path()).status().unwrap().success());
    let world = World::new();
    world.write(".config/towline/config.toml", &format!("database_url = '{}'\n", postgres.run("start")));
    rage("PostgreSQL", &world);
}
