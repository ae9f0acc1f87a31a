#!/usr/bin/python3
"""A Slurm of one node, for tests: sbatch, squeue, sacct and scancel, whichever name it is called by.

Its jobs are real processes of this machine; what is known of them is in $FAKE/jobs.json. If $FAKE/down exists, the
controller does not answer; if $FAKE/forgets exists, the queue forgets a job as soon as it has ended, and accounting alone
knows it. `requeue ID` and `wipe`, under any other name, are for the test itself.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

FAKE = os.environ["FAKE"]
ENDED = ("COMPLETED", "CANCELLED", "FAILED")
DOWN = "Unable to contact slurm controller (connect failure)"


def exists(name):
    return os.path.exists(os.path.join(FAKE, name))


def fail(words, code=1):
    print(words, file=sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def jobs():
    """The jobs, by id; what is changed of them is kept. Whoever reads the file alone sees all of it."""
    path = os.path.join(FAKE, "jobs.json")
    with open(os.path.join(FAKE, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                known = json.load(file)
        yield known
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(known, file)
        os.replace(path + ".new", path)


def start(job_id):
    """Leaves behind a process that runs the job and keeps how it ended."""
    subprocess.Popen(
        [sys.executable, os.path.realpath(__file__), "run", job_id],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )


def run(job_id):
    with jobs() as known:
        job = known[job_id]
        if job["state"] != "PENDING":
            return
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ["HOME"], "SLURM_JOB_ID": job_id,
            "SLURMD_NODENAME": "localhost", "SLURM_RESTART_COUNT": str(job["restarts"]),
        }
        with open(os.path.join(job["dir"], "server.log"), "ab") as log:
            process = subprocess.Popen(
                ["bash", job["script"]], cwd=job["dir"], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )
        # A later run begins in a later second, as after Slurm's own delay.
        job.update(state="RUNNING", start=max(int(time.time()), (job["start"] or 0) + 1), pid=process.pid)
    code = process.wait()
    with jobs() as known:
        job = known[job_id]
        signal_process_group(job["pid"], signal.SIGKILL)
        job.update(pid=None, exit=[max(code, 0), max(-code, 0)])
        if job.pop("requeued", False):
            job.update(state="PENDING", restarts=job["restarts"] + 1)
            start(job_id)
        elif job["state"] == "COMPLETING":
            job["state"] = "CANCELLED"
        else:
            job["state"] = "COMPLETED" if code == 0 else "FAILED"


def signal_process_group(leader, number):
    """Signals the job's shell and whatever else is in its session, as Slurm signals all of a job's processes."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                session = stat.read().rsplit(")", 1)[1].split()[3]
            if int(session) == leader:
                os.kill(int(entry), number)


def stop(job):
    job["state"] = "COMPLETING"
    signal_process_group(job["pid"], signal.SIGTERM)


def sbatch(arguments):
    if exists("down"):
        fail(f"sbatch: error: Batch job submission failed: {DOWN}")
    script = arguments[-1]
    with open(script, encoding="utf-8") as file:
        options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", file.read(), re.MULTILINE))
    if "partition" in options:
        fail("sbatch: error: Batch job submission failed: Invalid partition name specified")
    with jobs() as known:
        job_id = str(len(known) + 1)
        directory = next(word[8:] for word in arguments if word.startswith("--chdir="))
        known[job_id] = {
            "name": options["job-name"], "dir": directory, "script": script, "state": "PENDING", "start": None,
            "submitted": int(time.time()), "restarts": 0, "pid": None, "exit": [0, 0],
        }
    if "hold" not in options:
        start(job_id)
    print(job_id)


def squeue(arguments):
    if exists("down"):
        fail(f"slurm_load_jobs error: {DOWN}")
    form = arguments[arguments.index("-o") + 1]
    with jobs() as known:
        listed = {i: job for i, job in known.items() if not (exists("forgets") and job["state"] in ENDED)}
    if "-j" in arguments:
        wanted = arguments[arguments.index("-j") + 1]
        if wanted not in listed:
            fail("slurm_load_jobs error: Invalid job id specified")
        listed = {wanted: listed[wanted]}
    for job_id, job in listed.items():
        begun = job["state"] != "PENDING" and job["start"]
        fields = {
            "A": job_id, "T": job["state"], "B": "localhost" if begun else "n/a", "r": "None", "L": "UNLIMITED",
            "S": job["start"] if begun else "N/A", "V": job["submitted"], "j": job["name"],
            "M": f"0:{max(0, int(time.time()) - job['start']) if begun else 0:02}",
        }
        print(re.sub("%([A-Za-z])", lambda found: str(fields[found[1]]), form))


def sacct(arguments):
    delimiter = next(word[12:] for word in arguments if word.startswith("--delimiter="))
    names = arguments[arguments.index("-o") + 1].split(",")
    wanted = arguments[arguments.index("-j") + 1].split(",") if "-j" in arguments else None
    with jobs() as known:
        told = {i: job for i, job in known.items() if wanted is None or i in wanted}
    for job_id, job in told.items():
        fields = {
            "JobIDRaw": job_id, "State": job["state"], "ExitCode": "{}:{}".format(*job["exit"]),
            "Submit": job["submitted"], "Start": job["start"] or "Unknown", "NodeList": "localhost",
            "JobName": job["name"],
        }
        print("".join(f"{fields[name]}{delimiter}" for name in names))


def scancel(arguments):
    if exists("down"):
        fail(f"scancel: error: Kill job error on job id {arguments[0]}: {DOWN}")
    with jobs() as known:
        job = known.get(arguments[0], {"state": "COMPLETED"})
        job.pop("requeued", None)
        if job["state"] == "PENDING":
            job["state"] = "CANCELLED"
        elif job["state"] == "RUNNING":
            stop(job)


def requeue(arguments):
    with jobs() as known:
        job = known[arguments[0]]
        job["requeued"] = True
        stop(job)


def wipe(_):
    """Kills whatever is left."""
    with jobs() as known:
        for job in known.values():
            if job["pid"]:
                signal_process_group(job["pid"], signal.SIGKILL)


COMMANDS = {"sbatch": sbatch, "squeue": squeue, "sacct": sacct, "scancel": scancel}
NAME = os.path.basename(sys.argv[0])
if NAME in COMMANDS:
    COMMANDS[NAME](sys.argv[1:])
else:
    {"run": lambda rest: run(rest[0]), "requeue": requeue, "wipe": wipe}[sys.argv[1]](sys.argv[2:])
