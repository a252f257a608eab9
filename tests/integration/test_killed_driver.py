"""kill -9 of the driver half-way, then the same command again."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from cluster.ray_runner import RayRunner
from tests.integration.stages import Square, Task, perform_stage, times_begun
from worldloom.bench import BenchConfig
from worldloom.inline import InlineRunner
from worldloom.stage import Progress

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
COUNT = 24
AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
"""Processes of Ray that take up to a minute to notice that the rest is gone."""


def _command(store: Path, kind: str, sleep_s: float) -> list[str]:
    program = [sys.executable, "-m", "tests.integration.driver"]
    return [*program, str(store), kind, str(COUNT), str(sleep_s)]


def _kill_half_way(command: list[str]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Returns the processes that the driver had started, and which of them are agents."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if int(line.split()[0]) >= COUNT // 3:
                break
        below = psutil.Process(driver.pid).children(recursive=True)
        agents = [process for process in below if process.name() in AGENTS]
        driver.kill()
    assert driver.returncode == -9
    return below, agents


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("kind", ["inline", "ray"])
def test_finished_work_is_not_done_again(kind: str, tmp_path: Path):
    below, agents = _kill_half_way(_command(tmp_path, kind, 0.1))
    assert bool(below) == (kind == "ray")
    workers = [process for process in below if process not in agents]
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == [], "workers end with their driver"

    stage = perform_stage()
    keys = [stage.key(Task("killed", n, sleep_s=0.1)) for n in range(COUNT)]
    finished = [key for key in keys if (tmp_path / key / "result.json").exists()]
    cut_off = [key for key in keys if key not in finished and times_begun(tmp_path, key)]
    assert COUNT // 3 <= len(finished) < COUNT

    seen: list[Progress] = []
    works = [Task("killed", n, sleep_s=0.1) for n in range(COUNT)]
    bench = BenchConfig(str(tmp_path))
    with closing(RayRunner(bench, 2) if kind == "ray" else InlineRunner(bench, 2)) as runner:
        outcomes = runner.map(stage, works, seen.append)
    assert [outcome.value for outcome in outcomes] == [Square(n**2) for n in range(COUNT)]
    assert seen[-1] == Progress(stage.name, COUNT, COUNT, reused=len(finished), failed=0)
    assert [times_begun(tmp_path, key) for key in keys] == [
        2 if key in cut_off else 1 for key in keys
    ]


def test_a_run_that_is_all_done_starts_no_cluster(tmp_path: Path):
    command = _command(tmp_path, "inline", 0.0)
    first = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    start = time.monotonic()
    with subprocess.Popen(
        _command(tmp_path, "ray", 0.0), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as driver:
        children: set[str] = set()
        while driver.poll() is None:
            below = psutil.Process(driver.pid).children(recursive=True)
            children |= {process.name() for process in below if process.is_running()}
            time.sleep(0.05)
        assert driver.stdout is not None
        assert driver.stdout.read().splitlines()[-1] == first.stdout.splitlines()[-1]
    assert not {name for name in children if "raylet" in name or "gcs" in name}
    assert time.monotonic() - start < 20
