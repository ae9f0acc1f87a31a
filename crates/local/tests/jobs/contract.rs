//! The contracts of the ports, with real processes and sockets.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use tempfile::TempDir;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::ports::{Clock, Scheduler, Tunnels};
use towline_core::spec::ServiceSpec;
use towline_core::testing::{SchedulerBench, TunnelsBench, Work, scheduler_contract, tunnels_contract};
use towline_core::time::Timestamp;
use towline_local::{DirectTunnels, LocalScheduler};

use crate::bench::{SERVER, end_processes, new_id, shells, spec};

/// The clock of this machine.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(0).plus(SystemTime::UNIX_EPOCH.elapsed().unwrap())
    }

    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
    }
}

struct Machine {
    root: TempDir,
    ids: Mutex<Vec<ServiceId>>,
}

#[async_trait]
impl SchedulerBench for Machine {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(LocalScheduler::new(self.root.path()))
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn new_id(&self) -> ServiceId {
        let id = new_id();
        self.ids.lock().unwrap().push(id);
        id
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        match work {
            Work::Serve => Some(spec(&SERVER)),
            Work::Idle => Some(spec(&["sleep", "1000"])),
            Work::Exit(code) => Some(spec(&["sh", "-c", &format!("exit {code}")])),
            // There is no queue, and nobody who could refuse a job.
            Work::Wait | Work::Refused => None,
        }
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        shells(id).len()
    }

    async fn answers(&self, place: &Place) -> bool {
        TcpStream::connect((place.host.as_str(), place.port)).is_ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for id in self.ids.lock().unwrap().iter() {
            end_processes(*id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_keeps_the_contract() {
    let machine = Machine { root: tempfile::tempdir().unwrap(), ids: Mutex::default() };
    let untested = scheduler_contract(&machine).await;
    // Nothing lies between a program and its own machine, and there is no queue.
    assert_eq!(
        untested,
        [
            "a refused job is none",
            "a waiting job is cancelled",
            "a requeued job comes back as another run",
            "who cannot be reached ends nothing",
            "a scheduler that is down ends nothing",
            "a job whose acceptance was not heard is found",
        ]
    );
}

/// Servers of this machine, which need no tunnel.
#[derive(Default)]
struct Servers(Mutex<Vec<TcpListener>>);

impl Servers {
    fn listen(&self, port: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        self.0.lock().unwrap().push(listener);
        port
    }
}

fn place(port: u16) -> Place {
    Place { host: "127.0.0.1".into(), port, pid: std::process::id(), listening: true, loopback: true }
}

#[async_trait]
impl TunnelsBench for Servers {
    fn tunnels(&self) -> Arc<dyn Tunnels> {
        Arc::new(DirectTunnels)
    }

    fn new_id(&self) -> ServiceId {
        new_id()
    }

    async fn place(&self) -> Place {
        place(self.listen(0))
    }

    async fn reaches(&self, host: &str, port: u16) -> Option<Place> {
        let peer = TcpStream::connect((host, port)).ok()?.peer_addr().ok()?.port();
        let servers = self.0.lock().unwrap();
        let ours = servers.iter().any(|server| server.local_addr().unwrap().port() == peer);
        ours.then(|| place(peer))
    }

    async fn free_port(&self) -> u16 {
        TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
    }

    async fn take_port(&self, port: u16) {
        self.listen(port);
    }

    async fn is_taken(&self, address: &str, port: u16) -> bool {
        TcpListener::bind((address, port)).is_err()
    }

    async fn open_tunnels(&self) -> usize {
        // `DirectTunnels` holds nothing, so that there is nothing to ask.
        0
    }
}

#[tokio::test]
async fn direct_tunnels_keep_the_contract() {
    let untested = tunnels_contract(&Servers::default()).await;
    let own_ports = "local ports are kept, freed, and left to others";
    assert_eq!(untested, [own_ports, "a cluster out of reach is told as such"]);
}
