"""A reconstruction as a Ray Job: through the gateway onto a cluster that asks for a token."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.client import Client, InputSpec, ReconstructSpec, State
from cluster.jobs import RayJobs
from tests.ports import free_ports, listens
from tests.serving import made_token, serving
from worldloom.errors import JobError
from worldloom.synthetic import SceneSpec, build_scene, write_scene

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parents[2]
TOKEN = secrets.token_hex(16)
PROTECTED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The job server of a protected cluster in a process of its own."""
    port, dashboard, agent = free_ports(3)
    log_path = tmp_path_factory.mktemp("cluster") / "ray.log"
    bin_folder = Path(sys.executable).parent
    # Sockets of Ray lie in there, and their paths may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="wl", dir="/tmp") as sockets, log_path.open("w") as log:
        command = [
            *(str(bin_folder / "ray"), "start", "--head", "--block", "--num-cpus", "2"),
            *("--port", str(port), "--node-ip-address", "127.0.0.1"),
            *("--dashboard-port", str(dashboard), "--dashboard-agent-listen-port", str(agent)),
            *("--temp-dir", sockets, "--object-store-memory", str(128 * 2**20)),
            "--disable-usage-stats",
        ]
        path = f"{bin_folder}:{os.environ['PATH']}"
        environment = os.environ | PROTECTED | {"PATH": path}
        cluster = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            end_s = time.monotonic() + 90
            while not listens(dashboard):
                assert time.monotonic() < end_s, log_path.read_text()
                time.sleep(0.5)
            yield f"http://127.0.0.1:{dashboard}"
        finally:
            cluster.terminate()
            cluster.wait(60)


def test_a_job_runs_as_a_ray_job_of_a_protected_cluster(address: str, tmp_path: Path):
    spec = SceneSpec(layout="corner", frames=5, width_px=96, height_px=64, supersampling=1)
    write_scene(build_scene(spec), tmp_path / "corner")
    data = tmp_path / "data"
    token = made_token(data)
    with pytest.raises(JobError, match="token"):
        RayJobs(address, "0" * 32).list()
    with (
        serving(data, 0, "--ray-address", address, env=PROTECTED) as (_, port),
        Client(f"127.0.0.1:{port}", token) as client,
    ):
        media = client.upload(tmp_path / "corner" / "video.mp4")
        cameras = client.upload(tmp_path / "corner" / "camera.json")
        source = InputSpec(media.id, cameras.id)
        wanted = ReconstructSpec((source,), resolution_px=96, textures=False)
        job = client.wait_job(client.create_job(wanted).id)
        assert job.state is State.SUCCEEDED, job.fault
        assert job.scene_id is not None
        assert client.get_scene(job.scene_id).faces > 100
        assert job.attempts == 1
    report = RayJobs(address, TOKEN).report(job.id)
    assert report.exit_code == 0
    assert report.metadata["worldloom-principal"] == "alice"
    assert "cluster.worker" in report.entrypoint
