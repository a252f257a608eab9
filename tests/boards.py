"""Jobs in memory, and callers with tokens, for the pages."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

from cluster.web.access import Caller
from cluster.web.board import BoardEvent, BoardPage, BoardState, JobCard, Picture

ALICE, BOB, METER = "token-of-alice", "token-of-bob", "token-of-prometheus"
ALL = frozenset({"jobs.read", "scenes.read", "metrics.read"})


@dataclass
class MemoryTokens:
    """Tokens that can be revoked."""

    callers: dict[str, Caller] = field(
        default_factory=lambda: {
            ALICE: Caller("alice", ALL),
            BOB: Caller("bob", frozenset({"jobs.read"})),
            METER: Caller("prometheus", frozenset({"metrics.read"})),
        }
    )

    async def caller(self, token: str) -> Caller | None:
        return self.callers.get(token)


@dataclass
class MemoryJob:
    owner: str
    card: JobCard
    events: list[BoardEvent] = field(default_factory=list[BoardEvent])
    picture: Picture | None = None
    report: bytes | None = None
    happened: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryBoard:
    """Jobs of callers, newest first."""

    def __init__(self) -> None:
        self.kept: dict[str, MemoryJob] = {}
        self.followers = 0

    def add(self, owner: str, card: JobCard) -> MemoryJob:
        self.kept[card.id] = MemoryJob(owner, card)
        return self.kept[card.id]

    def happen(self, job_id: str, event: BoardEvent) -> None:
        """Appends an event and changes the card as it says."""
        job = self.kept[job_id]
        job.events.append(event)
        card = job.card
        if event.state is not None:
            ended = event.time_s if event.is_last else None
            card = replace(card, state=event.state, end_s=ended)
        if event.stage is not None:
            card = replace(card, stage=event.stage)
        job.card = replace(card, last_sequence=event.sequence)
        job.happened.set()
        job.happened = asyncio.Event()

    async def jobs(self, caller: str, size: int, token: str) -> BoardPage | None:
        own = [job.card for job in reversed(self.kept.values()) if job.owner == caller]
        if token and not token.isdecimal():
            return None
        start = int(token or 0)
        more = str(start + size) if start + size < len(own) else ""
        return BoardPage(tuple(own[start : start + size]), more)

    async def job(self, caller: str, job_id: str) -> JobCard | None:
        found = self._own(caller, job_id)
        return None if found is None else found.card

    async def preview(self, caller: str, job_id: str) -> Picture | None:
        found = self._own(caller, job_id)
        return None if found is None else found.picture

    async def report(self, caller: str, job_id: str) -> AsyncGenerator[bytes] | None:
        found = self._own(caller, job_id)
        if found is None or found.report is None:
            return None
        content = found.report

        async def pieces() -> AsyncGenerator[bytes]:
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        return pieces()

    async def events(self, caller: str, job_id: str, after: int) -> AsyncGenerator[BoardEvent]:
        found = self._own(caller, job_id)
        if found is None:
            return
        self.followers += 1
        try:
            while True:
                happened = found.happened
                for event in found.events[after:]:
                    yield event
                    after = event.sequence
                    if event.is_last:
                        return
                await happened.wait()
        finally:
            self.followers -= 1

    def _own(self, caller: str, job_id: str) -> MemoryJob | None:
        job = self.kept.get(job_id)
        return job if job is not None and job.owner == caller else None


def card(job_id: str, state: BoardState = BoardState.RUNNING, **fields: object) -> JobCard:
    base = JobCard(job_id, f"scene {job_id}", "reconstruct", state, 1_790_000_000.0)
    return replace(base, **fields)  # type: ignore[arg-type]
