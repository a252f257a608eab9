"""What a job asks of the object store of Ray: `python -m tests.benchmarks.object_store SCENE`.

Prints the most that the store of a local cluster held at any look, what was created and spilled in
all, and its size; 1 where anything was spilled.
"""

import argparse
import json
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from cluster.ray_runner import RayRunner
from cluster.session import RaySession
from worldloom.api import reconstruct_files
from worldloom.config import ReconstructionConfig

SIZE_MIB = 128
_LOOK_EVERY_S = 0.5


def store_stats() -> Any:  # a message of Ray, which ships no types for it
    """Returns the counters of the object stores of the cluster that this process is in."""
    address = ray.get_runtime_context().gcs_address
    return get_memory_info_reply(get_state_from_address(address)).store_stats


class Watch:
    """Looks at the object store every now and then."""

    def __init__(self) -> None:
        self.most_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self.most_bytes = max(self.most_bytes, store_stats().object_store_bytes_used)


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--resolution", type=int, default=640)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    session = RaySession(
        None,
        local_cpus=4 * options.workers,
        object_store_mib=SIZE_MIB,
        dashboard=False,
        log_to_driver=False,
    )
    session.start()
    try:
        with tempfile.TemporaryDirectory() as name, Watch() as watch:
            reconstruct_files(
                [options.scene],
                Path(name),
                ReconstructionConfig(resolution=options.resolution),
                every=options.every,
                runner=partial(RayRunner, workers=options.workers),
                report=False,
            )
            stats = store_stats()
    finally:
        session.close()
    found = {
        "size_mib": SIZE_MIB,
        "most_held_mib": round(watch.most_bytes / 2**20, 2),
        "created_mib": round(stats.cumulative_created_bytes / 2**20, 2),
        "created_objects": stats.cumulative_created_objects,
        "spilled_bytes": stats.spilled_bytes_total,
    }
    print(json.dumps(found))
    return int(stats.spilled_bytes_total > 0)


if __name__ == "__main__":
    raise SystemExit(main())
