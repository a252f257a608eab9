"""What an exception of Ray means for the work: one table."""

from dataclasses import dataclass
from enum import StrEnum

from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from worldloom.errors import RunnerError


class FaultKind(StrEnum):
    """What to do about an exception."""

    WORKER_LOST = "worker lost"
    """The worker is gone or cannot be reached: replace it, try its items again."""
    RESULT_LOST = "result lost"
    """The worker lives, its answer does not: try the item again."""
    RAISED = "raised"
    """The code of the worker raised it: hand it to the caller."""


@dataclass(frozen=True)
class Fault:
    """An exception of Ray, read."""

    kind: FaultKind
    reason: str
    """For people: type and first lines."""


def fault_from_error(error: RayError) -> Fault:
    """Reads an exception that `ray.get` raised.

    Raises:
        RunnerError: the cluster cannot run anything (lost connection, broken environment).
    """
    if isinstance(error, RayTaskError):
        return Fault(FaultKind.RAISED, str(error))
    match error:
        case RayActorError() | WorkerCrashedError() | OutOfMemoryError() | NodeDiedError():
            return Fault(FaultKind.WORKER_LOST, reason_from_error(error))
        case ObjectLostError():
            return Fault(FaultKind.RESULT_LOST, reason_from_error(error))
        case RuntimeEnvSetupError():
            raise RunnerError(
                f"the environment of the workers cannot be set up: {error}; see that every node has"
                " the dependencies and can reach the head"
            ) from error
        case _:
            raise RunnerError(
                f"the cluster stopped working: {reason_from_error(error)}; finished work is in the "
                "store: run again"
            ) from error


def raised_in_constructor(error: RayError) -> bool:
    """Returns whether an actor died because its code could not be loaded or its class raised."""
    return isinstance(error, ActorDiedError) and "error raised in its creation task" in str(error)


def reason_from_error(error: BaseException) -> str:
    """Returns the type and the text of an exception on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)}"[:600]
