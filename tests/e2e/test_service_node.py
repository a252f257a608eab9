"""The contract is enough for others: a client in Node that has the .proto files alone."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gateway import running

ROOT = Path(__file__).resolve().parents[2]
CLIENT = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script, with its packages beside it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    for file in CLIENT.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    words = [npm, "install", "--silent", "--no-audit", "--no-fund"]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode:
        pytest.skip(f"npm cannot install gRPC for Node here: {done.stderr[-200:]}")
    return folder / "client.js"


def test_a_client_in_node_uploads_downloads_creates_and_watches(client: Path, tmp_path: Path):
    async def test() -> str:
        async with running(tmp_path) as gateway:
            token = gateway.core.tokens.create("node")
            process = await asyncio.create_subprocess_exec(
                *("node", str(client), gateway.address, token, str(ROOT / "proto")),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, err.decode()
            return out.decode()

    said = json.loads(asyncio.run(test()))
    assert said["same"] is True
    assert said["job"].startswith("reconstructionJobs/")
    assert said["states"][0] == "JOB_STATE_QUEUED"
    assert said["states"][-1] == "JOB_STATE_CANCELLED"
    assert said["refused"] == "UNAUTHENTICATED"
