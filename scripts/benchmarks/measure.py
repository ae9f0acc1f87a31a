"""What a program took on this machine, and what it cost the login host."""

import contextlib
import marshal
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Pings at a time: as many as Towline makes (`AT_ONCE` in crates/core/src/engine/turn.rs).
AT_ONCE = 64


class BenchError(Exception):
    """Something without which nothing can be measured."""


@dataclass
class Run:
    """One run of a program. Times in seconds, memory in bytes."""

    wall: float
    cpu: float
    memory: int
    commands: int = 0
    logins: int = 0
    sent: int = 0
    received: int = 0


class Timer:
    """Runs programs by way of `timer.py`."""

    def __init__(self, directory):
        self.output = str(Path(directory) / "output")
        program = Path(__file__).with_name("timer.py")
        # Ctrl-C is for the bench alone: what runs is waited for, so that nothing begins after all was taken away.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, words, environment):
        """Runs a program that must end well; its standard output is in the file `self.output`."""
        marshal.dump((words, environment, self.output), self.process.stdin)
        self.process.stdin.flush()
        code, wall, cpu, memory = marshal.load(self.process.stdout)
        if code != 0:
            said = Path(self.output + ".err").read_text(errors="replace").strip()
            raise BenchError(f"{' '.join(words)} ended with {code}: {said}")
        return Run(wall, cpu, memory * 1024)

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


class LoginHost:
    """What one key's logins cost the login host, counted there and not in Towline: by sshd's log and by the kernel's
    count of bytes in their connections."""

    def __init__(self, state, fingerprint):
        self.log = Path(state) / "hosts/login/log/sshd.log"
        self.fingerprint = fingerprint
        # What was written before is of no concern.
        self.begin = self.log.stat().st_size

    def read(self):
        """Remote commands, logins, and bytes sent and received so far."""
        with self.log.open("rb") as file:
            file.seek(self.begin)
            text = file.read().decode(errors="replace")
        login = rf"Accepted publickey for alice from \S+ port (\d+) ssh2: \S+ {re.escape(self.fingerprint)}"
        ports = re.findall(login, text)
        sessions = re.findall(r"Starting session: command for alice from \S+ port (\d+) ", text)
        sent, received = (sum(octets) for octets in zip((0, 0), *map(connection_octets, ports)))
        return sum(port in ports for port in sessions), len(ports), sent, received

    def around(self, action):
        """Does `action`, which gives a `Run`, and adds to it what reached the login host meanwhile."""
        before = self.read()
        run = action()
        # The last words about connections that were closed.
        time.sleep(0.1)
        after = self.read()
        run.commands, run.logins, run.sent, run.received = (b - a for a, b in zip(before, after))
        return run


def connection_octets(port):
    """Bytes that a connection to an SSH server from this local port has sent and received, without headers."""
    words = ["ss", "-tinH", "state", "established", f"( sport = :{port} and dport = :22 )"]
    told = subprocess.run(words, text=True, check=True, stdout=subprocess.PIPE).stdout
    count = lambda name: sum(map(int, re.findall(rf"\b{name}:(\d+)", told)))
    return count("bytes_sent"), count("bytes_received")


def ping_all(ports, path="/"):
    """GETs `path` on each of the local ports over a connection of its own, `AT_ONCE` at a time, and gives the time that
    all took. Plain sockets and one thread: no client does less."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept: */*\r\n\r\n".encode()
    began = time.perf_counter()
    waiting, left = list(reversed(ports)), len(ports)
    with selectors.DefaultSelector() as ready:
        def begin():
            if waiting:
                connection = socket.socket()
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", waiting.pop()))
                ready.register(connection, selectors.EVENT_WRITE)

        for _ in range(AT_ONCE):
            begin()
        while left:
            for key, events in ready.select(10) or _late():
                if events & selectors.EVENT_WRITE:
                    key.fileobj.send(request)
                    ready.modify(key.fileobj, selectors.EVENT_READ)
                    continue
                if not key.fileobj.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise BenchError("a server did not answer a bare ping")
                ready.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
                begin()
    return time.perf_counter() - began


def _late():
    raise BenchError("a bare ping was not answered within 10 s")


def machine():
    """This machine in one line."""
    model = "processor unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024**2
    system = os.uname()
    return f"{os.cpu_count()} processors ({model}), {memory} GB, Linux {system.release}"
