"""A short run of `make chaos`: whoever is killed, the scene is the same."""

from pathlib import Path

import pytest

from tests.chaos.killing import chaos_run, undisturbed

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]


def test_the_scene_is_the_same_whoever_is_killed(tmp_path: Path):
    source, reference = undisturbed(tmp_path)
    # Seed 3 kills the driver, too.
    runs = [chaos_run(seed, source, tmp_path / f"run-{seed}") for seed in (3,)]
    assert sum(len(run.kills) for run in runs) >= 1
    assert {run.digest for run in runs} == {reference}
