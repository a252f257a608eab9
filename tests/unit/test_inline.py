import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, InputError, StoreError
from worldloom.inline import InlineRunner
from worldloom.stage import Failure, Outcome, Progress, Role, Stage, execute
from worldloom.store import RESULT_FILE, ArtifactKey


@dataclass(frozen=True)
class Number:
    n: int

    @property
    def subject(self) -> str:
        return f"number {self.n}"


@dataclass(frozen=True)
class Square:
    n: int


def _stage(
    function: Callable[[Bench, ArtifactKey, Number], Square], version: int = 1
) -> Stage[Number, Square]:
    return Stage("square", version, Role.DEPTH, Square, function)


def _square(bench: Bench, key: ArtifactKey, work: Number) -> Square:
    bench.store.write(key, "data.bin", str(work.n).encode())
    return Square(work.n**2)


WORKS = [Number(n) for n in range(12)]


@pytest.fixture
def bench(tmp_path: Path) -> BenchConfig:
    return BenchConfig(str(tmp_path))


def _ignore(progress: Progress) -> None: ...


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_outcomes_come_in_the_order_of_the_works(workers: int, bench: BenchConfig):
    def late_first(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        time.sleep(0.01 if work.n % 5 == 0 else 0)
        return _square(bench, key, work)

    outcomes = InlineRunner(bench, workers).map(_stage(late_first), WORKS, _ignore)
    assert outcomes == [Outcome(Square(n**2)) for n in range(12)]


@pytest.mark.parametrize("workers", [1, 3])
def test_finished_work_is_found_again_by_any_number_of_workers(workers: int, bench: BenchConfig):
    stage = _stage(_square)
    InlineRunner(bench, 2).map(stage, WORKS[:7], _ignore)
    seen: list[Progress] = []
    outcomes = InlineRunner(bench, workers).map(stage, WORKS, seen.append)
    assert [outcome.reused for outcome in outcomes] == [True] * 7 + [False] * 5
    assert [outcome.value for outcome in outcomes] == [Square(n**2) for n in range(12)]
    assert [each.done for each in seen] == list(range(13))
    assert seen[0] == Progress("square", 0, 12, 0, 0)
    assert seen[-1] == Progress("square", 12, 12, reused=7, failed=0)


def test_another_version_is_made_anew(bench: BenchConfig):
    runner = InlineRunner(bench)
    runner.map(_stage(_square, version=1), WORKS, _ignore)
    outcomes = runner.map(_stage(_square, version=2), WORKS, _ignore)
    assert not any(outcome.reused for outcome in outcomes)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_cannot_be_made_is_data(workers: int, bench: BenchConfig):
    def refuse(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        if work.n == 4:
            raise InputError("view 4 is black; drop it", view=4)
        return _square(bench, key, work)

    runner = InlineRunner(bench, workers)
    outcomes = runner.map(_stage(refuse), WORKS, _ignore)
    failure = Failure("square", "number 4", "InputError", "view 4 is black; drop it", attempts=1)
    assert outcomes[4] == Outcome(None, failure)
    assert sum(outcome.failure is not None for outcome in outcomes) == 1
    again = runner.map(_stage(_square), WORKS, _ignore)
    assert [outcome.reused for outcome in again] == [n != 4 for n in range(12)]


def test_memory_that_does_not_suffice_is_data(bench: BenchConfig):
    def hungry(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        raise MemoryError("Unable to allocate 8 TiB")

    (outcome,) = InlineRunner(bench).map(_stage(hungry), [Number(1)], _ignore)
    assert outcome.failure == Failure(
        "square", "number 1", "MemoryError", "Unable to allocate 8 TiB", 1, retryable=True
    )


def test_a_result_that_cannot_be_stored_is_data(bench: BenchConfig, tmp_path: Path):
    def block(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        (tmp_path / key / RESULT_FILE).mkdir(parents=True)
        return Square(1)

    outcome = execute(_stage(block), Bench(bench), Number(1))
    assert outcome.failure is not None
    assert outcome.failure.error == StoreError.__name__
    assert outcome.failure.retryable


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_is_raised(workers: int, bench: BenchConfig):
    begun: list[int] = []

    def defect(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        begun.append(work.n)
        if work.n == 3:
            raise ValueError("a defect")
        return _square(bench, key, work)

    with pytest.raises(ValueError, match="a defect"):
        InlineRunner(bench, workers).map(_stage(defect), [Number(n) for n in range(100)], _ignore)
    assert len(begun) < 20, "the rest is not begun"


def test_workers_run_at_the_same_time(bench: BenchConfig):
    meeting = threading.Barrier(3, timeout=10)

    def meet(bench: Bench, key: ArtifactKey, work: Number) -> Square:
        meeting.wait()
        return Square(work.n)

    assert len(InlineRunner(bench, 3).map(_stage(meet), WORKS, _ignore)) == 12


def test_no_work_is_no_outcome(bench: BenchConfig):
    seen: list[Progress] = []
    assert InlineRunner(bench, 2).map(_stage(_square), [], seen.append) == []
    assert seen == [Progress("square", 0, 0, 0, 0)]


def test_a_truncated_result_is_made_anew(bench: BenchConfig, tmp_path: Path):
    runner, stage = InlineRunner(bench), _stage(_square)
    runner.map(stage, WORKS, _ignore)
    (tmp_path / stage.key(WORKS[5]) / RESULT_FILE).write_bytes(b'{"n":')
    again = runner.map(stage, WORKS, _ignore)
    assert [n for n, outcome in enumerate(again) if not outcome.reused] == [5]
    assert again[5].value == Square(25)


def test_a_runner_without_workers_is_refused(bench: BenchConfig):
    with pytest.raises(ConfigError, match="workers"):
        InlineRunner(bench, 0)
