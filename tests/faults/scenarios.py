"""What may happen to the hosts of a job, and what becomes of the job."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from actors.remote import THREADS
from tests.chaos.killing import command, digest
from tests.faults.hosts import PORT, Host, HostError, hosts, wait_for_nodes
from worldloom.api import ARTIFACTS_FOLDER

_CUT_S = 20.0
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class FaultRun:
    """What became of a job."""

    scenario: str
    seconds: float
    """From its start to its end."""
    starts: int
    digest: str
    log: str
    """End of what the job wrote."""


class Job:
    """A job on the hosts, whose driver runs on the first."""

    def __init__(self, made: list[Host], source: Path, out: Path) -> None:
        self.hosts = made
        self.head = made[0]
        self.out = out
        self.log = out.with_suffix(".log")
        address = f"{self.head.address}:{PORT}"
        self._command = command(source, out, "--runner", "ray", "--address", address)
        self.starts = 0

    def start(self) -> None:
        """Starts the driver."""
        self.driver = self.head.run(*self._command, log=self.log)
        self.starts += 1

    def wait_for_results(self, count: int) -> None:
        """Waits until some work is finished."""
        begun_s = time.monotonic()
        while len(list(self.out.rglob("result.json"))) < count:
            if self.driver.poll() is not None or time.monotonic() > begun_s + _TIMEOUT_S:
                raise HostError(f"the job did not get to {count} results: {self.told()}")
            time.sleep(0.05)

    def told(self) -> str:
        """Returns the end of what the driver wrote."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""


def _undisturbed(job: Job) -> None:
    job.start()


def _node_killed(job: Job) -> None:
    job.start()
    job.wait_for_results(30)
    job.hosts[2].power_off()


def _node_joins(job: Job) -> None:
    job.start()
    job.wait_for_results(20)
    job.hosts[2].start_ray(job.head)


def _network_cut(job: Job) -> None:
    job.start()
    job.wait_for_results(30)
    job.hosts[1].plug(on=False)
    time.sleep(_CUT_S)
    job.hosts[1].plug(on=True)


def _head_restarted(job: Job) -> None:
    job.start()
    job.wait_for_results(30)
    for host in job.hosts:
        host.power_off()
    for host in job.hosts:
        host.start_ray(job.head)
        if host is job.head:
            wait_for_nodes(job.head, 1)
    wait_for_nodes(job.head, len(job.hosts))
    job.start()


def _disk_full(job: Job) -> None:
    job.start()
    job.driver.wait(timeout=_TIMEOUT_S)
    if "is tried elsewhere" not in job.log.read_text(errors="replace"):
        raise HostError(f"{_FULL}: no item met the full disk: {job.told()}")


_JOINS, _FULL = "node joins", "disk full on one node"
SCENARIOS: dict[str, Callable[[Job], None]] = {
    "undisturbed": _undisturbed,
    "node killed": _node_killed,
    _JOINS: _node_joins,
    "network cut for 20 s": _network_cut,
    "head restarted, job started again": _head_restarted,
    _FULL: _disk_full,
}


def run_scenario(name: str, source: Path, folder: Path) -> FaultRun:
    """Runs one job on three hosts while something happens to them.

    Raises:
        HostError: the job does not end well, or the hosts cannot be made.
    """
    out = folder / name.replace(" ", "-")
    store = out / ARTIFACTS_FOLDER
    store.mkdir(parents=True)
    with hosts(3, dict(THREADS)) as made:
        first = made[:2] if name == _JOINS else made
        for host in first:
            full = store if name == _FULL and host is made[2] else None
            host.start_ray(made[0], full_disk=full)
            if host is made[0]:
                wait_for_nodes(made[0], 1)
        wait_for_nodes(made[0], len(first))
        job = Job(made, source, out)
        begun_s = time.monotonic()
        SCENARIOS[name](job)
        if job.driver.wait(timeout=_TIMEOUT_S) != 0:
            raise HostError(f"{name}: the job ended with {job.driver.returncode}: {job.told()}")
        seconds = time.monotonic() - begun_s
        return FaultRun(name, seconds, job.starts, digest(job.out), job.told())
