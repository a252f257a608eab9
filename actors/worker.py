"""What every actor is: a bench, and the stages that are run at it."""

import logging
import os
import resource
import socket
import sys
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import RunnerError
from worldloom.logs import LogConfig, json_handler
from worldloom.stage import Outcome, R, Stage, W, execute
from worldloom.store import ArtifactKey

_logger = logging.getLogger(__name__)
PROBE_FILE = "probe"


@dataclass(frozen=True)
class Health:
    """The state of one worker process."""

    pid: int
    node: str
    """Host name."""
    peak_memory_mib: float
    """Most resident memory that the process ever held."""
    executed: int
    """Items run, the failed and the found ones too."""


class StageActor:
    """A worker that executes stages; it holds nothing that the store cannot give back.

    Args:
        bench: Store and cache bound. The store is opened in `ready`, whose error reaches the caller
            as itself; an error in here would only show as a dead actor.
        log: How the process logs; None: text of warnings and errors.
        name: Name of the worker in the logs.
    """

    cache_share: ClassVar[float] = 1.0
    """Part of the configured cache that this kind of worker makes use of."""

    def __init__(
        self, bench: BenchConfig, log: LogConfig | None = None, name: str | None = None
    ) -> None:
        if log is not None:
            handler = json_handler(logging.StreamHandler(), log, name)
            logging.basicConfig(handlers=[handler], force=True)
        share_mib = max(1, int(bench.cache_mib * self.cache_share))
        self._config = replace(bench, cache_mib=share_mib)
        self._bench: Bench | None = None
        self._executed = 0

    def ready(self, probe: ArtifactKey | None = None) -> Health:
        """Opens the store and returns the state of the worker.

        Args:
            probe: Artifact that the driver wrote; a worker that cannot see it looks at another
                store under the same name.

        Raises:
            StoreError: the store cannot be opened here.
            RunnerError: it is not the store of the driver.
        """
        bench = self._opened()
        if probe is not None and not bench.store.holds(probe, PROBE_FILE):
            raise RunnerError(
                f"{socket.gethostname()} does not see the files of the driver in "
                f"{self._config.store_uri}; give --store a folder that all nodes mount, "
                "or s3:// or gs://",
                uri=self._config.store_uri,
                node=socket.gethostname(),
            )
        return self.health()

    def run(self, stage: Stage[W, R], work: W) -> Outcome[R]:
        """Makes one work item, or finds it made; see `worldloom.stage.execute`."""
        self._executed += 1
        return execute(stage, self._opened(), work)

    def health(self) -> Health:
        """Returns the state of the worker."""
        return Health(os.getpid(), socket.gethostname(), _peak_memory_mib(), self._executed)

    def close(self) -> Health:
        """Lets go of the store and the caches, and returns the last state."""
        last = self.health()
        _logger.info("%s closes: %s", type(self).__name__, last)
        self._bench = None
        return last

    def _opened(self) -> Bench:
        if self._bench is None:
            self._bench = Bench(self._config)
        return self._bench


def _peak_memory_mib() -> float:
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)
