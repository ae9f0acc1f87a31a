//! A real sshd and a user's configuration for it, both gone at the end of the test.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towline_tunnel::{Master, MasterConfig};

/// "secret" as `openssl passwd -6` has it.
const SECRET: &str =
    "$6$towline$FoYqQ4gBD.gYrNrmW4fbKcA4J/1acB5gA55e6/pVFBEr0fIGnBBiRrbKP2K2CFYDj7QFq7TxpGVNcGFAxBfhs/";

const SSHD: &str = "/usr/sbin/sshd";

/// How long anything that should happen soon may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Sshd {
    dir: TempDir,
    daemon: Child,
    pub(crate) port: u16,
}

impl Sshd {
    /// One that lets the current user in by key; `None`, with a line that says so, where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// One with more lines in its configuration, which count before the usual ones.
    pub(crate) fn start_with(settings: &str) -> Option<Self> {
        Self::start_instead(settings, &[])
    }

    fn start_instead(settings: &str, instead: &[(&str, String)]) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            println!("skipped: {SSHD} is not installed");
            return None;
        }
        if rustix::process::geteuid().is_root() {
            // sshd wants it for privilege separation; a system's own start-up makes it.
            let _there_already = fs::DirBuilder::new().mode(0o755).create("/run/sshd");
        }
        let dir = tempfile::Builder::new().prefix("towline").tempdir_in("/tmp").unwrap();
        for key in ["host", "user", "stranger"] {
            let path = dir.path().join(key);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
            assert!(made.unwrap().success());
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized_keys")).unwrap();
        let (daemon, port) =
            (0..5).find_map(|_| listen(dir.path(), settings, instead)).expect("sshd does not start");
        let sshd = Self { dir, daemon, port };
        sshd.know_host_key("host");
        sshd.configure("");
        Some(sshd)
    }

    /// One that wants `methods`, where "secret" is the password and the code of root. Only root can have another password.
    pub(crate) fn start_asking(methods: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can have another password");
            return None;
        }
        let shadow = with_root("/etc/shadow", |fields| SECRET.clone_into(&mut fields[1]));
        let pam =
            "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n";
        let settings = format!(
            "AuthenticationMethods {methods}\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n\
             PermitRootLogin yes\nUsePAM {}\nLoginGraceTime 60",
            if methods.contains("keyboard") { "yes" } else { "no" }
        );
        Self::start_instead(&settings, &[("/etc/shadow", shadow), ("/etc/pam.d/sshd", pam.to_owned())])
    }

    /// One for which that program is root's login shell.
    pub(crate) fn start_with_shell(shell: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new(shell).exists() {
            println!(
                "skipped: {shell} is not installed, or this is not root, who alone can have another login shell"
            );
            return None;
        }
        let passwd = with_root("/etc/passwd", |fields| shell.clone_into(&mut fields[6]));
        Self::start_instead("", &[("/etc/passwd", passwd)])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes `key` the one that is known of the host.
    pub(crate) fn know_host_key(&self, key: &str) {
        let key = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        fs::write(self.path("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    /// Writes the user's configuration, in which `settings` for the host `lab` count before the usual ones.
    pub(crate) fn configure(&self, settings: &str) {
        let dir = self.dir.path().display();
        let port = self.port;
        let text = format!(
            "Host lab\n{settings}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {dir}/user\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {dir}/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n"
        );
        fs::write(self.path("ssh_config"), text).unwrap();
    }

    pub(crate) fn config(&self) -> MasterConfig {
        MasterConfig {
            ssh_config: Some(self.path("ssh_config")),
            connect_timeout: PATIENCE,
            ..MasterConfig::new("lab", self.path("c"))
        }
    }

    pub(crate) fn master(&self) -> Arc<Master> {
        Arc::new(Master::new(self.config()).unwrap())
    }

    /// How many logins sshd has seen.
    pub(crate) fn logins(&self) -> usize {
        self.count_in_log("Accepted publickey")
    }

    /// How many commands sshd has run.
    pub(crate) fn sessions(&self) -> usize {
        self.count_in_log("Starting session")
    }

    /// How many logins sshd has seen in which something was typed.
    pub(crate) fn typed_logins(&self) -> usize {
        self.count_in_log("Accepted password") + self.count_in_log("Accepted keyboard-interactive")
    }

    /// How many connections sshd has seen.
    pub(crate) fn connections(&self) -> usize {
        self.count_in_log("Connection from 127.0.0.1")
    }

    /// How many keys sshd has refused.
    pub(crate) fn refusals(&self) -> usize {
        self.count_in_log("Failed publickey")
    }

    fn count_in_log(&self, words: &str) -> usize {
        let log = fs::read_to_string(self.path("sshd.log")).unwrap();
        log.lines().filter(|line| line.contains(words)).count()
    }

    /// Stops (or continues) whatever serves the connections, as a network that drops everything would.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { "-STOP" } else { "-CONT" };
        for pid in descendants(self.daemon.id()) {
            signal_process(signal, pid);
        }
    }

    /// Ends the connections, as a host that goes down does; new ones are let in.
    pub(crate) fn drop_connections(&self) {
        for pid in descendants(self.daemon.id()) {
            signal_process("-KILL", pid);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sockets = fs::read_dir(self.path("c")).into_iter().flatten().flatten().map(|entry| entry.path());
        let served = descendants(self.daemon.id());
        let socket_of = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sock");
        for socket in sockets.filter(socket_of) {
            let mut leave = Command::new("ssh");
            leave.args(["-F", "none", "-S"]).arg(socket).args(["-O", "exit", "x"]);
            let _gone_or_not = leave.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ended_before = self.daemon.kill();
        let _ended_before = self.daemon.wait();
        for pid in served {
            signal_process("-KILL", pid);
        }
    }
}

/// Starts sshd on some port. `HOME` is a directory without start-up files: the user's own may be slow or noisy.
fn listen(dir: &Path, settings: &str, instead: &[(&str, String)]) -> Option<(Child, u16)> {
    let port = free_port();
    let text = format!(
        "{settings}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}/host\n\
         AuthorizedKeysFile {dir}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPidFile none\nLogLevel VERBOSE\nMaxStartups 100\n\
         SetEnv HOME={dir}\n",
        dir = dir.display()
    );
    fs::write(dir.join("sshd_config"), text).unwrap();
    let mut command = daemon(dir, instead);
    let mut daemon = command
        .arg("-D")
        .arg("-f")
        .arg(dir.join("sshd_config"))
        .arg("-E")
        .arg(dir.join("sshd.log"))
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && daemon.try_wait().unwrap().is_none() {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((daemon, port));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{}", fs::read_to_string(dir.join("sshd.log")).unwrap_or_default());
    let _ended_before = daemon.kill();
    let _ended_before = daemon.wait();
    None
}

/// sshd, for which other files stand in the places of some of this machine's: in a mount namespace of its own.
fn daemon(dir: &Path, instead: &[(&str, String)]) -> Command {
    if instead.is_empty() {
        return Command::new(SSHD);
    }
    let mut command = Command::new("unshare");
    let text = r#"while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@""#;
    command.args(["--mount", "sh", "-c", text, "sh"]);
    for (place, text) in instead {
        let file = dir.join(place.replace('/', "-"));
        fs::write(&file, text).unwrap();
        command.arg(file).arg(place);
    }
    command.arg("--").arg(SSHD);
    command
}

/// A file of this machine with another line for root.
fn with_root(file: &str, change: impl Fn(&mut Vec<String>)) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if fields[0] == "root" {
            change(&mut fields);
        }
        fields.join(":") + "\n"
    };
    text.lines().map(line).collect()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Sends a signal by name to one process that this test has started.
pub(crate) fn signal_process(signal: &str, pid: u32) {
    let _ended_before = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// The processes that descend from `pid`.
fn descendants(pid: u32) -> Vec<u32> {
    let children: Vec<u32> = processes().filter(|it| it.parent == pid).map(|it| it.pid).collect();
    children.iter().flat_map(|child| [vec![*child], descendants(*child)].concat()).collect()
}

/// The process group of a process that has `words` on its command line, if there is one.
pub(crate) fn process_group_of(words: &str) -> Option<u32> {
    let pid = processes_with(words).next()?;
    processes().find(|it| it.pid == pid).map(|it| it.group)
}

/// The processes that have `words` on their command line.
pub(crate) fn processes_with(words: &str) -> impl Iterator<Item = u32> {
    let says = move |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    };
    processes().map(|it| it.pid).filter(move |pid| says(*pid))
}

struct Process {
    pid: u32,
    parent: u32,
    group: u32,
}

fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        Some(Process { pid, parent, group: fields.next()?.parse().ok()? })
    })
}

/// Waits until a condition holds, and fails the test if it never does.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let until = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
