"""How the queue stands."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cluster.gateway.records import State
from cluster.gateway.tables import JOBS

ACTIVE_STATES = (State.RUNNING, State.CANCELLING)


@dataclass(frozen=True)
class QueueNumbers:
    """Jobs of all callers."""

    queued: int
    running: int
    succeeded: int
    """Within the last hour."""
    failed: int
    """Within the last hour."""
    oldest_wait_s: float


def queue_numbers(connection: Connection, now_s: float) -> QueueNumbers:
    """Returns how the queue stands, of all callers."""
    every = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
    counts = {state: count for state, count in connection.execute(every)}
    recent = {
        state: count
        for state, count in connection.execute(every.where(JOBS.c.end_s > now_s - 3600))
    }
    oldest = connection.scalar(
        select(func.min(JOBS.c.create_s)).where(JOBS.c.state == State.QUEUED)
    )
    return QueueNumbers(
        queued=counts.get(State.QUEUED, 0),
        running=sum(counts.get(state, 0) for state in ACTIVE_STATES),
        succeeded=recent.get(State.SUCCEEDED, 0),
        failed=recent.get(State.FAILED, 0),
        oldest_wait_s=0.0 if oldest is None else max(0.0, now_s - float(oldest)),
    )
