"""Two gateways on one PostgreSQL; skipped where there is none."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from cluster.client import AsyncClient, InputSpec, ReconstructSpec, State
from tests.gateway import running
from worldloom.errors import AlreadyExistsError

pytest.importorskip("psycopg")
NOBODY = 65534


@pytest.fixture
def database(tmp_path: Path) -> Generator[str]:
    """The URL of a database of its own."""
    programs = [shutil.which(name) for name in ("initdb", "postgres")]
    if not all(programs):
        pytest.skip("PostgreSQL is not installed")
    # PostgreSQL refuses to run as root.
    user = NOBODY if os.getuid() == 0 else None
    home = Path("/tmp") / f"worldloom-postgres-{os.getpid()}"
    home.mkdir(mode=0o700)
    if user is not None:
        os.chown(home, user, user)
    words = [str(programs[0]), "-D", str(home / "data"), "-U", "worldloom", "--auth=trust", "-N"]
    made = subprocess.run(words, user=user, cwd="/", capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(home)
        pytest.skip(f"PostgreSQL cannot be set up here: {made.stderr[-200:]}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(programs[1]), "-D", str(home / "data"), "-p", str(port), "-k", str(home), "-F"]
    server = subprocess.Popen(words, user=user, cwd="/", stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"postgresql+psycopg://worldloom@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(home)


def test_two_gateways_share_jobs_assets_and_request_ids(database: str, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"video")

    async def test() -> None:
        async with (
            running(tmp_path / "data", database_url=database, max_running=1) as first,
            running(tmp_path / "data", database_url=database, max_running=1) as second,
        ):
            token = first.core.tokens.create("alice")
            async with (
                AsyncClient(first.address, token) as a,
                AsyncClient(second.address, token) as b,
            ):
                asset = await a.upload(tmp_path / "a.mp4")
                assert (await b.upload(tmp_path / "a.mp4")).id == asset.id
                spec = ReconstructSpec((InputSpec(asset.id),))
                made = await asyncio.gather(
                    *(c.create_job(spec, request_id="x") for c in (a, b) for _ in range(3))
                )
                (job_id,) = {job.id for job in made}
                with pytest.raises(AlreadyExistsError):
                    await b.create_job(ReconstructSpec((InputSpec(asset.id),), "t"), request_id="x")
                waiting = await a.create_job(spec)
                while not first.launcher.states.keys() | second.launcher.states.keys():
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1.0)
                # One gateway has it, and with one place the other job waits.
                starts = [*first.launcher.states, *second.launcher.states]
                assert starts == [job_id]
                assert (await b.get_job(waiting.id)).state is State.QUEUED
                await b.cancel_job(job_id)
                await b.cancel_job(waiting.id)
                states = [e.state.state async for e in b.watch_job(job_id) if e.state is not None]
                assert states[-1] is State.CANCELLED
                assert states[:2] == [State.QUEUED, State.RUNNING]

    asyncio.run(test())
