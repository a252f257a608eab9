"""Flags that say where the work is done; they never change the result.

One exception: a backend of depth that is `auto` depends on whether the workers have a GPU.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from worldloom.api import RunnerFactory
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner

RunnerName = Literal["inline", "ray"]


@dataclass(frozen=True)
class Execution:
    """Where the work is done."""

    runner: RunnerName | None = None
    """inline: threads of this process; ray: workers on this machine or a cluster. None: ray where
    an address is given, else inline."""
    workers: int | None = None
    """Threads, or most Ray workers of a kind; None: one a core, or all that the cluster carries."""
    address: str | None = None
    """`host:port` of a Ray cluster; None: a local one, for the time of the run."""
    store: str | None = None
    """Root of the artifact store: a folder, s3:// or gs://; None: `artifacts` in the output folder.
    Workers on other machines must reach it by the same name."""
    depth_gpus: float = 0.0
    """Share of a GPU that each Ray worker of depth books; needed for the cuda backend there."""
    autoscale: bool = False
    """Ask the autoscaler of a Ray cluster for room for all workers of a stage, up to --workers."""
    chunk_gpus: float = 0.0
    """Share of a GPU that each Ray worker of chunks books; splats are trained on CUDA there."""
    cache_mib: int = 256
    """Decoded images and arrays kept in each process, MiB."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers is {self.workers}; give at least 1", field="workers")
        if self.cache_mib < 0:
            raise ConfigError(f"--cache-mib is {self.cache_mib}; give 0 or more", field="cache_mib")
        for field in ("depth_gpus", "chunk_gpus"):
            flag, share = f"--{field.replace('_', '-')}", getattr(self, field)
            if share < 0:
                raise ConfigError(f"{flag} is {share}; give 0 or more", field=field)
            if share > 0 and self.runner == "inline":
                raise ConfigError(
                    f"{flag} is for --runner ray: inline, all threads share the GPU of the "
                    "process; leave one of the two out",
                    field=field,
                )
        if self.address is not None and self.runner == "inline":
            raise ConfigError(
                "--address is for --runner ray; leave one of the two out", field="address"
            )

    def factory(self, fallback: RunnerName = "inline") -> RunnerFactory:
        """Returns what makes the runner.

        Args:
            fallback: Runner where none is named and no address is given.
        """
        name = self.runner or ("ray" if self.address else fallback)
        if name == "inline":
            return partial(InlineRunner, workers=self.workers or len(os.sched_getaffinity(0)))
        # Ray takes a second to import, which the other commands need not wait for.
        from actors.resources import ActorResources, RoleResources
        from cluster.ray_runner import RayConfig, RayRunner

        resources = ActorResources(
            depth=RoleResources(num_gpus=self.depth_gpus),
            chunk=replace(ActorResources().chunk, num_gpus=self.chunk_gpus),
        )
        config = RayConfig(resources=resources, autoscale=self.autoscale)
        return partial(RayRunner, workers=self.workers, address=self.address, config=config)
