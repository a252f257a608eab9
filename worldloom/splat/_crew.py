"""Threads that share the work of a kernel without a trace of them in its result."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from numba import config

_MAX_THREADS = 16


class Crew:
    """Runs a compiled kernel on every n-th item in each of n threads.

    A kernel takes `(first, step, ...)`, releases the interpreter lock, and writes what belongs to
    its items alone, so results do not depend on how many threads there are. numba's own parallel
    loops are not used: their usual back end refuses two callers at once, which stages are.

    Args:
        threads: How many; 0 for as many as numba would take, which workers of a cluster hold to
            their share (`NUMBA_NUM_THREADS`).
    """

    def __init__(self, threads: int = 0) -> None:
        # numba sets its settings when it is imported; asking for them otherwise starts its threads.
        most: int = config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue]
        self.threads = threads or min(most, _MAX_THREADS)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def run(self, kernel: Callable[..., None], *args: object) -> None:
        """Executes a kernel on all items and waits for the last."""
        if self._pool is None:
            kernel(0, 1, *args)
            return
        others = [
            self._pool.submit(kernel, first, self.threads, *args)
            for first in range(1, self.threads)
        ]
        kernel(0, self.threads, *args)
        for other in others:
            other.result()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
