"""Jobs of the service as Ray Jobs: started once, found again, stopped, with their words."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.gateway.launcher import LaunchState
from cluster.gateway.ray_jobs import RayLauncher
from tests.ports import free_ports, listens
from worldloom.errors import RunnerError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
RAY = Path(sys.executable).parent / "ray"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The job server of a cluster in a process of its own."""
    port, dashboard, agent = free_ports(3)
    folder = tmp_path_factory.mktemp("cluster")
    # Sockets of Ray lie in there, and their paths may have 107 characters at most.
    with (
        tempfile.TemporaryDirectory(prefix="wl", dir="/tmp") as sockets,
        (folder / "ray.log").open("w") as log,
    ):
        command = [
            *(str(RAY), "start", "--head", "--block", "--num-cpus", "2", "--port", str(port)),
            *("--node-ip-address", "127.0.0.1", "--dashboard-port", str(dashboard)),
            # Two clusters of one machine would want the same port for it.
            *("--dashboard-agent-listen-port", str(agent), "--temp-dir", sockets),
            *("--object-store-memory", str(128 * 2**20), "--disable-usage-stats"),
        ]
        environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
        cluster = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            within(90, lambda: listens(dashboard))
            yield f"http://127.0.0.1:{dashboard}"
        finally:
            cluster.terminate()
            cluster.wait(60)


def within(seconds: float, check: Callable[[], bool]) -> None:
    end_s = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(0.2)


def test_a_job_is_started_once_found_again_and_stopped(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    first = RayLauncher(address)
    assert first.status("job-1") is LaunchState.UNKNOWN
    code = (
        f"import time; open({str(tmp_path / 'runs')!r}, 'a').write('x'); "
        "print('a word', flush=True); "
    )
    command = ("python", "-c", code + "time.sleep(100)")
    for _ in range(2):
        first.submit(command, "job-1", {"A": "b"}, {"worldloom-job": "1"})
    within(60, (tmp_path / "runs").exists)
    second = RayLauncher(address)
    within(20, lambda: second.status("job-1") is LaunchState.RUNNING)
    within(20, lambda: "a word" in second.logs("job-1"))
    second.stop("job-1")
    within(60, lambda: second.status("job-1").has_ended)
    assert second.status("job-1") is LaunchState.STOPPED
    assert (tmp_path / "runs").read_text() == "x"
    second.stop("job-none")
    assert second.status("job-none") is LaunchState.UNKNOWN
    (node,) = second.nodes()
    assert (node.alive, node.cpus) == (True, 2.0)


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(RunnerError, match="--ray-address"):
        RayLauncher("http://127.0.0.1:9")
