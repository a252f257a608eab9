"""The only place where the workers become Ray actors: options by role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle

from actors.resources import RoleResources
from actors.roles import ChunkActor, DepthActor, MemoryActor, MergerActor, SharedActor
from actors.worker import StageActor
from worldloom.bench import BenchConfig
from worldloom.logs import LogConfig
from worldloom.stage import Role

CLASSES: Mapping[Role, type[StageActor]] = {
    Role.DEPTH: DepthActor,
    Role.MEMORY: MemoryActor,
    Role.CHUNK: ChunkActor,
    Role.MERGER: MergerActor,
}
THREADS: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
"""One thread in every numeric library of a worker: parallelism is over work items, and results must
not depend on the number of cores."""
CONTROL_GROUP = "control"
"""Thread of a worker that answers `health` while another one runs an item."""


@dataclass(frozen=True)
class ActorSpec:
    """All that it takes to start one worker."""

    roles: tuple[Role, ...]
    """Whose stages it runs: one role, or several that ask for the same."""
    resources: RoleResources
    bench: BenchConfig
    on_gpu: bool
    """True where the cluster has a GPU."""
    env: Mapping[str, str]
    """Environment of the process, where that of the job does not serve."""
    log: LogConfig | None = None
    """How the worker logs; None: text of warnings and errors."""

    @property
    def kind(self) -> str:
        """The role, or `shared` where it serves several."""
        return str(self.roles[0]) if len(self.roles) == 1 else "shared"

    @property
    def actor_class(self) -> type[StageActor]:
        """What runs in its process."""
        return CLASSES[self.roles[0]] if len(self.roles) == 1 else SharedActor

    def request(self) -> dict[str, float]:
        """Returns what one worker asks of a node, by the names of Ray's resources."""
        wanted = {
            "CPU": self.resources.num_cpus,
            "GPU": self.resources.num_gpus if self.on_gpu else 0.0,
            "memory": float(self.resources.memory_mib * 2**20),
        }
        if wanted["CPU"] == 0 and wanted["GPU"] == 0:
            wanted["CPU"] = 1.0
        return {name: amount for name, amount in wanted.items() if amount > 0}


def actor_options(spec: ActorSpec, name: str) -> dict[str, Any]:
    """Returns the options of `ray.remote` for one worker."""
    request = spec.request()
    return {
        "name": name,
        "num_cpus": request.get("CPU", 0.0),
        "num_gpus": request.get("GPU", 0.0),
        "memory": int(request.get("memory", 0.0)),
        "max_concurrency": spec.resources.max_concurrency,
        "max_restarts": spec.resources.max_restarts,
        "max_task_retries": 0,
        "concurrency_groups": {CONTROL_GROUP: 1},
        "runtime_env": {"env_vars": dict(spec.env)} if spec.env else None,
    }


def start_actor(spec: ActorSpec, name: str) -> ActorHandle[StageActor]:
    """Starts one worker; returns before it runs."""
    remote_class: Any = ray.remote(**actor_options(spec, name))(spec.actor_class)
    return remote_class.remote(spec.bench, spec.log, name)
