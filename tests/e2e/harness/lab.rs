//! A researcher's machine: a home with nothing in it but the profile `lab`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::{Guard, Host, on, state_dir};
use super::process::{Output, Running, listening_ports, processes_with};
use super::relay::Relay;
use super::wait::{SOON, eventually};

/// How long a command may take that waits for nothing longer than a minute.
const LIMIT: Duration = Duration::from_secs(120);

/// Alice on the login host.
const ALICE: Host = on("login").as_("alice");

/// A home on this machine and one on the cluster. Whatever runs for it ends when it is dropped.
pub(crate) struct Lab {
    dir: TempDir,
    guard: RefCell<Option<Guard>>,
}

impl Lab {
    /// One with the profile `lab`, as the first command of a user makes it.
    pub(crate) fn new() -> Self {
        let lab = Self::bare(Guard::shared());
        lab.add_profile(&state_dir().join("ssh_config"), &[]);
        lab
    }

    /// The same for a story with a fault in it, which has the cluster alone.
    pub(crate) fn alone() -> Self {
        let lab = Self::bare(Guard::alone());
        lab.add_profile(&state_dir().join("ssh_config"), &[]);
        lab
    }

    /// Several of one story, so that what befalls all of them has to be waited for once only. The last of them, which is
    /// dropped last, has the right to use the cluster.
    pub(crate) fn several(guard: Guard, count: usize) -> Vec<Self> {
        let beside = std::iter::repeat_with(|| Guard::OfAnother).take(count - 1);
        let lab = |guard| {
            let lab = Self::bare(guard);
            lab.add_profile(&state_dir().join("ssh_config"), &[]);
            lab
        };
        beside.chain([guard]).map(lab).collect()
    }

    /// One whose way to the login host is its own, so that cutting it disturbs nobody else.
    pub(crate) fn behind(relay: &Relay) -> Self {
        let lab = Self::bare(Guard::shared());
        let way = format!("HostName 127.0.0.1\n    Port {}\n    HostKeyAlias 10.77.1.2", relay.port());
        let config = lab.write_ssh_config(|text| text.replace("HostName 10.77.1.2", &way));
        lab.add_profile(&config, &[]);
        lab
    }

    /// One without any configuration.
    pub(crate) fn bare(guard: Guard) -> Self {
        let dir = tempfile::Builder::new().prefix("tl-").tempdir_in("/tmp").unwrap();
        for part in ["home", "run"] {
            fs::create_dir(dir.path().join(part)).unwrap();
        }
        Self { dir, guard: RefCell::new(Some(guard)) }
    }

    /// Goes through a part of the story that must come out the same whatever faults there are meanwhile.
    pub(crate) fn come_what_may<T>(&self, part: impl FnOnce() -> T) -> T {
        self.guard.take();
        let result = part();
        self.guard.replace(Some(Guard::shared()));
        result
    }

    /// Adds the profile `lab` with that configuration of ssh and further options.
    pub(crate) fn add_profile(&self, ssh_config: &Path, options: &[&str]) {
        let (ssh_config, home) = (ssh_config.to_str().unwrap(), self.remote_home());
        let words =
            ["profile", "add", "lab", "--host", "login", "--user", "alice", "--ssh-config", ssh_config];
        self.towline(&[&words[..], &["--home", &home], options].concat()).ok();
    }

    /// A configuration of ssh that logs in with a key of this lab's own, and the fingerprint of that key.
    pub(crate) fn own_key(&self) -> (PathBuf, String) {
        let key = self.path("key");
        let comment = self.tag();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"]).arg(&key);
        Running::start(&mut keygen, b"").finish(SOON).ok();
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        ALICE.run_with(&["bash", "-c", "cat >>.ssh/authorized_keys"], public.as_bytes()).ok();
        let listed = Running::start(Command::new("ssh-keygen").arg("-lf").arg(&key), b"").finish(SOON).ok();
        let fingerprint = listed.split_whitespace().nth(1).unwrap().to_owned();
        let theirs = state_dir().join("alice_key").display().to_string();
        let config = self.write_ssh_config(|text| text.replace(&theirs, key.to_str().unwrap()));
        (config, fingerprint)
    }

    /// A configuration of ssh of this lab's own, made from the cluster's.
    pub(crate) fn write_ssh_config(&self, change: impl Fn(String) -> String) -> PathBuf {
        let path = self.path("ssh_config");
        let theirs = fs::read_to_string(state_dir().join("ssh_config")).unwrap();
        fs::write(&path, change(theirs)).unwrap();
        path
    }

    /// A file of this lab on this machine.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the ledger lies.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("home/.local/share/towline")
    }

    fn tag(&self) -> String {
        self.dir.path().file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// The home on the cluster, as it is configured.
    pub(crate) fn remote_home(&self) -> String {
        format!("~/{}", self.remote_name())
    }

    /// Its name in alice's home.
    pub(crate) fn remote_name(&self) -> String {
        format!(".towline-{}", self.tag())
    }

    /// The command with this lab's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LANG", "C.UTF-8")
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .current_dir(self.path("home"));
        command
    }

    /// Runs `towline` with these words.
    #[track_caller]
    pub(crate) fn towline(&self, words: &[&str]) -> Output {
        self.start(words).finish(LIMIT)
    }

    /// Starts `towline` with these words.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(self.command().args(words), b"")
    }

    /// Starts `towline` with these words and these variables besides.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], words: &[&str]) -> Running {
        Running::start(self.command().envs(variables.iter().copied()).args(words), b"")
    }

    /// Runs a service in the profile `lab`: options, `--` and the command.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, words: &[&str]) -> Output {
        self.towline(&[&["run", "--profile", "lab", "--name", name], words].concat())
    }

    /// Runs a web server that becomes healthy, and gives its URL.
    #[track_caller]
    pub(crate) fn run_web(&self, name: &str, options: &[&str]) -> String {
        let server = ["--health", "/", "--", "python3", "-u", "-m", "http.server", "{port}"];
        self.run(name, &[options, &server].concat()).ok().trim().to_owned()
    }

    /// A service as `show --json` tells it.
    #[track_caller]
    pub(crate) fn show(&self, name: &str) -> Value {
        self.towline(&["show", name, "--json"]).json()
    }

    /// Waits until a service has this status, looking again and again.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, status: &str, limit: Duration) -> Value {
        eventually(&format!("{name} is {status}"), limit, || {
            let service = self.show(name);
            (service["status"] == status).then_some(service)
        })
    }

    /// The statuses that a service went through, from its history.
    #[track_caller]
    pub(crate) fn history(&self, name: &str) -> Vec<String> {
        let events = self.towline(&["events", name, "--json"]).json();
        let to = |event: &Value| event["to"].as_str().unwrap().to_owned();
        events.as_array().unwrap().iter().map(to).collect()
    }

    /// All jobs of this lab that Slurm still knows, ended ones too: state by job id.
    pub(crate) fn jobs(&self) -> BTreeMap<String, String> {
        let listed = ALICE.run(&["squeue", "--me", "-h", "-t", "all", "-o", "%A %T %Z"]).ok();
        let marked = listed.lines().filter(|line| line.contains(&self.remote_name()));
        let fields = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            (words.next().unwrap(), words.next().unwrap())
        };
        marked.map(fields).collect()
    }

    /// Has Slurm requeue the job of a service, to another node than it is on.
    #[track_caller]
    pub(crate) fn requeue(&self, service: &Value) {
        let (job, node) = (service["job_id"].as_str().unwrap(), service["node"].as_str().unwrap());
        let ctl = on("ctl");
        ctl.run(&["scontrol", "requeue", job]).ok();
        eventually("the job in the queue again", SOON, || {
            (self.jobs().get(job).map(String::as_str) == Some("PENDING")).then_some(())
        });
        // It would begin after two minutes only.
        let (id, elsewhere) = (format!("jobid={job}"), format!("excnodelist={node}"));
        ctl.run(&["scontrol", "update", &id, "starttime=now", &elsewhere]).ok();
    }

    /// The jobs of this lab that have not ended.
    pub(crate) fn living_jobs(&self) -> Vec<String> {
        let living =
            |state: &str| ["PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED"].contains(&state);
        self.jobs().into_iter().filter(|(_, state)| living(state)).map(|(id, _)| id).collect()
    }

    /// The ssh processes of this lab, by their command lines.
    pub(crate) fn ssh_processes(&self) -> Vec<(u32, String)> {
        let ours = processes_with(self.dir.path().to_str().unwrap());
        ours.into_iter().filter(|(_, line)| line.starts_with("ssh")).collect()
    }

    /// The local ports on which the SSH connections of this lab listen.
    pub(crate) fn forwarded_ports(&self) -> Vec<u16> {
        self.ssh_processes().into_iter().flat_map(|(pid, _)| listening_ports(pid)).collect()
    }

    /// Ends the jobs, and takes away what lies on the cluster.
    fn clean_cluster(&self) {
        let text = r#"
            jobs() { squeue --me -h -o '%A %Z' | grep -F "$1" | cut -d' ' -f1; }
            for ((tries = 0; tries < 100; tries++)); do
                left=$(jobs "$1")
                [ -n "$left" ] || break
                scancel $left
                sleep 0.2
            done
            rm -rf -- "$HOME/$1"
            [ -z "$2" ] || sed -i "/ $2\$/d" .ssh/authorized_keys
            ! grep -q " $3\$" .bashrc || flock . sed -i "/ $3\$/d" .bashrc
            [ -z "$left" ]"#;
        let tag = if self.path("key").exists() { self.tag() } else { String::new() };
        let cleaned = ALICE.run(&["bash", "-c", text, "clean", &self.remote_name(), &tag, &self.path_mark()]);
        assert!(cleaned.code == 0 || std::thread::panicking(), "{cleaned:#?}");
    }

    /// Ends the SSH connections, and makes sure that no process of them stays.
    pub(crate) fn disconnect(&self) {
        let sockets = fs::read_dir(self.path("run/towline")).into_iter().flatten().flatten();
        for socket in
            sockets.map(|entry| entry.path()).filter(|path| path.extension() == Some("sock".as_ref()))
        {
            let mut exit = Command::new("ssh");
            exit.args(["-F", "none", "-O", "exit", "-S"]).arg(&socket).arg("master");
            Running::start(&mut exit, b"").finish(SOON);
        }
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while !self.ssh_processes().is_empty() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let left = self.ssh_processes();
        for (pid, _) in &left {
            let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or_default();
        }
        assert!(left.is_empty() || std::thread::panicking(), "ssh processes stay: {left:?}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.guard.get_mut().get_or_insert_with(Guard::shared);
        self.disconnect();
        self.clean_cluster();
    }
}
