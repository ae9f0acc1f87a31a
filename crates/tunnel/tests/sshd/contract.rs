//! The contract of tunnels, through a real sshd.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::ports::Tunnels;
use towline_core::testing::{TunnelsBench, tunnels_contract};
use towline_tunnel::{Master, SshTunnels};

use crate::harness::{Sshd, eventually, free_port};
use crate::tunnels::service;
use crate::web::{Web, fetch, ok};

/// A host reached by SSH, servers behind it, and other programs in front of it.
struct Host {
    sshd: Sshd,
    master: Arc<Master>,
    servers: Mutex<Vec<Web>>,
    others: Mutex<Vec<TcpListener>>,
}

#[async_trait]
impl TunnelsBench for Host {
    fn tunnels(&self) -> Arc<dyn Tunnels> {
        Arc::new(SshTunnels::new(self.sshd.master()))
    }

    fn new_id(&self) -> ServiceId {
        service()
    }

    async fn place(&self) -> Place {
        let number = self.servers.lock().unwrap().len();
        let server = Web::saying(ok(&number.to_string())).await;
        let place = server.place();
        self.servers.lock().unwrap().push(server);
        place
    }

    async fn reaches(&self, host: &str, port: u16) -> Option<Place> {
        assert_eq!(host, "127.0.0.1");
        let number: usize = fetch(port).await.ok()?.parse().ok()?;
        Some(self.servers.lock().unwrap()[number].place())
    }

    async fn free_port(&self) -> u16 {
        free_port()
    }

    async fn take_port(&self, port: u16) {
        self.others.lock().unwrap().push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    }

    async fn is_taken(&self, address: &str, port: u16) -> bool {
        TcpListener::bind((address, port)).is_err()
    }

    async fn open_tunnels(&self) -> usize {
        self.master.pid().await.unwrap().map_or(0, listeners)
    }

    async fn cut(&self) -> bool {
        self.sshd.configure(&format!("  Port {}", free_port()));
        self.sshd.drop_connections();
        eventually("the master has noticed", async || self.master.pid().await.unwrap().is_none()).await;
        true
    }

    async fn mend(&self) {
        self.sshd.configure("");
    }
}

/// How many TCP ports a process listens on, see proc_net_tcp in Linux's documentation.
pub(crate) fn listeners(pid: u32) -> usize {
    // A process that has ended listens nowhere.
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets: BTreeSet<String> =
        open.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_str()?.to_owned())).collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap() + &fs::read_to_string("/proc/net/tcp6").unwrap();
    let listens = |row: &&str| {
        let fields: Vec<&str> = row.split_ascii_whitespace().collect();
        fields.get(3) == Some(&"0A") && sockets.contains(&format!("socket:[{}]", fields[9]))
    };
    table.lines().filter(listens).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_keep_the_contract() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let host = Host { sshd, master, servers: Mutex::default(), others: Mutex::default() };
    assert_eq!(tunnels_contract(&host).await, Vec::<&str>::new());
}
