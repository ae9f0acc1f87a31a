//! A login host that wants a password besides the key, and somebody at a terminal who types it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use super::cluster::{Guard, Host, on, state_dir};
use super::lab::Lab;
use super::process::{Output, Running};
use super::wait::{SOON, eventually};

/// Alice's password, for sshds that ask for one.
pub(crate) const PASSWORD: &str = "tow the line";

/// The same as `openssl passwd -6` has it.
const HASHED: &str =
    "$6$towline$bJEjH1CQBSIUnaKPGBbo3nh8mFRjlbNJfRvev/g/WqklxXNxxFg/vHkNNt8Rp7LMWp0b3fz6dHvxSHrLJFt8N0";

/// Where such sshds listen.
const PORTS: std::ops::Range<u16> = 2201..2300;

static NEXT: AtomicU16 = AtomicU16::new(PORTS.start);

const LOGIN: Host = on("login");

/// One more sshd on the login host. Ended when dropped, with its sessions.
pub(crate) struct AskingSshd {
    port: u16,
    /// Stories with faults end sshds and rules of the filter that are not the cluster's own. It passes to the lab.
    guard: Mutex<Option<Guard>>,
}

impl AskingSshd {
    /// One that lets alice in with a key and her password.
    pub(crate) fn start() -> Self {
        let guard = Guard::shared();
        LOGIN.run(&["usermod", "-p", HASHED, "alice"]).ok();
        // A story that was killed may have left one on its port.
        let starts = |port: &u16| LOGIN.run(&["bash", "-c", START, "start", &port.to_string()]).code == 0;
        let port = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
            .take_while(|port| PORTS.contains(port))
            .find(starts);
        Self { port: port.unwrap(), guard: Mutex::new(Some(guard)) }
    }

    /// A lab whose profile `lab` logs in there.
    pub(crate) fn lab(&self) -> Lab {
        let lab = Lab::bare(self.guard.lock().unwrap().take().unwrap());
        let config = self.ssh_config(&lab, "");
        lab.add_profile(&config, &[]);
        lab
    }

    /// A configuration of ssh that leads there, with more settings.
    pub(crate) fn ssh_config(&self, lab: &Lab, more: &str) -> PathBuf {
        let way = format!("HostName 10.77.1.2\n    Port {}\n    HostKeyAlias 10.77.1.2\n{more}", self.port);
        lab.write_ssh_config(|text| text.replace("HostName 10.77.1.2", &way))
    }

    /// How many of the lines in its log hold these words.
    pub(crate) fn logged(&self, words: &str) -> usize {
        let log = state_dir().join(format!("hosts/login/log/asking-{}.log", self.port));
        fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(words)).count()
    }

    /// How many logins it has let in.
    pub(crate) fn logins(&self) -> usize {
        self.logged("Accepted password for alice")
    }
}

impl Drop for AskingSshd {
    fn drop(&mut self) {
        LOGIN.run(&["bash", "-c", STOP, "stop", &self.port.to_string()]);
    }
}

/// The filter of the login host drops what comes for other ports than 22.
const START: &str = r#"
    set -e
    cat >"/run/asking-$1.conf" <<END
Port $1
AddressFamily inet
PidFile /run/asking-$1.pid
LogLevel VERBOSE
UsePAM no
AuthenticationMethods publickey,password
PasswordAuthentication yes
KbdInteractiveAuthentication no
AcceptEnv LANG LC_*
END
    rm -f "/run/asking-$1.pid" "/var/log/asking-$1.log"
    /usr/sbin/sshd -f "/run/asking-$1.conf" -h /etc/ssh/host_keys/login -E "/var/log/asking-$1.log"
    for ((tries = 0; tries < 100; tries++)); do [ ! -s "/run/asking-$1.pid" ] || break; sleep 0.05; done
    [ -s "/run/asking-$1.pid" ]
    nft add rule inet towline input tcp dport "$1" accept comment "asking-$1""#;

const STOP: &str = r#"
    read -r listener <"/run/asking-$1.pid"
    kill $(ps -o pid= --ppid "$listener") "$listener"
    handle=$(nft -a list chain inet towline input | sed -n "s/.*\"asking-$1\" # handle //p")
    [ -z "$handle" ] || nft delete rule inet towline input handle "$handle"
    rm -f "/run/asking-$1".* "/var/log/asking-$1.log""#;

/// A program on a terminal of its own, as `script` of util-linux makes it, and somebody who types.
pub(crate) struct Screen(Running);

impl Screen {
    /// Runs a shell text, with `towline` on the path.
    pub(crate) fn run(lab: &Lab, text: &str) -> Self {
        let towline = lab.command();
        let dir = std::path::Path::new(towline.get_program()).parent().unwrap();
        let mut command = Command::new("script");
        // The shell stays above what it runs, as it does for people.
        command.args(["-q", "-e", "-c", &format!("{text}\nexit $?"), "/dev/null"]).env_clear();
        command.envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("TERM", "xterm").env("SHELL", "/bin/sh");
        Self(Running::attended(&mut command))
    }

    /// Waits until it shows a text for the `count`th time.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str, count: usize) {
        eventually(&format!("{text:?} on the screen"), SOON, || {
            (self.0.stdout().matches(text).count() >= count).then_some(())
        });
    }

    /// Types something.
    pub(crate) fn types(&mut self, text: &str) {
        self.0.types(text);
    }

    /// Waits for its end; all that was shown is its standard output.
    #[track_caller]
    pub(crate) fn ends(self) -> Output {
        self.0.finish(SOON)
    }
}
