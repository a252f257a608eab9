"""Which cluster a command is about."""

import os

from cluster.jobs import DEFAULT_ADDRESS, RayJobs

_VARIABLE = "RAY_API_SERVER_ADDRESS"


def jobs_at(address: str | None) -> RayJobs:
    """Returns the jobs at an address, or at the one that Ray's own command would use.

    Raises:
        JobError: nothing answers there, it is no Ray, or the token is not the right one.
    """
    return RayJobs(address or os.environ.get(_VARIABLE) or DEFAULT_ADDRESS)
