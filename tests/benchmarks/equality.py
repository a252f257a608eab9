"""Distributed equals local: `python -m tests.benchmarks.equality`.

Prints the digest of mesh, point cloud and cameras for every runner, number of workers, size of
chunks, and for three nodes where network namespaces can be made (root).
"""

import subprocess
import tempfile
import time
from pathlib import Path

from tests.chaos.killing import ROOT, command, digest
from tests.faults.hosts import can_make_hosts
from tests.faults.scenarios import run_scenario
from tests.integration.scenes import write_input

_CHUNK_BLOCKS = 96
CASES: dict[str, tuple[str, ...]] = {
    "inline, 1 thread": ("--runner", "inline", "--workers", "1"),
    "inline, 2 threads": ("--runner", "inline", "--workers", "2"),
    "Ray, 1 worker": ("--runner", "ray", "--workers", "1"),
    "Ray, 2 workers": ("--runner", "ray", "--workers", "2"),
    "Ray, 4 workers": ("--runner", "ray", "--workers", "4"),
    "chunks x 0.5": ("--workers", "2", "--surface.chunk-blocks", str(_CHUNK_BLOCKS // 2)),
    "chunks x 2": ("--workers", "2", "--surface.chunk-blocks", str(_CHUNK_BLOCKS * 2)),
    "chunks of at most 3 views": ("--workers", "2", "--max-views-per-chunk", "3"),
    "chunks of 0.5": ("--workers", "2", "--chunk-size-m", "0.5"),
}


def main() -> int:
    """Prints the table; 1 where two scenes differ."""
    found: set[str] = set()
    print("| run | seconds | digest |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="worldloom-equality-") as name:
        folder = Path(name)
        source = write_input(folder / "source")
        for number, (case, flags) in enumerate(CASES.items()):
            out = folder / str(number)
            begun_s = time.monotonic()
            subprocess.run(command(source, out, *flags), cwd=ROOT, check=True, capture_output=True)
            found.add(digest(out))
            print(f"| {case} | {time.monotonic() - begun_s:.0f} | {digest(out)} |", flush=True)
        if can_make_hosts():
            run = run_scenario("undisturbed", source, folder)
            found.add(run.digest)
            print(f"| Ray, three nodes | {run.seconds:.0f} | {run.digest} |", flush=True)
        else:
            print("| Ray, three nodes | - | not run: needs root |")
    return 0 if len(found) == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
