"""What a job says about itself: timings of its own steps, and the warnings on the way."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType

from worldloom.observation import Observer, observed_step, unobserved
from worldloom.stage import StageReport


class Journal(logging.Handler):
    """Collects the warnings that Worldloom logs in this process while it is entered.

    They are shown or hidden as ever; the journal keeps them for the manifest, so that a result
    tells of what was passed over.

    Args:
        observe: Told of the steps that are timed.
    """

    def __init__(self, observe: Observer = unobserved) -> None:
        super().__init__(logging.WARNING)
        self._observe = observe
        self._warnings: list[str] = []
        self._timings: list[StageReport] = []
        self._logger = logging.getLogger("worldloom")

    def __enter__(self) -> "Journal":
        """Starts to listen."""
        self._logger.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends listening."""
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one warning."""
        self._warnings.append(record.getMessage())

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, each once, in order."""
        return tuple(dict.fromkeys(self._warnings))

    @property
    def timings(self) -> tuple[StageReport, ...]:
        """The steps timed so far."""
        return tuple(self._timings)

    @contextmanager
    def timed(self, step: str, items: int) -> Generator[None]:
        """Times one step."""
        start = time.monotonic()
        with observed_step(self._observe, step, items):
            yield
        self._timings.append(StageReport(step, time.monotonic() - start, items, 0, 0))
