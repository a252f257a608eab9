"""The runner for Ray: a pool of actors for each role, or for those that ask for the same."""

import logging
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from actors.remote import ActorSpec
from actors.resources import ActorResources
from actors.worker import PROBE_FILE
from cluster.capacity import Node, fit_together, has_gpu, require_feasible, slots
from cluster.dispatch import DispatchPolicy
from cluster.metrics import RayMetrics
from cluster.pool import ActorPool, PoolConfig
from cluster.session import RaySession, joins
from worldloom.bench import BenchConfig
from worldloom.device import cuda_available
from worldloom.errors import ConfigError, RunnerError
from worldloom.logs import LogConfig
from worldloom.observation import Observer, Observers
from worldloom.stage import (
    Outcome,
    ProgressCallback,
    ProgressCounter,
    R,
    Role,
    Stage,
    W,
    find,
)
from worldloom.store import ArtifactKey, Store

_logger = logging.getLogger(__name__)
Crew = tuple[Role, ...]
"""The roles that one pool serves."""
_LOOKUP_THREADS = 8
_POLL_S = 1.0


@dataclass(frozen=True)
class RayConfig:
    """How Ray is used."""

    resources: ActorResources = field(default_factory=ActorResources)
    """What the workers of each role ask for."""
    dispatch: DispatchPolicy = field(default_factory=DispatchPolicy)
    """When work is tried again and when given up."""
    object_store_mib: int = 128
    """Shared memory of a local cluster, MiB; results go through the store, so little is needed."""
    dashboard: bool = False
    """Whether a local cluster has a dashboard; costs a second at the start and 100 MiB."""
    log_to_driver: bool = False
    """Whether the output of the workers is shown here; it is in Ray's session folder anyway."""
    patience_s: float = 10.0
    """Wait for a first worker after which the idle workers of other roles make way, seconds."""
    start_timeout_s: float = 300.0
    """Longest wait for a first worker while other jobs hold the cluster, seconds."""
    wait_for_nodes_s: float = 0.0
    """Longest wait for a node that can carry a worker, seconds; raise it where nodes are added
    on demand. 0: fail at once."""
    autoscale: bool = False
    """Ask the autoscaler of the cluster for room for all workers that a stage can use, up to
    `workers`; what is asked is taken back in the end."""
    shared_workers: bool | None = None
    """Whether one process serves all roles that ask for the same CPUs and GPUs, one at a time, and
    books the most memory that any asks for. None: on a local cluster, where starting a process for
    each role costs more than it brings."""
    metrics: bool = True
    """Whether metrics for Prometheus are handed to Ray; see docs/observability.md."""
    log: LogConfig | None = None
    """How workers log; None: text of warnings and errors."""

    def __post_init__(self) -> None:
        if self.object_store_mib < 80:
            raise ConfigError(
                f"object_store_mib is {self.object_store_mib}; Ray needs at least 80",
                field="object_store_mib",
            )


class RayRunner:
    """Executes stages on Ray actors; see `worldloom.stage.Runner`.

    A local cluster starts with the first item that is not in the store yet; another one is joined
    at once, so that a wrong address shows before any work is done.

    Args:
        bench: Store and cache bound of every worker.
        workers: Most workers of a role; None for all that the cluster carries.
        address: `host:port` of a cluster; None for a local one.
        config: How Ray is used.

    Raises:
        RunnerError: the cluster at `address` cannot be used.
        StoreError: the store cannot be opened.
    """

    def __init__(
        self,
        bench: BenchConfig,
        workers: int | None = None,
        address: str | None = None,
        config: RayConfig | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"workers is {workers}; give at least 1", field="workers")
        self._bench = bench
        self._config = config or RayConfig()
        self._store = Store(bench.store_uri)
        self._pools: dict[Crew, ActorPool] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._name = f"worldloom-{uuid.uuid4().hex[:8]}"
        self._probe = ArtifactKey(f"probe/{socket.gethostname()}-{self._name}")
        local_workers = workers or len(os.sched_getaffinity(0))
        resources = self._config.resources
        alone: list[Crew] = [(role,) for role in Role]
        shared = self._config.shared_workers
        if shared is None:
            shared = not joins(address)
        crews = resources.alike() if shared else alone
        self._crews = {role: crew for crew in crews for role in crew}
        self._session = RaySession(
            address,
            local_cpus=_local_cpus(resources, crews, local_workers),
            object_store_mib=self._config.object_store_mib,
            dashboard=self._config.dashboard,
            log_to_driver=self._config.log_to_driver,
        )
        self._observers = Observers()
        if self._config.metrics:
            self._observers.add(RayMetrics())
        self._workers = workers
        if self._session.address is None:
            self._workers = local_workers
        else:
            self._session.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def map(
        self, stage: Stage[W, R], works: Sequence[W], on_progress: ProgressCallback
    ) -> list[Outcome[R]]:
        """See `worldloom.stage.Runner.map`. One stage runs at a time; other callers wait.

        Finished items are looked up here, before any worker is asked: a stage that is all done
        starts no worker, and a run that is all done starts no cluster.
        """
        with self._lock:
            if self._stopping.is_set():
                raise RunnerError("the runner is closed; make a new one", stage=stage.name)
            counter = ProgressCounter(stage.name, len(works), on_progress, self._observers)
            outcomes = self._found(stage, works)
            for outcome in outcomes.values():
                counter.add(outcome)
            missing = {index: work for index, work in enumerate(works) if index not in outcomes}
            if missing:
                crew = self._crews[stage.role]
                pool, _ = self._pool(crew, len(missing))
                size = partial(self._size, pool.spec)
                self._session.ask_for(pool.spec.request(), self._wanted(len(missing)))
                try:
                    found = partial(find, stage, self._store)
                    for index, outcome in pool.map(stage, missing, size, found):
                        outcomes[index] = outcome
                        counter.add(outcome)
                except BaseException:
                    self._pools.pop(crew).kill()
                    raise
            return [outcomes[index] for index in range(len(works))]

    def watch(self, observer: Observer) -> None:
        """See `worldloom.stage.Runner.watch`."""
        self._observers.add(observer)

    def workers_up(self) -> dict[Role, int]:
        """Returns how many workers there are now, up or on the way, by role."""
        return {role: pool.size for crew, pool in self._pools.items() for role in crew}

    def has_cuda(self, role: Role = Role.DEPTH) -> bool:
        """See `worldloom.stage.Runner.has_cuda`: workers see a GPU only where they book one."""
        if self._config.resources.of(role).num_gpus == 0:
            return False
        if self._session.address is None:
            return cuda_available()
        return has_gpu(self._session.nodes())

    def start(self) -> None:
        """Starts or joins the cluster now, and not with the first item that is missing.

        On a local cluster the workers of all roles are sent on their way too; it does not wait for
        them, so that they get ready while the caller does something else.

        Raises:
            RunnerError: the cluster cannot be used.
        """
        with self._lock:
            self._session.start()
            if self._session.address is not None:
                return
            for crew in dict.fromkeys(self._crews.values()):
                most = 1 if crew == (Role.MERGER,) else self._workers or 1
                pool, size = self._pool(crew, most)
                pool.grow(size)

    def close(self) -> None:
        """Stops: begins no more items, lets those in flight finish, closes and ends the workers.

        A local cluster ends with it; one that was joined stays.
        """
        self._stopping.set()
        with self._lock:
            self._release(list(self._pools))
            self._store.remove(self._probe)
            self._session.close()

    def _size(self, spec: ActorSpec, items: int) -> int:
        """Returns how many workers the cluster carries now for some items."""
        carried = slots(self._session.nodes(), spec.request())
        return min(items, carried, self._workers or carried)

    def _wanted(self, items: int) -> int:
        """Returns how many workers an autoscaler is asked for; 0: it is not asked."""
        if self._session.address is None or not self._config.autoscale:
            return 0
        return min(items, self._workers or items)

    def _found(self, stage: Stage[W, R], works: Sequence[W]) -> dict[int, Outcome[R]]:
        with ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="lookup") as threads:
            found = threads.map(lambda work: find(stage, self._store, work), works)
            return {index: outcome for index, outcome in enumerate(found) if outcome is not None}

    def _pool(self, crew: Crew, items: int) -> tuple[ActorPool, int]:
        if self._session.start():
            self._pools.clear()  # they were of another connection
        if not self._store.holds(self._probe, PROBE_FILE):
            self._store.write(self._probe, PROBE_FILE, self._name.encode())
        spec = self._spec(crew, self._session.nodes())
        nodes = self._nodes_for(spec)
        carried = slots(nodes, spec.request())
        size = min(items, carried, self._workers or carried)
        self._make_room(crew, spec, size, nodes)
        if crew not in self._pools:
            self._pools[crew] = ActorPool(
                spec,
                f"{self._name}-{spec.kind}",
                self._probe,
                PoolConfig(
                    self._config.dispatch, self._config.patience_s, self._config.start_timeout_s
                ),
                lambda: self._unblock(crew),
                self._stopping,
                self._observers,
            )
        return self._pools[crew], size

    def _spec(self, crew: Crew, nodes: Sequence[Node]) -> ActorSpec:
        resources = self._config.resources.of_all(crew)
        env = self._session.actor_env()
        return ActorSpec(crew, resources, self._bench, has_gpu(nodes), env, self._config.log)

    def _nodes_for(self, spec: ActorSpec) -> list[Node]:
        deadline_s = time.monotonic() + self._config.wait_for_nodes_s
        while True:
            nodes = self._session.nodes()
            if slots(nodes, spec.request()) or time.monotonic() >= deadline_s:
                require_feasible(nodes, spec.request(), spec.kind)
                return nodes
            time.sleep(_POLL_S)

    def _make_room(self, crew: Crew, spec: ActorSpec, size: int, nodes: Sequence[Node]) -> None:
        others = [other for other in self._pools if other != crew]
        kept = self._pools[crew].size if crew in self._pools else 0
        demands = [
            (pool.spec.request(), pool.size) for pool in map(self._pools.__getitem__, others)
        ]
        if not fit_together(nodes, [*demands, (spec.request(), max(size, kept))]):
            self._release(others)

    def _unblock(self, crew: Crew) -> None:
        """Frees what the idle pools hold: the cluster may be fuller than its nodes tell."""
        spec = self._pools[crew].spec
        require_feasible(self._session.nodes(), spec.request(), spec.kind)
        self._release([other for other in self._pools if other != crew])

    def _release(self, crews: Sequence[Crew]) -> None:
        for crew in crews:
            pool = self._pools.pop(crew)
            for health in pool.close():
                _logger.info("%s worker ended: %s", pool.spec.kind, health)


def _local_cpus(resources: ActorResources, crews: Sequence[Crew], workers: int) -> float:
    """Returns the CPUs that a local cluster has on paper.

    Only one role works at a time, so the idle pools of the others need no core: they are counted
    out, and stay for their next stage. What bounds them is the memory that they book.
    """
    return math.ceil(sum(resources.of_all(crew).num_cpus for crew in crews) * workers)
