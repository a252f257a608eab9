"""Jobs of the service as Ray Jobs of a cluster: `cluster.jobs` in the terms of the gateway."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.gateway.launcher import LaunchState
from cluster.gateway.records import Node
from worldloom.errors import JobError, RunnerError

_logger = logging.getLogger(__name__)


class RayLauncher:
    """Starts each job as a Ray Job, with a driver of its own on the head node.

    Args:
        address: Of the job server, `http://HEAD:8265`. A token is taken from `RAY_AUTH_TOKEN`.

    Raises:
        RunnerError: nothing answers there.
    """

    def __init__(self, address: str) -> None:
        # Ray takes a second to import, which gateways without a cluster need not wait for.
        from cluster.jobs import RayJobs

        try:
            self._jobs = RayJobs(address)
        except JobError as error:
            raise RunnerError(f"{error.message} (--ray-address)", address=address) from error

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Starts a job; see `JobLauncher`."""
        try:
            return self._jobs.submit(entrypoint, submission_id, env, metadata)
        except JobError as error:
            raise self._refused(error) from error

    def status(self, submission_id: str) -> LaunchState:
        """Returns what is known of a job; see `JobLauncher`."""
        try:
            if not self._jobs.knows(submission_id):
                return LaunchState.UNKNOWN
            return LaunchState[self._jobs.status(submission_id).name]
        except JobError as error:
            raise self._refused(error) from error

    def stop(self, submission_id: str) -> None:
        """Asks a job to end; Ray makes it where it does not; see `JobLauncher`."""
        try:
            if self._jobs.knows(submission_id):
                self._jobs.stop(submission_id)
        except JobError as error:
            raise self._refused(error) from error

    def logs(self, submission_id: str) -> str:
        """Returns what a job wrote; see `JobLauncher`."""
        try:
            return self._jobs.logs(submission_id)
        except JobError as error:
            _logger.warning("the log of %s cannot be read: %s", submission_id, error.message)
            return ""

    def nodes(self) -> tuple[Node, ...]:
        """Returns the nodes of the cluster; see `JobLauncher`."""
        from ray.util.state import list_nodes
        from ray.util.state.exception import RayStateApiException

        address = self._jobs.address
        try:
            found: Any = list_nodes(address=address, timeout=5, raise_on_missing_output=False)
        except (RayStateApiException, ConnectionError, RuntimeError) as error:
            _logger.warning("the nodes of %s cannot be listed: %s", address, error)
            return ()
        return tuple(
            Node(
                str(node.node_id),
                str(node.state) == "ALIVE",
                float(node.resources_total.get("CPU", 0)),
                float(node.resources_total.get("GPU", 0)),
                int(node.resources_total.get("memory", 0)),
            )
            for node in found
        )

    def _refused(self, error: JobError) -> RunnerError:
        return RunnerError(error.message, address=self._jobs.address)
