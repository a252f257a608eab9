"""Submission of jobs to a Ray cluster; a repeated submission is harmless."""

import asyncio
import logging
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from cluster.jobs._client import Client, RequestRefusedError, connected, errors_told
from cluster.jobs._state import JobReport, JobState
from worldloom.errors import JobError

_logger = logging.getLogger(__name__)
_POLL_S = 0.5


class RayJobs:
    """The jobs of one cluster.

    Args:
        address: Of its dashboard, `http://HEAD:8265`.
        token: Of a protected cluster; None for the one that Ray finds (`RAY_AUTH_TOKEN`,
            `RAY_AUTH_TOKEN_PATH` or `~/.ray/auth_token`, with `RAY_AUTH_MODE=token`).

    Raises:
        JobError: nothing answers there, it is no Ray, or the token is not the right one.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address.rstrip("/")
        self._client: Client = connected(self.address, token)

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
        *,
        packages: Sequence[Path] = (),
    ) -> str:
        """Submits a job, or finds it submitted.

        Args:
            entrypoint: Words of the command, run on the head node.
            submission_id: Its name; with it a repeated submission finds the first one, in whatever
                state that is.
            env: Environment of the driver and of all workers.
            metadata: What to keep with the job, for people and programs.
            packages: Folders of Python packages to bring along; none where they are installed.

        Returns:
            The submission id.

        Raises:
            JobError: the id belongs to a job with another entrypoint, or the cluster refuses.
        """
        command = shlex.join(entrypoint)
        if not self._is_there(submission_id, command):
            runtime_env: dict[str, Any] = {"env_vars": dict(env)}
            if packages:
                runtime_env["py_modules"] = [str(folder) for folder in packages]
            try:
                with errors_told(self.address, submission_id):
                    self._client.submit_job(
                        entrypoint=command,
                        submission_id=submission_id,
                        runtime_env=runtime_env,
                        metadata=dict(metadata),
                    )
            except JobError:
                # Somebody may have submitted the same in between.
                if not self._is_there(submission_id, command):
                    raise
        return submission_id

    def status(self, job: str) -> JobState:
        """Returns how far a job is.

        Raises:
            JobError: the cluster does not know it, or does not answer.
        """
        return self.report(job).state

    def report(self, job: str) -> JobReport:
        """Returns what the cluster knows of a job.

        Raises:
            JobError: the cluster does not know it, or does not answer.
        """
        with errors_told(self.address, job):
            return _report(self._client.get_job_info(job))

    def knows(self, job: str) -> bool:
        """Returns whether the cluster remembers a job of this name.

        Raises:
            JobError: the cluster does not answer.
        """
        return self._entrypoint(job) is not None

    def list(self) -> tuple[JobReport, ...]:
        """Returns the jobs that were submitted, the latest first.

        Raises:
            JobError: the cluster does not answer.
        """
        with errors_told(self.address):
            found = [_report(info) for info in self._client.list_jobs() if info.submission_id]
        return tuple(sorted(found, key=lambda report: (-(report.started_s or 0), report.job)))

    def stop(self, job: str) -> bool:
        """Asks a job to end: SIGTERM, and SIGKILL after a while; does not wait for it.

        Returns:
            True where it was running.

        Raises:
            JobError: the cluster does not know it, or does not answer.
        """
        with errors_told(self.address, job):
            return self._client.stop_job(job)

    def delete(self, job: str) -> None:
        """Makes the cluster forget a job that has ended.

        Raises:
            JobError: it runs, the cluster does not know it, or does not answer.
        """
        with errors_told(self.address, job):
            self._client.delete_job(job)

    def logs(self, job: str) -> str:
        """Returns what the driver of a job has written so far, stdout and stderr.

        Raises:
            JobError: the cluster does not know it, or does not answer.
        """
        with errors_told(self.address, job):
            return self._client.get_job_logs(job)

    async def tail(self, job: str) -> AsyncIterator[str]:
        """Yields what the driver of a job writes, from the beginning until the job ends.

        Raises:
            JobError: the cluster does not know it, or the connection broke.
        """
        # The log of a job whose driver is not up yet cannot be followed.
        while await asyncio.to_thread(self.status, job) is JobState.PENDING:
            await asyncio.sleep(_POLL_S)
        with errors_told(self.address, job):
            try:
                async for text in self._client.tail_job_logs(job):
                    yield text
            except aiohttp.ClientError as error:
                raise ConnectionError(str(error)) from error

    def follow(self, job: str) -> Iterator[str]:
        """Yields what `tail` yields, for callers without an event loop."""
        with asyncio.Runner() as runner:
            pieces = self.tail(job)
            while True:
                try:
                    yield runner.run(_next(pieces))
                except StopAsyncIteration:
                    return

    def wait(self, job: str, timeout_s: float | None = None) -> JobReport:
        """Waits for the end of a job.

        Args:
            job: Submission id.
            timeout_s: Longest wait; None for as long as it takes.

        Raises:
            JobError: it did not end in time, the cluster does not know it, or does not answer.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not (report := self.report(job)).state.ended:
            if deadline_s is not None and time.monotonic() > deadline_s:
                raise JobError(
                    f"job {job} is still {report.state} after {timeout_s:g} s; wait longer, or "
                    f"see `worldloom job logs {job}`",
                    job=job,
                    address=self.address,
                )
            time.sleep(_POLL_S)
        return report

    def _is_there(self, job: str, command: str) -> bool:
        known = self._entrypoint(job)
        if known is None:
            return False
        if known != command:
            raise JobError(
                f"job {job} exists and runs another command ({known}); choose another --id",
                job=job,
                address=self.address,
            )
        _logger.info("job %s is submitted already", job)
        return True

    def _entrypoint(self, job: str) -> str | None:
        with errors_told(self.address):
            try:
                return self._client.get_job_info(job).entrypoint
            except RequestRefusedError as error:
                if error.not_found:
                    return None
                raise


async def _next(pieces: AsyncIterator[str]) -> str:
    return await anext(pieces)


def _report(info: Any) -> JobReport:
    return JobReport(
        str(info.submission_id),
        JobState(str(info.status.value).lower()),
        info.entrypoint,
        info.message or "",
        None if info.start_time is None else info.start_time / 1000,
        None if info.end_time is None else info.end_time / 1000,
        info.driver_exit_code,
        dict(info.metadata or {}),
    )
