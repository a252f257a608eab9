"""What a cluster can carry: pure arithmetic over its nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worldloom.errors import RunnerError

Request = Mapping[str, float]
"""What one worker asks of one node: amount by resource (`CPU`, `GPU`, `memory` in bytes)."""
_RESOURCES = ("CPU", "GPU", "memory")


@dataclass(frozen=True)
class Node:
    """One living node."""

    name: str
    resources: Mapping[str, float]
    """All that it has, in use or not."""


def has_gpu(nodes: Sequence[Node]) -> bool:
    """Returns whether any node has a GPU."""
    return any(node.resources.get("GPU", 0) > 0 for node in nodes)


def slots(nodes: Sequence[Node], request: Request) -> int:
    """Returns how many workers the nodes can carry at once, when they carry nothing else."""
    return sum(_slots_of(node, request) for node in nodes)


def fit_together(nodes: Sequence[Node], demands: Sequence[tuple[Request, int]]) -> bool:
    """Returns whether the nodes carry all workers at once.

    Args:
        nodes: The cluster.
        demands: Requests and how many workers make each. The largest are placed first; that
            no such placement is found does not prove that there is none.
    """
    left = [dict(node.resources) for node in nodes]
    single = [request for request, count in demands for _ in range(count)]
    for request in sorted(single, key=lambda each: sorted(each.items()), reverse=True):
        for node in left:
            if all(node.get(name, 0) >= amount for name, amount in request.items()):
                for name, amount in request.items():
                    node[name] -= amount
                break
        else:
            return False
    return True


def require_feasible(nodes: Sequence[Node], request: Request, role: str) -> None:
    """Checks that at least one node can carry a worker.

    Raises:
        RunnerError: none can, however long one waits.
    """
    if slots(nodes, request) > 0:
        return
    raise RunnerError(
        f"a {role} worker asks for {describe(request)}, which no node can ever give; the cluster "
        f"has {describe_nodes(nodes)}. Lower the resources of the role, or add such a node",
        role=role,
    )


def describe(resources: Request) -> str:
    """Returns resources in words: `CPU 2, memory 1024 MiB`."""
    parts: list[str] = []
    for name in _RESOURCES:
        amount = resources.get(name, 0)
        if amount > 0:
            shown = f"{amount / 2**20:.0f} MiB" if name == "memory" else f"{amount:g}"
            parts.append(f"{name} {shown}")
    return ", ".join(parts) or "nothing"


def describe_nodes(nodes: Sequence[Node]) -> str:
    """Returns the kinds of nodes in words: `2 x (CPU 8, memory 30000 MiB)`."""
    kinds = [describe(node.resources) for node in nodes]
    return "; ".join(f"{kinds.count(kind)} x ({kind})" for kind in sorted(set(kinds))) or "no node"


def _slots_of(node: Node, request: Request) -> int:
    fits = [node.resources.get(name, 0) / amount for name, amount in request.items() if amount > 0]
    return int(min(fits, default=0) + 1e-9)
