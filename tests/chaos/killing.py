"""One run of the command, with processes of it killed when a seed says."""

import hashlib
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.integration.scenes import write_input

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("mesh.ply", "point_cloud.ply", "cameras.json")
_MOST_KILLS = 4
_LAST_KILL_S = 25.0
_MOST_STARTS = 12
_TIMEOUT_S = 900.0
_AGAIN_S = 0.5


@dataclass(frozen=True)
class Kill:
    """A process that was killed."""

    after_s: float
    """Since the command was started last."""
    victim: str
    """driver, actor or worker."""
    name: str


@dataclass(frozen=True)
class ChaosRun:
    """What became of a run."""

    seed: int
    seconds: float
    starts: int
    """Times that the command was started: once, and once after each death of the driver."""
    kills: tuple[Kill, ...]
    digest: str
    """Of all products."""


def command(source: Path, out: Path, *flags: str) -> list[str]:
    """Returns the command that reconstructs the tiny scene of the integration tests."""
    return [
        *(sys.executable, "-m", "cluster", "reconstruct", str(source / "video.mp4")),
        *("--trajectory", str(source / "camera.json"), "--out", str(out), "--resolution", "128"),
        *("--surface.min-component-faces", "20", "--surface.chunk-blocks", "96"),
        *("--no-report", "--no-textures", *flags),
    ]


def digest(out: Path) -> str:
    """Returns the digest of the products of a scene folder."""
    content = b"".join((out / name).read_bytes() for name in PRODUCTS)
    return hashlib.sha256(content).hexdigest()[:16]


def undisturbed(folder: Path) -> tuple[Path, str]:
    """Writes the input, reconstructs it in one process; returns the input and the digest."""
    source = write_input(folder / "source")
    subprocess.run(
        command(source, folder / "reference", "--runner", "inline", "--workers", "1"),
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return source, digest(folder / "reference")


def chaos_run(seed: int, source: Path, out: Path) -> ChaosRun:
    """Reconstructs on local Ray while processes are killed; starts again after the driver's death.

    Args:
        seed: Decides who is killed when.
        source: Folder of the input.
        out: Folder of the scene.

    Raises:
        RuntimeError: the command fails by itself, or does not end.
    """
    draw = random.Random(seed)
    start = time.monotonic()
    kills: list[Kill] = []
    for starts in range(1, _MOST_STARTS + 1):
        times = sorted(draw.uniform(1.0, _LAST_KILL_S) for _ in range(_MOST_KILLS - len(kills)))
        arguments = command(source, out, "--runner", "ray", "--workers", "2")
        ended = _attempt(arguments, draw, times, kills)
        if ended == 0:
            return ChaosRun(seed, time.monotonic() - start, starts, tuple(kills), digest(out))
        if ended != -9:
            raise RuntimeError(f"seed {seed}: the command ended with {ended} after {kills}")
    raise RuntimeError(f"seed {seed}: not through after {_MOST_STARTS} starts")


def _attempt(
    arguments: list[str], draw: random.Random, times: list[float], kills: list[Kill]
) -> int:
    begun = time.monotonic()
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        family: list[psutil.Process] = []
        while driver.poll() is None:
            family = _family(driver.pid) or family
            now_s = time.monotonic() - begun
            if times and now_s >= times[0]:
                times.pop(0)
                kill = _kill_one(driver.pid, family, draw, now_s)
                if kill is None:
                    times.insert(0, now_s + _AGAIN_S)  # nobody of that kind is up
                else:
                    kills.append(kill)
            if now_s > _TIMEOUT_S:
                driver.kill()
                raise RuntimeError(f"not through after {_TIMEOUT_S:.0f} s and {kills}")
            time.sleep(0.05)
    # What a dead driver leaves behind ends by itself; the next start need not share the cores.
    psutil.wait_procs(family, timeout=30)
    return driver.returncode


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill_one(
    driver: int, family: list[psutil.Process], draw: random.Random, now_s: float
) -> Kill | None:
    victim = draw.choice(["driver", "actor", "actor", "actor", "worker"])
    if victim == "driver":
        psutil.Process(driver).kill()
        return Kill(now_s, victim, "driver")
    prefix = "ray::IDLE" if victim == "worker" else "ray::"
    found: list[psutil.Process] = []
    for process in family:
        try:
            name = process.name()
        except psutil.NoSuchProcess:
            continue  # it ended after it was listed
        if name.startswith(prefix) and ("Actor" in name) == (victim == "actor"):
            found.append(process)
    if not found:
        return None
    chosen = draw.choice(sorted(found, key=lambda process: process.pid))
    try:
        name = chosen.name()
        chosen.kill()
    except psutil.NoSuchProcess:
        return None
    return Kill(now_s, victim, name)
