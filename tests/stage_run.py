"""Stages run in this thread, for tests of what is made of several stages."""

from collections.abc import Sequence

from worldloom.bench import Bench
from worldloom.stage import R, Stage, W, execute


class StageRun:
    """Runs stages at a bench; every item has to succeed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.items: dict[str, int] = {}

    def __call__(self, stage: Stage[W, R], works: Sequence[W], /) -> list[R | None]:
        self.items[stage.name] = self.items.get(stage.name, 0) + len(works)
        outcomes = [execute(stage, self.bench, work) for work in works]
        for outcome in outcomes:
            assert outcome.failure is None, outcome.failure
        return [outcome.value for outcome in outcomes]
