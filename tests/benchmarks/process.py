"""Runs a command and watches what it takes, its children included."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

_SAMPLE_EVERY_S = 0.2


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    returncode: int
    stdout: str
    wall_s: float
    cpu_s: float
    """User and system time of all processes, as last sampled."""
    peak_process_mib: float
    """Largest resident memory of one process at any sample."""
    peak_process: str
    """Name of that process."""


def watch(command: Sequence[str]) -> Usage:
    """Runs a command to its end; its errors go to the terminal."""
    with tempfile.TemporaryFile("w+") as written:
        start = time.monotonic()
        running = subprocess.Popen(command, stdout=written)
        usage = _sampled(running, start)
        written.seek(0)
        return replace(usage, stdout=written.read())


def _sampled(running: subprocess.Popen[bytes], start: float) -> Usage:
    root = psutil.Process(running.pid)
    cpu_s: dict[int, float] = {}
    peak, peak_name = 0.0, ""
    while running.poll() is None:
        for process in (root, *_children(root)):
            try:
                with process.oneshot():
                    times, resident = process.cpu_times(), process.memory_info().rss / 2**20
                    name = process.name()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue  # it ended between listing and reading
            cpu_s[process.pid] = times.user + times.system
            if resident > peak:
                peak, peak_name = resident, name
        time.sleep(_SAMPLE_EVERY_S)
    wall_s = time.monotonic() - start
    return Usage(running.returncode, "", wall_s, sum(cpu_s.values()), peak, peak_name)


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
