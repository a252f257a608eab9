"""The look at the media of a job, as the process of the job orders it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster.worker.task import Task, TaskError
from worldloom.codec import from_json
from worldloom.errors import (
    FrameCountError,
    InputError,
    LimitError,
    TrajectoryError,
    VideoError,
    WorldloomError,
)

_KINDS: dict[str, type[WorldloomError]] = {
    kind.__name__: kind
    for kind in (InputError, TrajectoryError, VideoError, FrameCountError, LimitError)
}
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class LaidOut:
    """Where one input lies."""

    media: str
    trajectory: str | None = None


@dataclass(frozen=True)
class Inspected:
    """What the decoder leaves; one of the fields is set."""

    inputs: tuple[LaidOut, ...] = ()
    error: TaskError | None = None
    is_out_of_memory: bool = False


def inspected_file(folder: Path) -> Path:
    """Returns where the decoder leaves what it found."""
    return folder / "inspected.json"


def inspected_inputs(task: Task, folder: Path) -> tuple[LaidOut, ...]:
    """Has the inputs of a job laid out and looked at in a process of its own.

    Args:
        task: A reconstruction.
        folder: Of the job, with its `task.json`.

    Returns:
        Where media and trajectories lie, in the order of the inputs.

    Raises:
        InputError: they cannot be read, or their decoder broke on them.
        LimitError: they are above a cap, or take more memory or time than decoders get.
    """
    inspected_file(folder).unlink(missing_ok=True)
    bounds = task.bounds
    # One thread: each has an arena and a stack, which count.
    environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ} | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    command = [sys.executable, "-m", "cluster.worker.decoder", str(folder)]
    try:
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=bounds.decoder_s,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise _too_long(bounds.decoder_s) from error
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _too_long(bounds.decoder_s)
    found = _read(inspected_file(folder))
    if found is not None and found.error is not None:
        kind = _KINDS.get(found.error.kind, InputError)
        raise kind(found.error.message, **found.error.ids)
    if found is not None and found.is_out_of_memory:
        raise LimitError(
            f"the media take more than {bounds.decoder_mib} MiB to open; make them smaller",
            limit=bounds.decoder_mib,
        )
    if found is None or code:
        what = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise InputError(
            f"the decoder broke on the media ({what}), or took more than {bounds.decoder_mib} "
            "MiB; encode them again, or make them smaller"
        )
    return found.inputs


def _too_long(limit_s: float) -> LimitError:
    return LimitError(
        f"the media take more than {limit_s:g} s to open; make them shorter or smaller",
        limit=limit_s,
    )


def _read(path: Path) -> Inspected | None:
    """What the decoder left; None where it left nothing whole."""
    try:
        return from_json(path.read_bytes(), Inspected)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
