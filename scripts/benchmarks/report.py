"""The tables, in Markdown."""

import os
import re
import time
from pathlib import Path
from statistics import median

from .cases import MEMORY
from .measure import AT_ONCE, machine
from .streams import LATENCY, THROUGHPUT


def mark(verb):
    """What stands before and after the part of the page that this subcommand makes."""
    return f"<!-- scripts/bench {verb} -->"


def render(verb, tables, versions, command):
    """The part of the page that is made anew by each run."""
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    lines = [
        mark(verb),
        f"`{command}`, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}: {versions}; {machine()};"
        f" load at the end {load}. Medians, in brackets the least and the greatest.",
        *(line for rows in tables for line in ("", *rows)),
        mark(verb),
    ]
    return "\n".join(lines) + "\n"


def refreshes(cases):
    """The tables of `scripts/bench refresh`."""
    of_services = [case for case in cases if case.healthy or case.pending]
    return [table(of_services, REFRESH), table([case for case in cases if case not in of_services], OTHERS)]


def tunnels(kinds, healings):
    """The tables of `scripts/bench tunnel`."""
    return [table(kinds, STREAMS), *([table(healings, HEALING)] if healings else [])]


def table(cases, columns):
    rows = [[title for title, _ in columns], ["---" for _ in columns]]
    rows += [[cell(case) for _, cell in columns] for case in cases]
    return ["| " + " | ".join(row) + " |" for row in rows]


def middle(numbers, unit, digits=0):
    """Median, least and greatest of `numbers`, divided by `unit`."""
    numbers = sorted(number / unit for number in numbers)
    text = f"{median(numbers):,.{digits}f}"
    if len(numbers) < 2:
        return text
    return f"{text} [{numbers[0]:,.{digits}f}–{numbers[-1]:,.{digits}f}]"


def wall(case):
    return middle([run.wall for run in case.runs], 0.001, 1)


def bare(case):
    return " + ".join(f"{name} {median(case.bare[name]) * 1000:.1f}" for name in case.bare) or "–"


def ratios(case):
    """Of each turn: how many times longer than its counterparts together."""
    together = [sum(times) for times in zip(*case.bare.values())]
    return [run.wall / time for run, time in zip(case.runs, together)]


def ratio(case):
    return middle(ratios(case), 1, 2) if case.bare else "–"


def verdict(case):
    """The budget of time and commands, and whether the median of the one and each run of the other keep it."""
    wishes, kept = [], True
    if case.ratio is not None:
        wishes.append(f"≤ {case.ratio:g} ×")
        kept &= median(ratios(case)) <= case.ratio
    if case.limit is not None:
        wishes.append(f"≤ {case.limit * 1000:g} ms")
        kept &= median(run.wall for run in case.runs) <= case.limit
    if case.commands is not None:
        wishes.append(f"≤ {case.commands} commands, 0 logins")
        kept &= all(run.commands <= case.commands and run.logins == 0 for run in case.runs)
    return f"{', '.join(wishes)}: **{'holds' if kept else 'does not hold'}**"


def memory(case):
    peak = max(run.memory for run in case.runs)
    return f"{peak / 1024**2:.1f}" + ("" if peak <= MEMORY else " (over)")


def span(numbers):
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def cpu(case):
    return f"{median(run.cpu for run in case.runs) * 1000:.1f}"


def cpu_per_service(case):
    return f"{median(run.cpu for run in case.runs) * 1000 / (case.healthy + case.pending):.2f}"


def commands(case):
    return span([run.commands for run in case.runs])


def logins(case):
    return span([run.logins for run in case.runs])


def octets(case):
    sent, received = (median(getattr(run, way) for run in case.runs) for way in ("sent", "received"))
    return f"{sent / 1000:,.1f} / {received / 1000:,.1f}"


def services(case):
    waiting = f" + {case.pending} PENDING" if case.pending else ""
    return f"{case.healthy} HEALTHY{waiting}"


REFRESH = [
    ("services", services),
    ("", lambda case: case.name),
    ("refresh, ms", wall),
    (f"bare, ms (pings {AT_ONCE} at a time)", bare),
    ("ratio", ratio),
    ("CPU, ms", cpu),
    ("a service", cpu_per_service),
    ("commands", commands),
    ("logins", logins),
    ("kB sent / received", octets),
    ("MB", memory),
    ("budget", verdict),
]

OTHERS = [
    ("", lambda case: f"`{case.name}`"),
    ("wall, ms", wall),
    ("bare, ms", bare),
    ("ratio", ratio),
    ("CPU, ms", cpu),
    ("commands", commands),
    ("logins", logins),
    ("MB", memory),
    ("budget", verdict),
]


def in_unit(kind, numbers):
    return middle(numbers, 1, 2 if kind.unit == "ms" else 0) + (f" {kind.unit}" if kind.unit else "")


def times_plain(kind):
    """Of each turn: how many times as much as a plain `ssh -L`."""
    return [ours / plain for ours, plain in zip(kind.ours, kind.plain, strict=True)]


def stream_verdict(kind):
    times = median(times_plain(kind))
    wish, kept = (f"≥ {THROUGHPUT} ×", times >= THROUGHPUT) if kind.is_throughput else (f"≤ {LATENCY} ×", times <= LATENCY)
    return f"{wish}: **{'holds' if kept else 'does not hold'}**"


STREAMS = [
    ("", lambda kind: kind.name),
    ("through Towline's tunnel", lambda kind: in_unit(kind, kind.ours)),
    ("through `ssh -L`", lambda kind: in_unit(kind, kind.plain)),
    ("ratio", lambda kind: middle(times_plain(kind), 1, 2)),
    ("budget", stream_verdict),
]

HEALING = [
    ("what broke", lambda healing: healing.fault),
    ("who looked", lambda healing: healing.by),
    ("healed after, s", lambda healing: healing.took),
    ("longest request meanwhile, s", lambda healing: healing.longest),
]


def put(text, path, verb):
    """Replaces the part of the page between the marks, or makes the page."""
    path = Path(path)
    page = path.read_text() if path.exists() else ""
    between = re.compile(f"{re.escape(mark(verb))}.*{re.escape(mark(verb))}\n", re.DOTALL)
    path.write_text(between.sub(lambda _: text, page) if between.search(page) else page + text)
