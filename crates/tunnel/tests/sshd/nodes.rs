//! Tunnels that go through a second login, to the host where the server is: two real sshds stand for login host and node.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use towline_core::job::Place;
use towline_core::lifecycle::{Echo, Tunnel};
use towline_core::ports::{Probe, TunnelError, Tunnels};
use towline_core::ready::Ready;
use towline_tunnel::{HttpProbe, Master, MasterConfig, NodeError, SshError, SshTunnels};

use crate::harness::{Sshd, eventually, free_port, process_group_of, signal_process};
use crate::tunnels::service;
use crate::web::{Web, fetch, ok, place};

/// A login host, and nodes by that name that are all one other sshd.
struct Cluster {
    login: Sshd,
    node: Sshd,
}

impl Cluster {
    /// Each with further lines in its configuration.
    fn start_with(login: &str, node: &str) -> Option<Self> {
        let cluster = Self { login: Sshd::start_with(login)?, node: Sshd::start_with(node)? };
        cluster.configure("");
        Some(cluster)
    }

    /// A login host that forwards nothing.
    fn start() -> Option<Self> {
        Self::start_with("AllowTcpForwarding no", "")
    }

    /// Writes the user's configuration, in which `settings` for the nodes count before the usual ones.
    fn configure(&self, settings: &str) {
        self.login.configure("");
        let path = self.login.path("ssh_config");
        let (key, port) = (self.node.path("user"), self.node.port);
        let dir = key.parent().unwrap().display();
        let text = format!(
            "Host node-*\n{settings}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {dir}/user\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {dir}/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n"
        );
        fs::write(&path, text + &fs::read_to_string(&path).unwrap()).unwrap();
    }

    fn master(&self) -> Arc<Master> {
        self.login.master()
    }

    fn tunnels(&self) -> SshTunnels {
        SshTunnels::by_way_of_nodes(self.master())
    }

    /// The master of a node.
    fn node_master(&self, name: &str) -> Master {
        let conf = self.master().control_path().with_extension("conf");
        let config = MasterConfig { host: name.into(), ssh_config: Some(conf), ..self.login.config() };
        Master::new(config).unwrap()
    }
}

fn on(name: &str, web: &Web) -> Place {
    Place { host: name.into(), ..web.place() }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

async fn open(tunnels: &SshTunnels, place: &Place, before: Option<&Tunnel>) -> Tunnel {
    tunnels.open(service(), place, None, before).await.unwrap()
}

fn cause(error: TunnelError) -> NodeError {
    let (TunnelError::Unreachable(source) | TunnelError::Failed(source)) = error else { panic!("{error}") };
    source.downcast_ref::<NodeError>().unwrap_or_else(|| panic!("{source}")).clone()
}

#[tokio::test]
async fn a_host_that_forwards_nothing_is_gone_through() {
    let Some(cluster) = Cluster::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = cluster.tunnels();
    let (a, b) =
        (open(&tunnels, &on("node-1", &web), None).await, open(&tunnels, &on("node-1", &web), None).await);
    for tunnel in [&a, &b] {
        assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
        assert_eq!(HttpProbe::default().ping(tunnel, "/", &Ready::default()).await, Echo::Answered);
    }
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (1, 1), "one login to each serves all");

    let node = cluster.node_master("node-1");
    tunnels.close(&a).await.unwrap();
    assert!(is_free(a.port) && node.is_up().await, "another tunnel goes through it");
    assert_eq!(fetch(b.port).await.unwrap(), "hello");
    // Any process closes it by its handle, whatever way its own tunnels go.
    SshTunnels::new(cluster.master()).close(&b).await.unwrap();
    assert!(is_free(b.port) && !node.is_up().await, "nothing goes through it any more");
    assert!(cluster.master().is_up().await);
    tunnels.close(&b).await.unwrap();
}

#[tokio::test]
async fn a_host_that_forwards_lends_no_session() {
    let Some(cluster) = Cluster::start_with("MaxSessions 1", "") else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = cluster.tunnels();
    for name in ["node-1", "node-2", "node-3"] {
        let tunnel = open(&tunnels, &on(name, &web), None).await;
        assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    }
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (1, 3));
    assert!(cluster.master().host_answers().await, "its one session is free");
}

/// What the login host joins the node's connection with.
#[tokio::test]
async fn any_of_the_programs_carries_it() {
    for program in ["bash", "python3", "nc"] {
        let Some(path) = ["/usr/bin", "/bin"]
            .map(|dir| format!("{dir}/{program}"))
            .into_iter()
            .find(|path| fs::exists(path).unwrap())
        else {
            println!("skipped: {program} is not installed");
            continue;
        };
        let bin = tempfile::tempdir().unwrap();
        for tool in ["/bin/sh", "/bin/cat", &path] {
            let name = tool.rsplit('/').next().unwrap();
            std::os::unix::fs::symlink(tool, bin.path().join(name)).unwrap();
        }
        let settings = format!(
            "AllowTcpForwarding no\nForceCommand PATH={} && export PATH && eval \"$SSH_ORIGINAL_COMMAND\"",
            bin.path().display()
        );
        let Some(cluster) = Cluster::start_with(&settings, "") else { return };
        let body = "0123456789abcdef".repeat(65_536);
        let web = Web::saying(ok(&body)).await;
        let tunnels = cluster.tunnels();
        let tunnel = open(&tunnels, &on("node-1", &web), None).await;
        assert!(fetch(tunnel.port).await.unwrap() == body, "{program}");
        if program != "nc" {
            let node = cluster.node_master("node-1");
            signal_process("-KILL", node.pid().await.unwrap().unwrap());
            let mark = format!("127.0.0.1 {}", cluster.node.port);
            eventually("nothing is left of it", async || process_group_of(&mark).is_none()).await;
        }
        tunnels.close(&tunnel).await.unwrap();
    }
}

#[tokio::test]
async fn a_tunnel_follows_its_job_to_another_node() {
    let Some(cluster) = Cluster::start() else { return };
    let (here, there) = (Web::saying(ok("here")).await, Web::saying(ok("there")).await);
    let tunnels = cluster.tunnels();
    let id = service();
    let before = tunnels.open(id, &on("node-1", &here), None, None).await.unwrap();
    let after = tunnels.open(id, &on("node-2", &there), None, Some(&before)).await.unwrap();
    assert_eq!(after.port, before.port);
    assert_eq!(fetch(after.port).await.unwrap(), "there");
    assert!(!cluster.node_master("node-1").is_up().await, "nothing goes through the former node");

    let again = tunnels.open(id, &on("node-2", &here), None, Some(&after)).await.unwrap();
    assert_eq!((again.port, fetch(again.port).await.unwrap().as_str()), (before.port, "here"));
    let by_login =
        SshTunnels::new(cluster.master()).open(id, &here.place(), None, Some(&again)).await.unwrap();
    assert_eq!(by_login.port, before.port, "the port stays when the way changes");
    assert!(!cluster.node_master("node-2").is_up().await);
}

#[tokio::test]
async fn both_masters_come_back_after_either_dies() {
    let Some(cluster) = Cluster::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let (tunnels, login, node) = (cluster.tunnels(), cluster.master(), cluster.node_master("node-1"));
    let id = service();
    let first = tunnels.open(id, &on("node-1", &web), None, None).await.unwrap();

    signal_process("-KILL", node.pid().await.unwrap().unwrap());
    let second = tunnels.open(id, &on("node-1", &web), None, Some(&first)).await.unwrap();
    assert_eq!((&second, fetch(second.port).await.unwrap().as_str()), (&first, "hello"));
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (1, 2));

    signal_process("-KILL", login.pid().await.unwrap().unwrap());
    eventually("the node's master ends with the login's", async || !node.is_up().await).await;
    let third = tunnels.open(id, &on("node-1", &web), None, Some(&second)).await.unwrap();
    assert_eq!((&third, fetch(third.port).await.unwrap().as_str()), (&first, "hello"));
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (2, 3));

    assert!(login.carries(&third), "it ends with the login");
    let another = Master::new(MasterConfig { user: Some("root".into()), ..cluster.login.config() }).unwrap();
    assert!(!another.carries(&third));
    login.stop().await.unwrap();
    eventually("logging out ends both", async || !node.is_up().await && !login.is_up().await).await;
    assert!(is_free(third.port));
    tunnels.close(&third).await.unwrap();
}

#[tokio::test]
async fn a_hung_login_is_replaced_beneath_its_nodes() {
    let Some(cluster) = Cluster::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let (tunnels, login) = (cluster.tunnels(), cluster.master());
    let first = open(&tunnels, &on("node-1", &web), None).await;
    let hung = login.pid().await.unwrap().unwrap();
    signal_process("-STOP", hung);
    // Another process: one that has just found the master alive does not ask it again.
    let second = cluster.tunnels().open(service(), &on("node-1", &web), None, Some(&first)).await;
    signal_process("-CONT", hung);
    let second = second.unwrap();
    assert_eq!((second.port, fetch(second.port).await.unwrap().as_str()), (first.port, "hello"));
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (2, 2));
}

#[tokio::test]
async fn a_node_s_key_that_is_not_known_is_never_taken() {
    let Some(cluster) = Cluster::start() else { return };
    let web = Web::saying(ok("hello")).await;
    fs::write(cluster.node.path("known_hosts"), "").unwrap();
    let error = cluster.tunnels().open(service(), &on("node-1", &web), None, None).await.unwrap_err();
    let NodeError { node, login, known_hosts, source } = cause(error);
    assert!(matches!(source, SshError::HostKeyUnknown { .. }), "{source}");
    assert_eq!((node.as_str(), login.as_str()), ("node-1", "lab"));
    assert_eq!(known_hosts.unwrap(), cluster.node.path("known_hosts").display().to_string());
    assert_eq!(fs::read_to_string(cluster.node.path("known_hosts")).unwrap(), "");

    cluster.node.know_host_key("stranger");
    let error = cluster.tunnels().open(service(), &on("node-1", &web), None, None).await.unwrap_err();
    assert!(matches!(cause(error).source, SshError::HostKeyChanged { .. }));
    assert_eq!(cluster.node.logins(), 0);

    cluster.configure("  StrictHostKeyChecking no");
    let error = cluster.tunnels().open(service(), &on("node-1", &web), None, None).await.unwrap_err();
    assert!(matches!(cause(error).source, SshError::HostKeyChanged { .. }));
    assert!(!cluster.node_master("node-1").is_up().await, "ssh itself would go on");
}

#[tokio::test]
async fn who_one_is_at_the_login_host_holds_for_nodes_that_are_not_spoken_of() {
    let Some(cluster) = Cluster::start() else { return };
    // Both keys in one file, which the configuration names for the login host alone.
    let keys = ["known_hosts"].map(|name| fs::read_to_string(cluster.node.path(name)).unwrap());
    let ours = fs::read_to_string(cluster.login.path("known_hosts")).unwrap();
    fs::write(cluster.login.path("known_hosts"), ours + &keys.concat()).unwrap();
    fs::copy(cluster.login.path("authorized_keys"), cluster.node.path("authorized_keys")).unwrap();
    cluster.login.configure("");
    let path = cluster.login.path("ssh_config");
    let way = format!("Host node-*\n  HostName 127.0.0.1\n  Port {}\n", cluster.node.port);
    fs::write(&path, way + &fs::read_to_string(&path).unwrap()).unwrap();

    let web = Web::saying(ok("hello")).await;
    let tunnel = open(&cluster.tunnels(), &on("node-1", &web), None).await;
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    assert!(fs::read_to_string(cluster.node.path("sshd.log")).unwrap().contains("Accepted publickey"));

    // A host key policy is not taken over: unknown keys are taken at the login host, and not here.
    fs::write(cluster.login.path("known_hosts"), "").unwrap();
    cluster.login.configure("  StrictHostKeyChecking no");
    let way = format!("Host node-*\n  HostName 127.0.0.1\n  Port {}\n", cluster.node.port);
    fs::write(&path, way + &fs::read_to_string(&path).unwrap()).unwrap();
    let error = cluster.tunnels().open(service(), &on("node-9", &web), None, None).await.unwrap_err();
    assert!(matches!(cause(error).source, SshError::HostKeyUnknown { .. }));
}

#[tokio::test]
async fn a_node_that_lets_nobody_in_says_why() {
    let Some(cluster) = Cluster::start() else { return };
    let web = Web::saying(ok("hello")).await;
    fs::write(cluster.node.path("authorized_keys"), "").unwrap();
    let error = cluster.tunnels().open(service(), &on("node-1", &web), None, None).await.unwrap_err();
    assert!(matches!(&error, TunnelError::Unreachable(_)), "{error}");
    assert!(matches!(cause(error).source, SshError::Denied { .. }));

    cluster.configure(&format!("  Port {}", free_port()));
    let error = cluster.tunnels().open(service(), &on("node-2", &web), None, None).await.unwrap_err();
    assert!(matches!(cause(error).source, SshError::Refused { .. }), "bash says so");
    cluster.configure("  HostName nosuch.invalid");
    let error = cluster.tunnels().open(service(), &on("node-3", &web), None, None).await.unwrap_err();
    assert!(matches!(cause(error).source, SshError::Unresolved { .. }));
    for odd in ["a b", "$(id)", "-oProxyCommand=id", "a;b"] {
        let error =
            cluster.tunnels().open(service(), &Place { host: odd.into(), ..place(1) }, None, None).await;
        let Err(TunnelError::Failed(source)) = error else { panic!("{odd}") };
        assert!(matches!(source.downcast_ref(), Some(SshError::BadName { role: "node", .. })), "{odd}");
    }
}

#[tokio::test]
async fn a_node_that_forwards_nothing_is_told_from_its_login_host() {
    let Some(cluster) = Cluster::start_with("", "AllowTcpForwarding no") else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnel = open(&cluster.tunnels(), &on("node-1", &web), None).await;
    let Echo::NoRoute(why) = HttpProbe::default().ping(&tunnel, "/", &Ready::default()).await else {
        panic!("it got through")
    };
    assert!(
        why.contains(&format!("node-1:{} cannot be reached from node node-1: administratively", web.port)),
        "{why}"
    );
}

#[tokio::test]
async fn many_tunnels_of_many_processes_share_a_node() {
    let Some(cluster) = Cluster::start() else { return };
    let webs = futures_util::future::join_all((0..40).map(|n| Web::saying(ok(&n.to_string())))).await;
    let (one, two) = (cluster.tunnels(), cluster.tunnels());
    let opened = webs
        .iter()
        .enumerate()
        .map(async |(n, web)| open(if n % 2 == 0 { &one } else { &two }, &on("node-1", web), None).await);
    let opened = futures_util::future::join_all(opened).await;
    for (n, tunnel) in opened.iter().enumerate() {
        assert_eq!(fetch(tunnel.port).await.unwrap(), n.to_string());
    }
    assert_eq!((cluster.login.logins(), cluster.node.logins()), (1, 1));
    let closed = opened.iter().map(|tunnel| two.close(tunnel));
    for closed in futures_util::future::join_all(closed).await {
        closed.unwrap();
    }
    assert!(!cluster.node_master("node-1").is_up().await);
    assert_eq!(cluster.node.logins(), 1);
}
