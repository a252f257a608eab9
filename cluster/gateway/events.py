"""The events of jobs: kept in the database, and followed by any number of watchers."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Connection, insert, select, update

from cluster.gateway.database import Database
from cluster.gateway.records import (
    EventContent,
    JobEvent,
    encoded,
    event_from_row,
)
from cluster.gateway.tables import EVENTS, JOBS

_PAGE = 200
_KEPT = 500
_POLL_S = 1.0


def append_events(
    connection: Connection, job_id: str, contents: Sequence[tuple[float, EventContent]]
) -> int:
    """Adds events to a job, in a transaction, and returns the last sequence."""
    last = int(connection.scalar(select(JOBS.c.last_sequence).where(JOBS.c.id == job_id)) or 0)
    rows = [
        {"job_id": job_id, "sequence": last + n, "time_s": time_s, "content": encoded(content)}
        for n, (time_s, content) in enumerate(contents, 1)
    ]
    if rows:
        connection.execute(insert(EVENTS), rows)
        last += len(rows)
        connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(last_sequence=last))
    return last


def read_page(connection: Connection, job_id: str, after: int) -> list[JobEvent]:
    """Returns some events after a sequence, in order."""
    query = (
        select(EVENTS)
        .where(EVENTS.c.job_id == job_id, EVENTS.c.sequence > after)
        .order_by(EVENTS.c.sequence)
        .limit(_PAGE)
    )
    return [event_from_row(dict(row)) for row in connection.execute(query).mappings()]


class _Tail:
    """The latest events of one job, read once for all of its watchers."""

    def __init__(self) -> None:
        self.events: deque[JobEvent] = deque(maxlen=_KEPT)
        self.last = 0
        self.watchers = 0
        self.wake = asyncio.Event()
        self.grown = asyncio.Condition()
        self.reader: asyncio.Task[None] | None = None

    def after(self, sequence: int) -> list[JobEvent] | None:
        """The kept events after a sequence; None where they begin later than that."""
        if sequence >= self.last:
            return []
        if not self.events or self.events[0].sequence > sequence + 1:
            return None
        return list(self.events)[sequence - self.last :]


class EventHub:
    """Lets watchers follow jobs.

    However many follow a job, its new events are read from the database once: when this gateway
    says that there are some, and every second, for other gateways write too.

    Args:
        database: Where the events are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tails: dict[str, _Tail] = {}
        self.is_closed = False
        """Whether the gateway is about to end."""
        self.watchers = 0
        """Streams that are open."""

    def notify(self, job_id: str) -> None:
        """Says that a job has new events."""
        tail = self._tails.get(job_id)
        if tail is not None:
            tail.wake.set()

    async def close(self) -> None:
        """Ends all streams, after what they have."""
        self.is_closed = True
        for tail in list(self._tails.values()):
            tail.wake.set()
            async with tail.grown:
                tail.grown.notify_all()

    async def follow(self, job_id: str, after: int) -> AsyncGenerator[JobEvent]:
        """Yields the events of a job after a sequence, until that of a final state.

        Args:
            job_id: A job that is there.
            after: Sequence that was seen last; 0 for none.
        """
        async with self._tail(job_id) as tail:
            while True:
                events = tail.after(after)
                if events is None:
                    # Long ago: from the database, page by page, until the kept ones are reached.
                    events = await self._database.read(
                        lambda connection, at=after: read_page(connection, job_id, at)
                    )
                for event in events:
                    yield event
                    after = event.sequence
                    if is_last(event):
                        return
                if self.is_closed:
                    return
                if not events:
                    async with tail.grown:
                        if tail.last <= after and not self.is_closed:
                            await tail.grown.wait()

    @asynccontextmanager
    async def _tail(self, job_id: str) -> AsyncGenerator[_Tail]:
        tail = self._tails.get(job_id)
        if tail is None:
            tail = self._tails[job_id] = _Tail()
            tail.reader = asyncio.create_task(self._read(job_id, tail))
        tail.watchers += 1
        self.watchers += 1
        try:
            yield tail
        finally:
            self.watchers -= 1
            tail.watchers -= 1
            if not tail.watchers:
                self._tails.pop(job_id, None)
                if tail.reader is not None:
                    tail.reader.cancel()

    async def _read(self, job_id: str, tail: _Tail) -> None:
        while not self.is_closed:
            tail.wake.clear()
            events = await self._database.read(
                lambda connection: read_page(connection, job_id, tail.last)
            )
            if events:
                tail.events.extend(events)
                tail.last = events[-1].sequence
                async with tail.grown:
                    tail.grown.notify_all()
            if len(events) < _PAGE:
                with suppress(TimeoutError):
                    await asyncio.wait_for(tail.wake.wait(), _POLL_S)


def is_last(event: JobEvent) -> bool:
    """Returns whether no event follows."""
    return event.content.state is not None and event.content.state.state.is_final
