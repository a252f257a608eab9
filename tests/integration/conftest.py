"""One local Ray cluster for all integration tests; each runner joins it."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.resources import ActorResources, RoleResources
from cluster.ray_runner import RayConfig, RayRunner
from cluster.session import RaySession
from worldloom.bench import BenchConfig

# Ray reads its token once a process, and writes one into the home folder where there is none: then
# the clusters of tests that run side by side would find each other's.
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@pytest.fixture(scope="package")
def ray_session() -> Iterator[RaySession]:
    """A cluster of four CPUs on paper, whatever the machine has."""
    session = RaySession(
        None, local_cpus=4, object_store_mib=128, dashboard=False, log_to_driver=False
    )
    session.start()
    yield session
    session.close()
    assert not ray.is_initialized()


@pytest.fixture(scope="package")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `ray_runner`."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="package")
def ray_runner(ray_session: RaySession, store_root: Path) -> Iterator[RayRunner]:
    """A runner with two workers a role, which book one CPU in all.

    Tests tell their work apart by `Task.test`.
    """
    small = RoleResources(num_cpus=0.125)
    config = RayConfig(resources=ActorResources(small, small, small, small), shared_workers=False)
    bench = BenchConfig(str(store_root), cache_mib=64)
    with RayRunner(bench, workers=2, config=config) as runner:
        yield runner
    assert ray.is_initialized(), "a runner leaves a cluster alone that it did not start"
