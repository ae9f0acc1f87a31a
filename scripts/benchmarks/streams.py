"""What a client feels of a tunnel, beside a plain `ssh -L` to the same server in the same turns."""

import contextlib
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass, field

from .lab import say
from .measure import BenchError

# Budgets: how many times as much throughput at least, and as much latency at most.
THROUGHPUT = 0.95
LATENCY = 1.05

MIB = 1024**2
BODY = 64 * MIB
# Connections at a time where many are made use of, and tokens of a stream with the pause between them.
CONNECTIONS = 16
TOKENS = 200
PAUSE = 0.005

# Keeps connections alive, gives and takes large bodies, and sends tokens, each with the time at which it was sent: client
# and server share one clock here.
SERVER = f"""import socket, sys, threading, time
CHUNK = bytes({MIB})
def head(length):
    return b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % length
def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        while words := stream.readline().split():
            left = 0
            while (line := stream.readline()) not in (b"\\r\\n", b""):
                if line.lower().startswith(b"content-length:"):
                    left = int(line.split(b":")[1])
            while left:
                left -= len(stream.read(min(left, 65536)))
            if words[1] == b"/body":
                connection.sendall(head({BODY}))
                for _ in range({BODY // MIB}):
                    connection.sendall(CHUNK)
            elif words[1] == b"/tokens":
                connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nConnection: close\\r\\n\\r\\n")
                for _ in range({TOKENS}):
                    connection.sendall(b"data: %d\\n\\n" % time.monotonic_ns())
                    time.sleep({PAUSE})
                return
            else:
                connection.sendall(head(3) + b"ok\\n")
server = socket.create_server(("", int(sys.argv[1])), backlog=128)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


@dataclass
class Kind:
    """One kind of use: what it gives of each way, turn by turn."""

    name: str
    unit: str
    # Whether more is better.
    is_throughput: bool
    ours: list = field(default_factory=list)
    plain: list = field(default_factory=list)


def measure(lab, options):
    """All kinds of use, through both ways."""
    say("a server")
    program = ["--time", "120", "--health", "/", "--", "python3", "-c", SERVER, "{port}"]
    lab.submit("streams", *program)
    lab.settle()
    service = lab.json("show", "streams")
    kinds = [
        Kind("requests/s, one kept connection", "", True),
        Kind("the same, median latency", "ms", False),
        Kind("the same, 99th percentile", "ms", False),
        Kind(f"requests/s, {CONNECTIONS} kept connections", "", True),
        Kind("requests/s, a connection each", "", True),
        Kind("the same, median latency", "ms", False),
        Kind("the same, 99th percentile", "ms", False),
        Kind("64 MiB received", "MiB/s", True),
        Kind("64 MiB sent", "MiB/s", True),
        Kind("token stream, median delay of a token", "ms", False),
        Kind("the same, 99th percentile", "ms", False),
    ]
    with plain_forward(lab, service) as plain:
        ways = {"ours": service["local_port"], "plain": plain}
        for port in ways.values():
            use(port, 1)
        for turn in range(options.repeat):
            say(f"turn {turn + 1} of {options.repeat}")
            for way, port in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
                for kind, figure in zip(kinds, use(port, options.requests), strict=True):
                    getattr(kind, way).append(figure)
    lab.run("stop", "streams")
    return kinds


@contextlib.contextmanager
def plain_forward(lab, service):
    """A connection of its own with one forward, as a user types it. Gives its local port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    forward = f"127.0.0.1:{port}:{service['place']['host']}:{service['place']['port']}"
    words = ["ssh", "-F", str(lab.dir / "ssh_config"), "-S", "none", "-N", "-l", "alice", "-L", forward, "login"]
    process = subprocess.Popen(words, env=lab.environment, stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError("a plain `ssh -L` could not be opened")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def use(port, requests):
    """All figures of one way, in the order of the kinds."""
    kept = latencies(port, requests, keep=True)
    many = concurrent(port, 2 * requests)
    new = latencies(port, requests, keep=False)
    received, sent = body(port, b"GET /body"), body(port, b"POST /")
    delays = tokens(port)
    return [
        *summary(kept), many, *summary(new), received, sent, percentile(delays, 50) * 1000, percentile(delays, 99) * 1000
    ]


def summary(times):
    """Requests per second, median and 99th percentile in ms."""
    return len(times) / sum(times), percentile(times, 50) * 1000, percentile(times, 99) * 1000


def percentile(numbers, part):
    numbers = sorted(numbers)
    return numbers[min(len(numbers) - 1, len(numbers) * part // 100)]


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answer(connection):
    said = b""
    while not said.endswith(b"\r\n\r\nok\n"):
        part = connection.recv(4096)
        if not part:
            raise BenchError(f"a request was not answered: {said!r}")
        said += part


def latencies(port, count, keep):
    """The time of each of so many requests, one after the other, with the making of its connection if none is kept."""
    times, connection = [], connect(port) if keep else None
    for _ in range(count):
        began = time.perf_counter()
        used = connection or connect(port)
        used.sendall(REQUEST)
        answer(used)
        times.append(time.perf_counter() - began)
        if not keep:
            used.close()
    if connection:
        connection.close()
    return times


def concurrent(port, count):
    """Requests per second over several kept connections, each with one request under way."""
    with selectors.DefaultSelector() as ready, contextlib.ExitStack() as opened:
        connections = [opened.enter_context(connect(port)) for _ in range(CONNECTIONS)]
        began = time.perf_counter()
        for connection in connections:
            ready.register(connection, selectors.EVENT_READ)
            connection.sendall(REQUEST)
        asked, left = CONNECTIONS, count
        while left > 0:
            for key, _ in ready.select(30):
                answer(key.fileobj)
                left -= 1
                if asked < count:
                    asked += 1
                    key.fileobj.sendall(REQUEST)
        return count / (time.perf_counter() - began)


def body(port, deed):
    """MiB per second of one large body, one way or the other."""
    with connect(port) as connection:
        began = time.perf_counter()
        length = BODY if deed.startswith(b"POST") else 0
        connection.sendall(b"%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (deed, length))
        if length:
            chunk = bytes(MIB)
            for _ in range(BODY // MIB):
                connection.sendall(chunk)
            answer(connection)
        else:
            left = BODY
            with connection.makefile("rb") as stream:
                while stream.readline() != b"\r\n":
                    pass
                while left:
                    part = stream.read1(MIB)
                    if not part:
                        raise BenchError("a body was cut short")
                    left -= len(part)
        return BODY / MIB / (time.perf_counter() - began)


def tokens(port):
    """How long each token of a stream took from the server to the client, in seconds."""
    delays = []
    with connect(port) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"GET /tokens HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for line in stream:
            if line.startswith(b"data: "):
                delays.append((time.monotonic_ns() - int(line[6:])) / 1e9)
    if len(delays) != TOKENS:
        raise BenchError(f"{len(delays)} of {TOKENS} tokens came")
    return delays
