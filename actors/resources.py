"""What each kind of worker asks of a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worldloom.errors import ConfigError
from worldloom.stage import Role


@dataclass(frozen=True)
class RoleResources:
    """Resources of one worker of a role."""

    num_cpus: float = 1.0
    """CPU cores booked. A worker computes on one thread for each item that it runs."""
    num_gpus: float = 0.0
    """Share of a GPU booked where the cluster has one; elsewhere the worker asks for CPUs only.
    A share is bookkeeping, not a limit of memory. 0 while the stages of the role run on CPUs."""
    memory_mib: int = 768
    """Heap booked, MiB: keeps Ray from packing more workers on a node than its memory carries."""
    max_concurrency: int = 1
    """Items that one worker runs at a time; more shares its cache, adds to its memory."""
    max_restarts: int = 0
    """Restarts by Ray itself. 0: the pool replaces a dead worker, so that deaths are counted."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("num_cpus", self.num_cpus, 0),
            ("num_gpus", self.num_gpus, 0),
            ("memory_mib", self.memory_mib, 0),
            ("max_concurrency", self.max_concurrency, 1),
            ("max_restarts", self.max_restarts, -1),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}; give at least {least}", field=name)
        if self.num_cpus == 0 and self.num_gpus == 0:
            raise ConfigError(
                "a worker asks for neither a CPU nor a GPU, so nothing bounds how many are started;"
                " give num_cpus or num_gpus",
                field="num_cpus",
            )


@dataclass(frozen=True)
class ActorResources:
    """Resources of the workers, by role."""

    depth: RoleResources = RoleResources()
    """Depth of one view."""
    memory: RoleResources = RoleResources()
    """One shard of the geometric memory."""
    chunk: RoleResources = RoleResources(memory_mib=1024)
    """One chunk: its blocks of the lattice."""
    merger: RoleResources = RoleResources(memory_mib=1536)
    """The merged scene, block by block."""

    def of(self, role: Role) -> RoleResources:
        """Returns the resources of one role."""
        match role:
            case Role.DEPTH:
                return self.depth
            case Role.MEMORY:
                return self.memory
            case Role.CHUNK:
                return self.chunk
            case Role.MERGER:
                return self.merger

    def of_all(self, roles: Sequence[Role]) -> RoleResources:
        """Returns the resources of a worker that serves several roles, one at a time."""
        asked = [self.of(role) for role in roles]
        return replace(asked[0], memory_mib=max(each.memory_mib for each in asked))

    def alike(self) -> list[tuple[Role, ...]]:
        """Returns the roles in groups that differ in nothing but memory."""
        groups: dict[RoleResources, list[Role]] = {}
        for role in Role:
            groups.setdefault(replace(self.of(role), memory_mib=0), []).append(role)
        return [tuple(group) for group in groups.values()]
