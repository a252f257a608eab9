"""A driver that joins a cluster that is there, with the code of its own checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from cluster.session import RaySession

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from ray import cloudpickle
from cluster.ray_runner import RayRunner
from tests.integration import stages
from worldloom.bench import BenchConfig

cloudpickle.register_pickle_by_value(stages)
works = [stages.Task("joined", n) for n in range(4)]
with RayRunner(BenchConfig(sys.argv[2]), workers=1, address=sys.argv[1]) as runner:
    outcomes = runner.map(stages.perform_stage(), works, lambda progress: None)
print([outcome.value.n for outcome in outcomes])
"""


def _join(
    address: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, address, str(folder / "store")],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_joined_cluster_gets_our_code_and_stays(ray_session: RaySession, tmp_path: Path):
    address = ray.get_runtime_context().gcs_address
    joined = _join(address, tmp_path, dict(os.environ))
    assert joined.returncode == 0, joined.stderr
    assert joined.stdout.splitlines()[-1] == "[0, 1, 4, 9]"
    assert len(ray_session.nodes()) == 1


@pytest.mark.usefixtures("ray_session")
def test_a_missing_token_is_named(tmp_path: Path):
    address = ray.get_runtime_context().gcs_address
    environment = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    environment |= {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
    refused = _join(address, tmp_path, environment)
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("worldloom.errors.RunnerError: the Ray cluster at")
    assert "RAY_AUTH_TOKEN" in last
