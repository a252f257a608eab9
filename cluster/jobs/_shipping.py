"""Whether a cluster has our packages, and what to bring along where it has not."""

import importlib
import uuid
from pathlib import Path

from cluster.jobs._jobs import RayJobs
from cluster.jobs._state import JobState

_PACKAGES = ("worldloom", "actors", "cluster")
_MARK = "worldloom-version:"
_PROBE = (
    "import importlib.metadata as m\n"
    "try:\n"
    f"    print('{_MARK}' + m.version('worldloom'))\n"
    "except m.PackageNotFoundError:\n"
    f"    print('{_MARK}')\n"
)
_PROBE_S = 120.0


def our_packages() -> tuple[Path, ...]:
    """Returns the folders of our packages, as this process imports them."""
    modules = [importlib.import_module(name) for name in _PACKAGES]
    return tuple(Path(str(module.__file__)).resolve().parent for module in modules)


def version_there(jobs: RayJobs) -> str | None:
    """Returns the version of Worldloom that is installed on the head node, or None.

    It runs a small job there; there is no other way to ask. The job is forgotten afterwards.

    Raises:
        JobError: the cluster does not answer, or does not come to run the job.
    """
    probe = f"worldloom-probe-{uuid.uuid4().hex[:8]}"
    jobs.submit(["python", "-c", _PROBE], probe, {}, {})
    report = jobs.wait(probe, _PROBE_S)
    told = jobs.logs(probe)
    jobs.delete(probe)
    if report.state is not JobState.SUCCEEDED:
        return None
    marked = [line for line in told.splitlines() if line.startswith(_MARK)]
    return marked[-1].removeprefix(_MARK) or None if marked else None
