"""What a process knows of the Ray job that it is the driver of."""

import os

import msgspec

CONFIG_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the environment of the driver of a submitted job."""


def in_ray_job() -> bool:
    """Returns whether this process is the driver of a job that was submitted to Ray."""
    return CONFIG_VARIABLE in os.environ


def submission_id() -> str | None:
    """Returns the submission id of the job of this process; None outside of a job."""
    if not in_ray_job():
        return None
    metadata = msgspec.json.decode(os.environ[CONFIG_VARIABLE]).get("metadata", {})
    return metadata.get("job_submission_id")
