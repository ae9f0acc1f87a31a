//! Masters to compute nodes, each of which reaches its node by way of the login host's master.
//!
//! A node's master is the user's own `ssh`, by their own configuration for the node's name, with one thing set: its
//! `ProxyCommand` goes through the connection that is there. Authentication and host keys are between this machine and
//! the node; the login host only carries bytes.

use std::collections::HashMap;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::diagnose::{CONFIG_TIME, run};
use crate::error::SshError;
use crate::forward::Forward;
use crate::master::{Master, MasterConfig};
use crate::words::read_failure;

/// What the login host is asked to run where it forwards nothing itself: joins standard input and output to a port of a
/// node, and ends with either. In words that every login shell understands (see `shell.rs`), hence without single quotes,
/// line breaks, backslashes and exclamation marks; `$0` and `$1` are node and port.
///
/// bash comes first: it says why a connection fails, and ends with its standard input, which not every `nc` does.
const JOIN: &str = concat!(
    "if command -v bash >/dev/null 2>&1; then ",
    r#"exec bash -c "exec 3<>/dev/tcp/$0/$1 || exit 1; { cat <&3; kill 0; } & cat >&3; kill 0"; fi; "#,
    "if command -v python3 >/dev/null 2>&1; then ",
    r#"exec python3 -c "import os,socket,sys,threading;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"#,
    "p=lambda r,w:[w(d) for d in iter(r,bytes())];",
    "threading.Thread(target=lambda:(p(lambda:os.read(0,65536),s.sendall),os._exit(0)),daemon=True).start();",
    r#"p(lambda:s.recv(65536),lambda d:os.write(1,d));os._exit(0)" $0 $1; fi; "#,
    "if command -v nc >/dev/null 2>&1; then exec nc $0 $1; fi; ",
    "echo towline: there is no bash, python3 or nc >&2; exit 127"
);

/// What the user's `ssh` says of the login host and does not say of a node holds for the node as well: who they are, and
/// which host keys they know. What they accept without knowing it (`StrictHostKeyChecking`) is not taken over.
const INHERITED: [&str; 7] = [
    "user",
    "identityfile",
    "certificatefile",
    "identityagent",
    "identitiesonly",
    "userknownhostsfile",
    "globalknownhostsfile",
];

/// A login to a node failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to log in to node {node} by way of {login}")]
pub struct NodeError {
    /// The node, by the name under which the user's configuration is asked for it.
    pub node: String,
    /// The login host, in the user's words.
    pub login: String,
    /// The file in which `ssh` looks for the node's host key first, if that is known.
    pub known_hosts: Option<String>,
    /// Why.
    #[source]
    pub source: SshError,
}

/// A node's master, and whose turn it is to change what goes through it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) master: Arc<Master>,
    pub(crate) turn: Mutex<()>,
}

/// The nodes behind one login host.
#[derive(Debug)]
pub(crate) struct Nodes {
    login: Arc<Master>,
    known: std::sync::Mutex<HashMap<String, Arc<Node>>>,
}

impl Nodes {
    pub(crate) fn new(login: Arc<Master>) -> Self {
        Self { login, known: std::sync::Mutex::default() }
    }

    /// The node of that name. Touches nothing yet.
    pub(crate) fn node(&self, name: &str) -> Result<Arc<Node>, SshError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
            return Err(SshError::BadName { role: "node", name: name.to_owned() });
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = known.get(name) {
            return Ok(Arc::clone(node));
        }
        let node = Arc::new(Node { master: Arc::new(node_master(&self.login, name)?), turn: Mutex::new(()) });
        known.insert(name.to_owned(), Arc::clone(&node));
        Ok(node)
    }

    /// Makes sure that there is a living master to the login host, and one to the node by way of it.
    pub(crate) async fn make_ready(&self, node: &Node) -> Result<(), Unready> {
        self.login.make_ready().await.map_err(Unready::Login)?;
        // A master of a node ends with the one that carries it.
        if !node.master.is_up().await {
            self.write_files().await.map_err(Unready::Login)?;
        }
        match node.master.make_ready().await {
            Ok(()) => Ok(()),
            Err(source) => Err(Unready::Node(NodeError {
                node: node.master.host().to_owned(),
                login: self.login.host().to_owned(),
                known_hosts: self.known_hosts(&node.master).await,
                source,
            })),
        }
    }

    /// Writes the configuration of the nodes' masters, and the script that carries them.
    async fn write_files(&self) -> Result<(), SshError> {
        let script = file(&self.login, "proxy");
        let says = config_of(&self.login, &[]).await?;
        write_whole(&script, &proxy_script(&self.login.control_path())?)?;
        write_whole(
            &file(&self.login, "conf"),
            &node_config(&script, self.login.config.ssh_config.as_deref(), &says)?,
        )
    }

    async fn known_hosts(&self, node: &Master) -> Option<String> {
        let says = config_of(node, &[]).await.ok()?;
        let (_, files) = says.iter().find(|(key, _)| key == "userknownhostsfile")?;
        files.split(' ').next().map(str::to_owned)
    }
}

/// A file beside the login's own.
fn file(login: &Master, extension: &str) -> PathBuf {
    login.files.socket.with_extension(extension)
}

/// Names the master of a node behind that login host. Touches nothing yet.
fn node_master(login: &Master, name: &str) -> Result<Master, SshError> {
    Master::new(MasterConfig {
        ssh_config: Some(file(login, "conf")),
        connect_timeout: login.config.connect_timeout,
        ..MasterConfig::new(name, &login.config.control_dir)
    })
}

/// Whether a forward goes through the master of a node that our own master of the login host carries, as far as the way
/// to nodes tells: a master of the user's own may carry them as well.
pub(crate) fn is_carried(login: &Master, forward: &Forward) -> bool {
    let node = forward.node.as_deref().and_then(|node| node_master(login, node).ok());
    let way = std::fs::read_to_string(file(login, "proxy")).unwrap_or_default();
    node.is_some_and(|node| node.files.socket == Path::new(&forward.control))
        && quoted(&login.files.socket).is_ok_and(|ours| way.contains(&format!(" -S {ours} ")))
}

/// Which of the two logins failed.
pub(crate) enum Unready {
    Login(SshError),
    Node(NodeError),
}

/// What `ssh -G` prints for a host: keywords in lower case, and their values.
async fn config_of(master: &Master, options: &[&str]) -> Result<Vec<(String, String)>, SshError> {
    let mut command = Command::new("ssh");
    command.arg("-G").args(options).args(master.login_words());
    // It runs whatever `Match exec` names.
    let output = run(&mut command, master.host(), CONFIG_TIME).await?;
    if !output.status.success() {
        return Err(read_failure(master.host(), &String::from_utf8_lossy(&output.stderr)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let pair =
        |line: &str| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
    Ok(said.lines().filter_map(pair).collect())
}

/// A path as one word of any shell; `ssh` hands a `ProxyCommand` to the user's own, whatever that is.
fn quoted(path: &Path) -> Result<String, SshError> {
    match path.to_str() {
        Some(text) if !text.contains(['\'', '\\', '!', '\n', '"', '%']) => Ok(format!("'{text}'")),
        _ => Err(SshError::ControlDir {
            path: path.to_owned(),
            problem: "has a name that not every shell takes as it is",
        }),
    }
}

/// The script that a node's `ssh` runs with node and port, to be connected to it. It goes as a forwarded connection where
/// the login host permits that, since such a one takes no session (`MaxSessions`), and else by a command.
fn proxy_script(control: &Path) -> Result<String, SshError> {
    let control = quoted(control)?;
    let join = JOIN.replace('\\', r"\\").replace('"', r#"\""#).replace('$', r"\$");
    Ok(format!(
        r#"# The way to port $2 of node $1 through the ssh connection that is there. Made anew whenever it is needed.
case $1$2 in *[!A-Za-z0-9._:-]* | -*) echo "towline: $1 port $2 is no node" >&2; exit 255 ;; esac
# Without that connection ssh would make one of its own; it must not.
login() {{ ssh -F none -S {control} -o BatchMode=yes -o ControlMaster=no -o ProxyCommand=false "$@"; }}
exec 3>&1
if said=$(login -W "[$1]:$2" -- master 2>&1 >&3 3>&-); then exit; fi
case $said in *'forwarding request failed'*) ;; *) printf '%s\n' "$said" >&2; exit 255 ;; esac
login -T -- master "exec /bin/sh -c '{join}' $1 $2" 3>&-
"#
    ))
}

/// The configuration of the nodes' masters: the way, then what the user says of the node, then what holds for the login
/// host. The first word on a matter counts (ssh_config(5)).
fn node_config(script: &Path, file: Option<&Path>, says: &[(String, String)]) -> Result<String, SshError> {
    let mut text = format!(
        "# For nodes reached through a login host. Made anew whenever it is needed.\n\
         Host *\nProxyCommand /bin/sh {} %h %p\n",
        quoted(script)?
    );
    match file {
        Some(file) => text.push_str(&format_args!("Include {}\n", in_config(file)?).to_string()),
        None => text.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"),
    }
    text.push_str("Host *\n");
    for (key, value) in says.iter().filter(|(key, _)| INHERITED.contains(&key.as_str())) {
        // A list of files is printed without quotes; one file may have a blank in its name.
        let value = if key.ends_with("knownhostsfile") { value.clone() } else { format!("\"{value}\"") };
        text.push_str(&format_args!("{key} {value}\n").to_string());
    }
    Ok(text)
}

/// A path as a word of a configuration: a pattern for files there.
fn in_config(path: &Path) -> Result<String, SshError> {
    match path.to_str() {
        Some(text) if !text.contains(['"', '\\', '\n', '*', '?', '[']) => Ok(format!("\"{text}\"")),
        _ => Err(SshError::Config {
            host: "the compute nodes".to_owned(),
            words: format!("{} has a name that cannot be included", path.display()),
        }),
    }
}

/// Writes a file of this user alone, so that a reader sees all of it or what was there before.
fn write_whole(path: &Path, text: &str) -> Result<(), SshError> {
    let failed =
        |source: io::Error| SshError::Files { deed: "write", path: path.to_owned(), source: source.into() };
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(failed)
}
