"""Stages that do what tests want: workers import this module by its name."""

import os
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numba

from worldloom.bench import Bench
from worldloom.errors import InputError, StoreError
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey, Store

Deed = Literal[
    "square",
    "die once",
    "die always",
    "finish, then die",
    "refuse",
    "defect",
    "run out of memory",
    "find no space once",
]


@dataclass(frozen=True)
class Task:
    """A number to square, or something worse."""

    test: str
    """Name of the test, so that tests can share a store."""
    n: int
    deed: Deed = "square"
    sleep_s: float = 0.0

    @property
    def subject(self) -> str:
        return f"task {self.n}"


@dataclass(frozen=True)
class Square:
    n: int


@dataclass(frozen=True)
class Workplace:
    """What a stage function finds around it."""

    pid: int
    numba_threads: int
    cv2_threads: int
    omp_threads: str
    cache_mib: float


def perform(bench: Bench, key: ArtifactKey, work: Task) -> Square:
    """Leaves one file for each time that it is begun, then does the deed."""
    first = not any(name.startswith("ran-") for name in _names(bench.store, key))
    bench.store.write(key, f"ran-{uuid.uuid4().hex}", str(os.getpid()).encode())
    time.sleep(work.sleep_s)
    match work.deed:
        case "die once" if first:
            os.kill(os.getpid(), signal.SIGKILL)
        case "die always":
            os.kill(os.getpid(), signal.SIGKILL)
        case "finish, then die":
            bench.store.commit(key, Square(work.n**2))
            os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise InputError(f"{work.subject} is black; drop it", view=work.n)
        case "defect":
            raise ValueError(f"a defect in {work.subject}")
        case "find no space once" if first:
            raise StoreError(f"cannot write {work.subject}: no space left on device", key=key)
        case "run out of memory":
            raise MemoryError("Unable to allocate 8 TiB")
        case _:
            pass
    bench.store.write(key, "data.bin", str(work.n).encode())
    return Square(work.n**2)


def look_around(bench: Bench, key: ArtifactKey, work: Task) -> Workplace:
    time.sleep(work.sleep_s)
    return Workplace(
        os.getpid(),
        numba.config.NUMBA_NUM_THREADS,  # pyright: ignore
        cv2.getNumThreads(),
        os.environ.get("OMP_NUM_THREADS", ""),
        bench.cache.capacity_bytes / 2**20,
    )


def perform_stage(role: Role = Role.DEPTH) -> Stage[Task, Square]:
    return Stage(f"perform-{role}", 1, role, Square, perform)


def look_stage(role: Role) -> Stage[Task, Workplace]:
    return Stage(f"look-{role}", 1, role, Workplace, look_around)


def times_begun(root: Path, key: ArtifactKey) -> int:
    """How often the function of an artifact was called, by any process."""
    return len(list((root / key).glob("ran-*")))


def _names(store: Store, key: ArtifactKey) -> list[str]:
    folder = Path(store.uri) / key
    return os.listdir(folder) if folder.is_dir() else []
