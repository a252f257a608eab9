"""A runner starts while frames are read, where there is work, and ends while it is appraised."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

import pytest

from tests.corner import SPEC
from worldloom.api import reconstruct_files, reconstruct_sources
from worldloom.bench import BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError, RunnerError
from worldloom.ingest import IngestLimits, open_sources
from worldloom.inline import InlineRunner
from worldloom.reconstruction import Reconstruction
from worldloom.stage import Outcome, Progress, ProgressCallback, R, Stage, W
from worldloom.synthetic import build_scene, write_scene

FRAMES = 12


class Starting(InlineRunner):
    """Says where it was started; has no workers."""

    def __init__(
        self, bench: BenchConfig, starts: list[threading.Thread], reading: threading.Event | None
    ) -> None:
        super().__init__(bench)
        self._starts = starts
        self._reading = reading

    def start(self) -> None:
        self._starts.append(threading.current_thread())
        if self._reading is not None:
            assert self._reading.wait(60), "frames are read meanwhile"
            raise RunnerError("no cluster here")

    def map(
        self, stage: Stage[W, R], works: Sequence[W], on_progress: ProgressCallback
    ) -> list[Outcome[R]]:
        raise RunnerError("no workers here", stage=stage.name)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    write_scene(build_scene(replace(SPEC, frames=FRAMES)), folder)
    return folder


def _reconstruct(
    video: Path,
    out: Path,
    starts: list[threading.Thread],
    on_progress: ProgressCallback,
    reading: threading.Event | None = None,
) -> None:
    reconstruct_files(
        [video / "video.mp4"],
        out,
        ReconstructionConfig(),
        trajectories=[video / "camera.json"],
        runner=partial(Starting, starts=starts, reading=reading),
        on_progress=on_progress,
    )


def test_a_runner_starts_in_the_thread_that_outlives_it(video: Path, tmp_path: Path):
    """What Ray starts dies with the thread that started it."""
    starts: list[threading.Thread] = []
    seen: list[Progress] = []
    with pytest.raises(RunnerError, match="no workers here"):
        _reconstruct(video, tmp_path, starts, seen.append)
    assert starts == [threading.current_thread()]
    assert seen[-1].done == FRAMES


def test_a_runner_does_not_start_where_the_scene_is(video: Path, tmp_path: Path):
    (tmp_path / "scene.json").write_text("{}")
    starts: list[threading.Thread] = []
    with pytest.raises(RunnerError, match="no workers here"):
        _reconstruct(video, tmp_path, starts, lambda _: None)
    assert starts == []


def test_reading_ends_where_the_runner_cannot_start(video: Path, tmp_path: Path):
    reading, failed = threading.Event(), threading.Event()
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            reading.set()
            failed.wait(0.5)  # long enough for the start to fail

    with pytest.raises(RunnerError, match="no cluster here"):
        _reconstruct(video, tmp_path, [], report, reading)
    assert seen[-1].done < FRAMES, "the rest was not read"


class Closing(InlineRunner):
    """Is closed once the scene is being appraised."""

    def __init__(
        self, bench: BenchConfig, judging: threading.Event, closed: threading.Event
    ) -> None:
        super().__init__(bench)
        self._judging, self._closed = judging, closed

    def close(self) -> None:
        assert self._judging.wait(60), "the scene is appraised meanwhile"
        super().close()
        self._closed.set()


def test_a_runner_ends_while_the_scene_is_appraised(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    judging, closed = threading.Event(), threading.Event()

    def judge(*_args: object, **_named: object) -> NoReturn:
        judging.set()
        assert closed.wait(60), "the runner is closed meanwhile"
        raise ConfigError("no judge here")

    monkeypatch.setattr("worldloom.api.appraise", judge)
    made = cast("Reconstruction", None)
    with pytest.raises(ConfigError, match="no judge here"):
        reconstruct_sources(
            lambda: open_sources(
                [video / "video.mp4"], [video / "camera.json"], limits=IngestLimits()
            ),
            tmp_path,
            ReconstructionConfig(),
            title="corner",
            make=lambda *_: made,
            runner=partial(Closing, judging=judging, closed=closed),
        )
