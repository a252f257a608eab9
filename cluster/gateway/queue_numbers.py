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
    counts = dict(
        connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state)).tuples()
    )
    recent = dict(
        connection.execute(
            select(JOBS.c.state, func.count())
            .where(JOBS.c.end_s > now_s - 3600)
            .group_by(JOBS.c.state)
        ).tuples()
    )
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
