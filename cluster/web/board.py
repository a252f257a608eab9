"""What the pages need to know of jobs, whoever keeps them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class BoardState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows it."""
        return self in _FINAL


_FINAL = frozenset({BoardState.SUCCEEDED, BoardState.FAILED, BoardState.CANCELLED})


@dataclass(frozen=True)
class StageBar:
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    failed: int = 0
    remaining_s: float | None = None
    """Time until its end at the present rate; None while none is known."""


@dataclass(frozen=True)
class JobCard:
    """A job as the pages show it."""

    id: str
    """Lower-case letters, digits and hyphens."""
    name: str
    """For people; may be empty."""
    kind: str
    """What it does, in a word: reconstruct, export_mesh, ..."""
    state: BoardState
    create_s: float
    """Seconds since 1970, as all times here."""
    start_s: float | None = None
    end_s: float | None = None
    stage: StageBar | None = None
    """The stage that it is in, or was in last."""
    degraded: bool = False
    """Whether parts of the scene could not be made."""
    fault: str | None = None
    """Why it failed, for people."""
    last_sequence: int = 0
    """Sequence of its latest event."""
    has_report: bool = False
    viewer_url: str | None = None
    """Where a viewer of its scene runs; http or https."""


@dataclass(frozen=True)
class BoardEvent:
    """One thing that happened to a job; one of the fields after the time is set."""

    sequence: int
    """1 for the first event of a job, without gaps."""
    time_s: float
    state: BoardState | None = None
    stage: StageBar | None = None
    warning: str | None = None
    preview: str | None = None
    """Title of a new picture."""

    @property
    def is_last(self) -> bool:
        """Whether no event follows."""
        return self.state is not None and self.state.is_final


@dataclass(frozen=True)
class Picture:
    """An encoded image."""

    media_type: str
    """image/png or image/jpeg."""
    data: bytes


@dataclass(frozen=True)
class BoardPage:
    """Some jobs, newest first."""

    jobs: tuple[JobCard, ...]
    next_token: str = ""
    """Of the page after; empty on the last."""


class JobBoard(Protocol):
    """The jobs of callers. A job of another caller is a job that is not there."""

    async def jobs(self, caller: str, size: int, token: str) -> BoardPage | None:
        """Returns a page of jobs; None where the token is none of ours."""
        ...

    async def job(self, caller: str, job_id: str) -> JobCard | None:
        """Returns a job."""
        ...

    async def preview(self, caller: str, job_id: str) -> Picture | None:
        """Returns the latest picture of what there is so far."""
        ...

    async def report(self, caller: str, job_id: str) -> AsyncGenerator[bytes] | None:
        """Returns the page of the report, in pieces."""
        ...

    def events(self, caller: str, job_id: str, after: int) -> AsyncGenerator[BoardEvent]:
        """Yields what happened after a sequence, and what happens, until the job has ended.

        Yields nothing for a job that is not there.
        """
        ...
