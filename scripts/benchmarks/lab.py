"""A user's home on this machine with one profile, and what runs for it on the test cluster. All of it goes at the end."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measure import BenchError, LoginHost, Timer

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests/cluster"

# A server that costs next to nothing, so that what is measured is the way to it.
SERVER = """import socket, sys
server = socket.create_server(("", int(sys.argv[1])), backlog=128)
while True:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
"""

# Ends the jobs whose directory is below that of this lab, and takes that away. Answers when none is left.
CLEAN = r"""
for ((tries = 0; tries < 300; tries++)); do
    left=$(squeue --me -h -o '%A %Z' | grep -F "/$1/" | cut -d' ' -f1)
    [ -n "$left" ] || break
    scancel $left
    sleep 0.5
done
rm -rf -- "$HOME/$1"
sed -i "/ $1\$/d" .ssh/authorized_keys
[ -z "$left" ]"""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Lab:
    """Brings the cluster up if it is down, and has it alone until `close`."""

    def __init__(self, towline):
        self.towline = str(towline)
        self.state = Path(os.environ.get("TOWLINE_CLUSTER_DIR", "/var/tmp/towline-cluster"))
        self.was_down = not (self.state / "ssh_config").exists()
        self.lock = None
        self.dir = Path(tempfile.mkdtemp(prefix="tl-bench-", dir="/tmp"))
        self.timer = Timer(self.dir)
        self.login_host = None
        self.remote = f".towline-{self.dir.name}"
        for part in ("home", "run"):
            (self.dir / part).mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.dir / "home"),
            "XDG_RUNTIME_DIR": str(self.dir / "run"),
        }

    def open(self):
        """Waits for whoever else uses the cluster, brings it up or repairs it, and adds the profile."""
        if self.was_down:
            self.bring_up()
        self.lock = open(self.state / "ssh_config")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for the end-to-end tests that use the cluster")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        if subprocess.run([CLUSTER / "status"], stdout=subprocess.DEVNULL).returncode != 0:
            self.bring_up()
        config = str(self.make_key())
        login = ["--host", "login", "--user", "alice", "--ssh-config", config, "--home", f"~/{self.remote}"]
        self.run("profile", "add", "lab", *login)

    def unlock(self):
        """Lets others use the cluster."""
        self.lock.close()
        self.lock = None

    def make_key(self):
        """Makes a key by which this lab's logins are told from others', and gives a configuration of ssh with it."""
        key = self.dir / "key"
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.remote, "-f", str(key)]
        subprocess.run(keygen, check=True)
        self.on_login("bash", "-c", "cat >>.ssh/authorized_keys", text=key.with_suffix(".pub").read_text())
        listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, text=True, stdout=subprocess.PIPE)
        self.login_host = LoginHost(self.state, listed.stdout.split()[1])
        config = self.dir / "ssh_config"
        theirs = (self.state / "ssh_config").read_text()
        config.write_text(theirs.replace(str(self.state / "alice_key"), str(key)))
        return config

    def bring_up(self):
        say("bringing the test cluster up")
        subprocess.run([CLUSTER / "up"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, *words, environment=None):
        """Runs `towline` with these words."""
        return self.timer.run([self.towline, *words], {**self.environment, **(environment or {})})

    def json(self, *words):
        """What `towline` prints as JSON."""
        self.run(*words, "--json")
        return json.loads(Path(self.timer.output).read_text())

    def submit(self, name, *words):
        """Submits a service and does not wait for it."""
        return self.run("run", "--profile", "lab", "--name", name, "--detach", *words)

    def hold(self, name):
        """Submits a service whose job is held in the queue."""
        return self.submit(name, "--time", "120", "--sbatch-arg=--hold", "--", "true")

    def serve(self, name):
        """Submits a service that becomes healthy."""
        return self.submit(name, "--time", "120", "--health", "/", "--", "python3", "-c", SERVER, "{port}")

    def settle(self, limit=300):
        """Waits until every service that is not held is HEALTHY, and gives their local ports."""
        end = time.monotonic() + limit
        while True:
            services = self.json("refresh")
            awaited = [s for s in services if not s["name"].startswith("held-") and s["status"] != "HEALTHY"]
            if not awaited:
                return [service["local_port"] for service in services if service["status"] == "HEALTHY"]
            if time.monotonic() > end or any(s["status"] in ("FAILED", "TIMEOUT") for s in awaited):
                raise BenchError(f"{awaited[0]['name']} does not become healthy: {awaited[0]['why']}")
            time.sleep(1)

    @property
    def socket(self):
        """The control socket of Towline's own master."""
        sockets = list((self.dir / "run/towline").glob("*.sock"))
        if len(sockets) != 1:
            raise BenchError(f"there are {len(sockets)} ssh masters where one was expected")
        return str(sockets[0])

    def over_master(self, *words):
        """Runs a program on the login host over that master, as `ssh` does it."""
        return self.timer.run(["ssh", "-F", "none", "-S", self.socket, "login", *words], self.environment)

    def on_login(self, *words, text=""):
        """Runs a program on the login host as alice, by the back door."""
        command = [CLUSTER / "exec", "login", "--user", "alice", "--", *words]
        return subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.PIPE).stdout

    def versions(self):
        """What is used, in one line."""
        ssh = subprocess.run(["ssh", "-V"], text=True, stderr=subprocess.PIPE).stderr.split(",")[0]
        towline = subprocess.run([self.towline, "--version"], text=True, stdout=subprocess.PIPE).stdout
        return f"{towline.strip()}, {self.on_login('squeue', '--version').strip()}, {ssh}"

    def close(self):
        """Takes away whatever was made, as far as it goes."""
        problems = []
        self.timer.close()
        for sockets in (self.dir / "run/towline").glob("*.sock"):
            leave = ["ssh", "-F", "none", "-O", "exit", "-S", str(sockets), "login"]
            subprocess.run(leave, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.on_login("bash", "-c", CLEAN, "clean", self.remote)
        except (subprocess.CalledProcessError, OSError) as error:
            problems.append(f"jobs or files of ~alice/{self.remote} may be left on the cluster: {error}")
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.was_down:
            problems.extend(self.take_down())
        if self.lock:
            self.lock.close()
        for problem in problems:
            say(problem)

    def take_down(self):
        """Takes the cluster down, unless somebody else uses it by now; gives what went wrong."""
        try:
            # A lock that is held stays so.
            self.lock = self.lock or open(self.state / "ssh_config")
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return []
        except BlockingIOError:
            return ["the cluster stays up, since somebody else uses it: tests/cluster/down takes it down"]
        if subprocess.run([CLUSTER / "down"], stdout=subprocess.DEVNULL).returncode != 0:
            return ["the cluster could not be taken down: tests/cluster/down"]
        return []
