"""What the gateway keeps: frozen records, as callers and the database see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from cluster.worker.events import StageMark, WorkerEvent
from cluster.worker.task import JobKind
from worldloom.codec import from_json, to_json


class State(StrEnum):
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
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Priority(IntEnum):
    """Place in the queue."""

    LOW = 1
    NORMAL = 2
    HIGH = 3


@dataclass(frozen=True)
class JobFault:
    """Why a job failed."""

    code: int
    """Of google.rpc.Code."""
    reason: str
    message: str
    ids: dict[str, str]


@dataclass(frozen=True)
class StateMark:
    """A job changed its state."""

    state: State
    fault: JobFault | None = None


@dataclass(frozen=True)
class EventContent:
    """What happened; one of the fields is set."""

    state: StateMark | None = None
    worker: WorkerEvent | None = None


@dataclass(frozen=True)
class JobEvent:
    """One thing that happened to a job."""

    sequence: int
    time_s: float
    content: EventContent


@dataclass(frozen=True)
class JobRecord:
    """A job as it stands."""

    id: str
    kind: JobKind
    principal: str
    display_name: str
    state: State
    priority: Priority
    spec: str
    """JSON of a `JobSpec`."""
    create_s: float
    start_s: float | None
    end_s: float | None
    attempts: int
    gpu_s: float
    scene_id: str | None
    asset_id: str | None
    degraded: bool
    fault: JobFault | None
    progress: StageMark | None
    last_sequence: int


@dataclass(frozen=True)
class AssetRecord:
    """A file."""

    id: str
    display_name: str
    size_bytes: int
    sha256: bytes
    create_s: float
    expire_s: float | None


@dataclass(frozen=True)
class Span:
    """Bytes from start to before end."""

    start: int
    end: int


@dataclass(frozen=True)
class UploadRecord:
    """A file under way."""

    id: str
    display_name: str
    size_bytes: int
    received: tuple[Span, ...]
    """Ascending, without overlaps."""
    expire_s: float
    asset_id: str | None

    @property
    def received_bytes(self) -> int:
        """Bytes that are there."""
        return sum(span.end - span.start for span in self.received)


@dataclass(frozen=True)
class SceneRecord:
    """A finished scene."""

    id: str
    display_name: str
    job_id: str
    create_s: float
    views: int
    points: int
    faces: int
    degraded: bool


@dataclass(frozen=True)
class QuotaRecord:
    """What a caller uses and may use."""

    used_bytes: int
    limit_bytes: int
    active_jobs: int
    limit_jobs: int
    used_gpu_s: float
    limit_gpu_s: float


@dataclass(frozen=True)
class Node:
    """A machine that jobs run on."""

    name: str
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: int = 0


@dataclass(frozen=True)
class ClusterSample:
    """What the service and its cluster are doing."""

    time_s: float
    nodes: tuple[Node, ...]
    queued: int
    running: int
    succeeded_last_hour: int
    failed_last_hour: int
    watchers: int
    oldest_wait_s: float


def job_from_row(row: Mapping[str, Any]) -> JobRecord:
    """Returns a job as the table holds it."""
    return JobRecord(
        id=row["id"],
        kind=JobKind(row["kind"]),
        principal=row["principal"],
        display_name=row["display_name"],
        state=State(row["state"]),
        priority=Priority(row["priority"]),
        spec=row["spec"],
        create_s=row["create_s"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        attempts=row["attempts"],
        gpu_s=row["gpu_s"],
        scene_id=row["scene_id"],
        asset_id=row["asset_id"],
        degraded=bool(row["degraded"]),
        fault=_decoded(row["error"], JobFault),
        progress=_decoded(row["progress"], StageMark),
        last_sequence=row["last_sequence"],
    )


def encoded(value: object) -> str:
    """Returns the JSON of a record, for a column."""
    return to_json(value).decode()


def event_from_row(row: Mapping[str, Any]) -> JobEvent:
    """Returns an event as the table holds it."""
    content = from_json(row["content"].encode(), EventContent)
    return JobEvent(row["sequence"], row["time_s"], content)


def _decoded(text: str | None, kind: type[Any]) -> Any:
    return None if text is None else from_json(text.encode(), kind)
