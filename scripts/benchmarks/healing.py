"""How long tunnels take to heal: told by the end-to-end stories, which break them."""

import re
import subprocess
from dataclasses import dataclass

from .lab import ROOT, say
from .measure import BenchError

STORIES = ["cargo", "test", "--locked", "--package", "towline", "--features", "e2e", "--test", "e2e"]
LINE = re.compile(r"^heal: (?P<fault>.+): by (?P<by>\S.*?) (?P<took>[\d.]+) s(?:(?P<more>[^;]*))(?:; the longest request (?P<longest>[\d.]+) s)?$")


@dataclass
class Healing:
    """One fault that went by while somebody looked."""

    fault: str
    by: str
    took: str
    longest: str


def measure():
    """Plays the stories of healing, one at a time, and takes up what they tell."""
    say("the end-to-end stories of healing")
    words = [*STORIES, "--", "heal_", "--nocapture", "--test-threads=1"]
    run = subprocess.run(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told = [match for line in run.stdout.splitlines() if (match := LINE.search(line))]
    if run.returncode != 0 or not told:
        raise BenchError(f"the stories of healing failed: {' '.join(words)}\n{run.stdout[-2000:]}")
    return [
        Healing(line["fault"] + line["more"], healer(line["by"]), line["took"], line["longest"] or "–") for line in told
    ]


def healer(by):
    """Who looked, in a user's words."""
    verb = re.search(r'"(.+)"', by)
    if by.startswith("Watch"):
        return f"`towline {verb[1]}` each second"
    if by.startswith("Later"):
        return f"`towline {verb[1]}` afterwards"
    return "`towline keep`"
