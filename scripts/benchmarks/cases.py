"""What is measured, each beside its bare counterpart, in turns."""

import json
import sqlite3
import time
import uuid
from dataclasses import dataclass, field

from .lab import say
from .measure import BenchError, ping_all

# What is known for less than 2 s is not asked for again, and a scheduler's word is good for 60 s (`Terms` in
# crates/core/src/terms.rs).
FRESH = 2.1
VERIFY = 60

# Budgets: how many times longer than the bare commands, of refreshes from so many services on; seconds; bytes.
REFRESH_RATIO = 1.5
MANY = 100
SUBMIT_RATIO = 3
VERSION = 0.010
LS = {1000: 0.050}
MEMORY = 15 * 1024**2


@dataclass
class Case:
    """Runs of one thing, and in the same turns of its bare counterparts, each by its name, in seconds."""

    name: str
    runs: list = field(default_factory=list)
    bare: dict = field(default_factory=dict)
    healthy: int = 0
    pending: int = 0
    # How many remote commands a run may send; `None` where it has no say in that.
    commands: int | None = None
    # How many times longer than its counterparts, or how many seconds, it may take; `None` without a budget.
    ratio: float | None = None
    limit: float | None = None

    @classmethod
    def of_refresh(cls, name, healthy, pending, commands):
        ratio = REFRESH_RATIO if healthy + pending >= MANY else None
        return cls(name, healthy=healthy, pending=pending, commands=commands, ratio=ratio)

    def take_turns(self, lab, repeat, action, counterparts, pause=0.0):
        """Does `action` and its counterparts in turns, each first as often as last."""
        for turn in range(repeat):
            time.sleep(pause)
            steps = [(None, action), *counterparts.items()]
            for name, step in steps if turn % 2 == 0 else reversed(steps):
                if name is None:
                    self.runs.append(lab.login_host.around(step))
                else:
                    self.bare.setdefault(name, []).append(step())
                time.sleep(0.1)


def measure(lab, options):
    """All cases, in the order in which they are told."""
    return [*refreshes(lab, options), submission(lab, options), *listings(lab, options), version(lab, options)]


def refreshes(lab, options):
    """The services are grown from size to size, so that those of a size are part of the next."""
    cases, served = [], 0
    for size in options.sizes:
        healthy = min(size, options.healthy)
        say(f"{size} services, {healthy} of which run")
        for number in range(served, healthy):
            lab.serve(f"web-{number}")
        served = healthy
        for number in range(size - healthy):
            lab.hold(f"held-{number}")
        ports = lab.settle()
        if size == healthy:
            cases.extend(answered(lab, options, ports))
            lab.hold("held-0")
            lab.settle()
        cases.append(surveyed(lab, options, ports, max(size - healthy, 1)))
        if size == healthy:
            lab.run("stop", "held-0")
    return cases


def answered(lab, options, ports):
    """All answer their pings: first when the scheduler's word has just become too old, then while it is good."""
    due = Case.of_refresh("verification is due", len(ports), 0, commands=1)
    end = time.monotonic() + VERIFY + 10
    while not due.runs:
        if time.monotonic() > end:
            raise BenchError(f"the scheduler was not asked for {VERIFY + 10} s")
        attempt = Case("")
        attempt.take_turns(lab, 1, lambda: lab.run("refresh"), bare(lab, ports), FRESH)
        if attempt.runs[0].commands:
            due.runs, due.bare = attempt.runs, attempt.bare
    case = Case.of_refresh("all answer", len(ports), 0, commands=0)
    case.take_turns(lab, options.repeat, lambda: lab.run("refresh"), bare(lab, ports), FRESH)
    return [case, due]


def surveyed(lab, options, ports, pending):
    """Services that wait in the queue are asked for at each look: pings, and one survey."""
    case = Case.of_refresh("some wait", len(ports), pending, commands=1)
    case.take_turns(lab, options.repeat, lambda: lab.run("refresh"), bare(lab, ports), FRESH)
    return case


def bare(lab, ports):
    return {
        "squeue": lambda: lab.over_master("squeue", "--me").wall,
        "pings": lambda: ping_all(ports),
    }


def submission(lab, options):
    """From `run` to an accepted job, beside `sbatch` of the same script over the same master."""
    say("submissions")
    first = lab.json("show", "web-0")["id"]
    services = f"/home/alice/{lab.remote}/services"
    sbatch = ["sbatch", "--parsable", "--hold", f"--chdir={services}", f"{services}/{first}/job.sh"]
    numbers = iter(range(options.repeat))
    case = Case("run --detach", commands=1, ratio=SUBMIT_RATIO)
    run = lambda: lab.hold(f"held-more-{next(numbers)}")
    case.take_turns(lab, options.repeat, run, {"sbatch": lambda: lab.over_master(*sbatch).wall})
    return case


def listings(lab, options):
    """`ls` of ledgers that hold copies of the services which were measured."""
    for rows in options.rows:
        say(f"ls of {rows} rows")
        directory = lab.dir / f"ledger-{rows}"
        copy_ledger(lab.dir / "home/.local/share/towline/towline.db", directory, rows)
        elsewhere = {"TOWLINE_DATA_DIR": str(directory)}
        case = Case(f"ls --no-refresh, {rows:,} rows", commands=0, limit=LS.get(rows))
        run = lambda: lab.run("ls", "--no-refresh", environment=elsewhere)
        case.take_turns(lab, options.repeat, run, {})
        yield case


def copy_ledger(source, directory, rows):
    """Fills a ledger with `rows` services that have not ended: those of `source`, again and again under other names."""
    directory.mkdir(mode=0o700)
    target = directory / "towline.db"
    with sqlite3.connect(source) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    with sqlite3.connect(target) as ledger:
        ledger.execute("DELETE FROM events WHERE service_id IN (SELECT id FROM services WHERE ended)")
        ledger.execute("DELETE FROM services WHERE ended")
        cursor = ledger.execute("SELECT * FROM services")
        columns = [column[0] for column in cursor.description]
        originals = [dict(zip(columns, row)) for row in cursor]
        ledger.execute("DELETE FROM services")
        insert = f"INSERT INTO services ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"
        for number in range(rows):
            row = dict(originals[number % len(originals)])
            name = f"{row['name']}-{number}"
            spec = {**json.loads(row["spec"]), "name": name}
            row.update(id=str(uuid.uuid4()), name=name, spec=json.dumps(spec))
            ledger.execute(insert, [row[column] for column in columns])
    target.chmod(0o600)


def version(lab, options):
    """`--version`, beside a program that does nothing."""
    case = Case("--version", commands=0, limit=VERSION)
    nothing = lambda: lab.timer.run(["true"], lab.environment).wall
    case.take_turns(lab, 3 * options.repeat, lambda: lab.run("--version"), {"true": nothing})
    return case
