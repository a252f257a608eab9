"""What starts the processes of jobs, as the gateway sees it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from cluster.gateway.records import Node


class LaunchState(StrEnum):
    """What is known of the process of a job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    """It ended with 0."""
    FAILED = "FAILED"
    """It ended otherwise, or was lost."""
    STOPPED = "STOPPED"
    """It ended because we wanted so."""
    UNKNOWN = "UNKNOWN"
    """There is no such process, as far as can be told."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing runs any more."""
        return self not in (LaunchState.PENDING, LaunchState.RUNNING)


class JobLauncher(Protocol):
    """Starts processes, each under an id of ours, and finds them again after a restart.

    All methods block, and are called from threads.
    """

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Starts a process; with an id that has one, does nothing.

        Args:
            entrypoint: The command.
            submission_id: Our id.
            env: Variables that it gets besides.
            metadata: For people who look at the cluster.

        Returns:
            The id.

        Raises:
            RunnerError: it cannot be started.
        """
        ...

    def status(self, submission_id: str) -> LaunchState:
        """Returns what is known of a process.

        Raises:
            RunnerError: the cluster cannot be asked at the moment.
        """
        ...

    def stop(self, submission_id: str) -> None:
        """Asks a process to end, and makes it where it does not; may be called again."""
        ...

    def logs(self, submission_id: str) -> str:
        """Returns the end of what a process wrote."""
        ...

    def nodes(self) -> tuple[Node, ...]:
        """Returns the machines that processes run on; empty where they cannot be asked."""
        ...
