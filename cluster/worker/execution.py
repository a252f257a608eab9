"""What executes the stages of a job."""

import os
from functools import partial

from cluster.worker.task import Task
from worldloom.api import RunnerFactory
from worldloom.inline import InlineRunner


def runner_of(task: Task) -> RunnerFactory:
    """Returns the runner that a job asks for: all cores of this process, or actors on Ray."""
    if task.runner == "inline":
        return partial(InlineRunner, workers=len(os.sched_getaffinity(0)))
    # Ray takes a second to import, which jobs without it need not wait for.
    from cluster.ray_runner import RayConfig, RayRunner

    return partial(RayRunner, workers=task.ray_workers, config=RayConfig())
