"""The runner for one process: a few threads over the work items."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from worldloom.bench import Bench, BenchConfig
from worldloom.device import cuda_available
from worldloom.errors import ConfigError
from worldloom.observation import Observer, Observers
from worldloom.stage import (
    Outcome,
    ProgressCallback,
    ProgressCounter,
    R,
    Role,
    Stage,
    W,
    execute,
)


class InlineRunner:
    """Executes stages in this process.

    Heavy stages spend their time in OpenCV and compiled kernels, which release the interpreter
    lock, so threads serve several cores.

    Args:
        bench: Store and cache bound.
        workers: Threads; results do not depend on it.
    """

    def __init__(self, bench: BenchConfig, workers: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"workers is {workers}; give at least 1", field="workers")
        self.bench = Bench(bench)
        self.workers = workers
        self._observers = Observers()

    def map(
        self, stage: Stage[W, R], works: Sequence[W], on_progress: ProgressCallback
    ) -> list[Outcome[R]]:
        """See `worldloom.stage.Runner.map`."""
        counter = ProgressCounter(stage.name, len(works), on_progress, self._observers)
        outcomes: dict[int, Outcome[R]] = {}
        for index, outcome in self._completed(stage, works):
            outcomes[index] = outcome
            counter.add(outcome)
        return [outcomes[index] for index in range(len(works))]

    def watch(self, observer: Observer) -> None:
        """See `worldloom.stage.Runner.watch`."""
        self._observers.add(observer)

    def has_cuda(self, role: Role = Role.DEPTH) -> bool:
        """See `worldloom.stage.Runner.has_cuda`; all roles are this process."""
        return cuda_available()

    def start(self) -> None:
        """See `worldloom.stage.Runner.start`; there is nothing to wait for."""

    def close(self) -> None:
        """See `worldloom.stage.Runner.close`; nothing outlives a call of `map`."""

    def _completed(
        self, stage: Stage[W, R], works: Sequence[W]
    ) -> Iterator[tuple[int, Outcome[R]]]:
        if self.workers == 1:
            for index, work in enumerate(works):
                yield index, execute(stage, self.bench, work)
            return
        with ThreadPoolExecutor(self.workers, thread_name_prefix="worker") as pool:
            in_flight: dict[Future[Outcome[R]], int] = {}
            waiting = iter(enumerate(works))
            while True:
                for index, work in waiting:
                    in_flight[pool.submit(execute, stage, self.bench, work)] = index
                    if len(in_flight) >= 2 * self.workers:
                        break
                if not in_flight:
                    return
                done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
                for future in done:
                    yield in_flight.pop(future), future.result()
