"""Jobs as Ray Jobs of a cluster."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.gateway.launcher import LaunchState
from cluster.gateway.records import Node
from worldloom.errors import RunnerError

_logger = logging.getLogger(__name__)
_NOT_THERE = "404"


class RayJobs:
    """Starts each job as a Ray Job, with a driver of its own on the head node.

    Args:
        address: Of the job server, `http://HEAD:8265`. A token is taken from `RAY_AUTH_TOKEN`.

    Raises:
        RunnerError: nothing answers there.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        # Ray takes a second to import, which gateways without a cluster need not wait for.
        from ray.job_submission import JobSubmissionClient

        try:
            self._client: Any = JobSubmissionClient(address)
        except (ConnectionError, RuntimeError) as error:
            raise RunnerError(
                f"no job server of Ray answers at {address}: {error}; check --ray-address and "
                "RAY_AUTH_TOKEN",
                address=address,
            ) from error

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Starts a job; see `JobLauncher`."""
        if self.status(submission_id) is not LaunchState.UNKNOWN:
            return submission_id
        try:
            self._client.submit_job(
                entrypoint=shlex.join(entrypoint),
                submission_id=submission_id,
                runtime_env={"env_vars": dict(env)},
                metadata=dict(metadata),
            )
        except (ConnectionError, RuntimeError) as error:
            raise self._refused(submission_id, error) from error
        return submission_id

    def status(self, submission_id: str) -> LaunchState:
        """Returns what is known of a job; see `JobLauncher`."""
        try:
            return LaunchState(self._client.get_job_status(submission_id).value)
        except (ConnectionError, RuntimeError) as error:
            if _NOT_THERE in str(error):
                return LaunchState.UNKNOWN
            raise self._refused(submission_id, error) from error

    def stop(self, submission_id: str) -> None:
        """Asks a job to end; Ray makes it where it does not; see `JobLauncher`."""
        try:
            self._client.stop_job(submission_id)
        except (ConnectionError, RuntimeError) as error:
            if _NOT_THERE not in str(error):
                raise self._refused(submission_id, error) from error

    def logs(self, submission_id: str) -> str:
        """Returns what a job wrote; see `JobLauncher`."""
        try:
            return str(self._client.get_job_logs(submission_id))
        except (ConnectionError, RuntimeError) as error:
            _logger.warning("the log of %s cannot be read: %s", submission_id, error)
            return ""

    def nodes(self) -> tuple[Node, ...]:
        """Returns the nodes of the cluster; see `JobLauncher`."""
        from ray.util.state import list_nodes
        from ray.util.state.exception import RayStateApiException

        try:
            found: Any = list_nodes(address=self._address, timeout=5, raise_on_missing_output=False)
        except (RayStateApiException, ConnectionError, RuntimeError) as error:
            _logger.warning("the nodes of %s cannot be listed: %s", self._address, error)
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

    def _refused(self, submission_id: str, error: Exception) -> RunnerError:
        return RunnerError(
            f"the cluster at {self._address} does not answer for {submission_id}: {error}",
            address=self._address,
        )
