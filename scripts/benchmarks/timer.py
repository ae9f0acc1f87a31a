"""Runs programs and tells what each took. Started by `measure.py` as a process of its own, with `-I -S`.

A program's peak memory as wait4(2) tells it is never less than that of the process which started it, so this one is
kept small: it imports next to nothing and speaks marshal, not JSON, on its standard input and output.
"""

import marshal
import os
import sys
import time


def spawn(words, environment, output):
    """Starts a program with its standard output in the file `output` and its standard error in `output`.err."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, output + ".err", flags, 0o600),
    ]
    return os.posix_spawnp(words[0], words, environment, file_actions=actions)


def main():
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            words, environment, output = marshal.load(requests)
        except EOFError:
            return
        began = time.perf_counter()
        _, status, used = os.wait4(spawn(words, environment, output), 0)
        wall = time.perf_counter() - began
        code = os.waitstatus_to_exitcode(status)
        marshal.dump((code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss), answers)
        answers.flush()


main()
