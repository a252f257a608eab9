"""What is known of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """How far a job is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """True where it will not change any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED)


@dataclass(frozen=True)
class JobReport:
    """A job as the cluster describes it."""

    job: str
    """Submission id."""
    state: JobState
    entrypoint: str
    """Command line of the driver, as a shell reads it."""
    message: str
    """What the cluster says of the state, for people."""
    started_s: float | None
    """Unix time, seconds; None before it began."""
    ended_s: float | None
    exit_code: int | None
    """Of the driver; None where it has not ended by itself."""
    metadata: Mapping[str, str]
