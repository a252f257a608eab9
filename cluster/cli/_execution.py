"""Flags that say where the work is done; they never change the result.

One exception: a backend of depth that is `auto` depends on whether the workers have a GPU.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from cluster.cli._logs import turn_to_json
from cluster.ray_job import in_ray_job, submission_id
from worldloom.api import RunnerFactory
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
from worldloom.logs import LogConfig, LogFormat

RunnerName = Literal["inline", "ray"]


@dataclass(frozen=True)
class Execution:
    """Where the work is done."""

    runner: RunnerName | None = None
    """inline: threads of this process; ray: workers on this machine or a cluster. None: ray where
    an address is given or inside a Ray job, else inline."""
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
    log_format: LogFormat = "text"
    """json: every line on stderr is a JSON object, and progress comes as log lines; workers write
    the same to their own logs."""
    job: str | None = None
    """Name of the job in JSON logs; None: its submission id inside a Ray job, else the name of the
    output folder."""

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

    def start_logging(self, out: Path) -> None:
        """Makes stderr speak the format that is wanted.

        Args:
            out: Output folder, which names a job that has no other name.
        """
        if (config := self.log_config(out)) is not None:
            turn_to_json(config)

    def log_config(self, out: Path | None) -> LogConfig | None:
        """Returns how all processes of the job log; None for text."""
        if self.log_format == "text":
            return None
        return LogConfig(
            self.job or submission_id() or (out.resolve().name if out else "worldloom")
        )

    def factory(self, fallback: RunnerName = "inline", out: Path | None = None) -> RunnerFactory:
        """Returns what makes the runner.

        Args:
            fallback: Runner where none is named and no address is given.
            out: Output folder, which names the job in the logs of workers.
        """
        name = self.runner or ("ray" if self.address or in_ray_job() else fallback)
        if name == "inline":
            return partial(InlineRunner, workers=self.workers or len(os.sched_getaffinity(0)))
        # Ray takes a second to import, which the other commands need not wait for.
        from actors.resources import ActorResources, RoleResources
        from cluster.ray_runner import RayConfig, RayRunner

        resources = ActorResources(
            depth=RoleResources(num_gpus=self.depth_gpus),
            chunk=replace(ActorResources().chunk, num_gpus=self.chunk_gpus),
        )
        config = RayConfig(resources=resources, autoscale=self.autoscale, log=self.log_config(out))
        return partial(RayRunner, workers=self.workers, address=self.address, config=config)
