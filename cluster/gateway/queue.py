"""Whose job runs next: a pure decision."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A job that waits."""

    job_id: str
    """Sorts by time."""
    principal: str
    priority: int
    """More is sooner."""


def next_jobs(waiting: Sequence[Waiting], running: Iterable[str], slots: int) -> tuple[str, ...]:
    """Returns the jobs to start, in order.

    Callers take turns: the next job is one of the caller with the fewest that run, however many it
    has waiting. Priority is the order among the jobs of one caller, and between callers that are
    equal; so nobody gets ahead of others by calling everything urgent.

    Args:
        waiting: All that wait.
        running: The caller of each job that runs.
        slots: How many may start.
    """
    busy = Counter(running)
    left = sorted(waiting, key=lambda job: (-job.priority, job.job_id))
    chosen: list[str] = []
    while left and len(chosen) < slots:
        job = min(left, key=lambda item: busy[item.principal])
        left.remove(job)
        busy[job.principal] += 1
        chosen.append(job.job_id)
    return tuple(chosen)
