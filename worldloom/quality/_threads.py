"""Work on several views at a time, within one process."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yields the results in order; no more are under way or waiting than there are cores, plus one.

    Args:
        function: Spends its time outside the interpreter lock.
        items: What to apply it to.
    """
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers, thread_name_prefix="views") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
