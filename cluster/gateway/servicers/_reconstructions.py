"""ReconstructionService."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from cluster.gateway.convert import (
    event_to_pb,
    job_to_pb,
    priority_from_pb,
    spec_from_pb,
    state_from_pb,
)
from cluster.gateway.core import Core
from cluster.gateway.guard import caller
from cluster.gateway.identifiers import checked_request_id, id_of, page_request
from cluster.gateway.jobs import RECONSTRUCTIONS
from cluster.gateway.records import JobEvent, JobRecord, State
from cluster.gateway.specs import JobSpec
from cluster.rpc import job_pb2, reconstruction_service_pb2_grpc
from cluster.rpc import reconstruction_service_pb2 as pb2
from cluster.worker.task import JobKind
from worldloom.errors import ConfigError

_COLLECTION = "reconstructionJobs"
_LARGEST_PREVIEW = 1 << 20
_MOST_SHOWN = 1000


class ReconstructionServicer(reconstruction_service_pb2_grpc.ReconstructionServiceServicer):
    """Reconstruction jobs on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shown: dict[str, tuple[JobRecord, pb2.ReconstructionJob]] = {}
        """Jobs as they were asked for last, with their messages."""

    async def CreateReconstructionJob(  # noqa: N802, the name in the contract
        self, request: pb2.CreateReconstructionJobRequest, context: Any
    ) -> pb2.ReconstructionJob:
        """Queues a job."""
        wanted = request.reconstruction_job
        spec = spec_from_pb(wanted)
        job = await self._core.jobs.create(
            caller(),
            JobSpec(JobKind.RECONSTRUCT, reconstruct=spec),
            spec.title,
            priority_from_pb(wanted.priority, "reconstruction_job.priority"),
            checked_request_id(request.request_id),
            request.validate_only,
        )
        return job_to_pb(job, is_created=not request.validate_only)

    async def GetReconstructionJob(  # noqa: N802
        self, request: pb2.GetReconstructionJobRequest, context: Any
    ) -> pb2.ReconstructionJob:
        """Returns a job."""
        job_id = id_of(request.name, _COLLECTION)
        job = await self._core.jobs.get(caller(), job_id, RECONSTRUCTIONS)
        shown = self._shown.get(job_id)
        if shown is None or shown[0] is not job:
            if len(self._shown) >= _MOST_SHOWN:
                self._shown.clear()
            shown = self._shown[job_id] = (job, job_to_pb(job))
        return shown[1]

    async def ListReconstructionJobs(  # noqa: N802
        self, request: pb2.ListReconstructionJobsRequest, context: Any
    ) -> pb2.ListReconstructionJobsResponse:
        """Lists jobs."""
        page = page_request(request.page_size, request.page_token)
        state = state_from_pb(request.state)
        found = await self._core.jobs.list(caller(), RECONSTRUCTIONS, page, state)
        return pb2.ListReconstructionJobsResponse(
            reconstruction_jobs=[job_to_pb(job) for job in found.items],
            next_page_token=found.next_token,
        )

    async def CancelReconstructionJob(  # noqa: N802
        self, request: pb2.CancelReconstructionJobRequest, context: Any
    ) -> pb2.ReconstructionJob:
        """Asks a job to stop."""
        job_id = id_of(request.name, _COLLECTION)
        return job_to_pb(await self._core.jobs.cancel(caller(), job_id, RECONSTRUCTIONS))

    async def DeleteReconstructionJob(  # noqa: N802
        self, request: pb2.DeleteReconstructionJobRequest, context: Any
    ) -> Empty:
        """Deletes a job; the scene of one that succeeded stays."""
        job_id = id_of(request.name, _COLLECTION)
        job = await self._core.jobs.delete(caller(), job_id, RECONSTRUCTIONS)
        await asyncio.to_thread(self._core.folders.remove_job, job_id)
        if job.state is not State.SUCCEEDED:
            await asyncio.to_thread(self._core.folders.remove_scene, job_id)
        return Empty()

    async def WatchReconstructionJob(  # noqa: N802
        self, request: pb2.WatchReconstructionJobRequest, context: Any
    ) -> AsyncGenerator[pb2.WatchReconstructionJobResponse]:
        """Sends the events of a job."""
        job_id = id_of(request.name, _COLLECTION)
        after = checked_sequence(request.after_sequence)
        await self._core.jobs.get(caller(), job_id, RECONSTRUCTIONS)
        async for event in self._core.hub.follow(job_id, after):
            message = await self._message(job_id, event, request.include_previews)
            if message is not None:
                yield pb2.WatchReconstructionJobResponse(event=message)

    async def _message(
        self, job_id: str, event: JobEvent, include_previews: bool
    ) -> job_pb2.JobEvent | None:
        worker = event.content.worker
        if worker is None or worker.preview is None:
            return event_to_pb(event, None)
        if not include_previews:
            return None
        image = await asyncio.to_thread(self._picture, job_id, worker.preview.file)
        return None if image is None else event_to_pb(event, image)

    def _picture(self, job_id: str, name: str) -> bytes | None:
        folder = self._core.folders.job(job_id).resolve()
        path = (folder / name).resolve()
        # The process of a job names the file, and decoders have been made to do worse.
        if path.parent != folder or not path.is_file() or path.stat().st_size > _LARGEST_PREVIEW:
            return None
        return path.read_bytes()


def checked_sequence(after: int) -> int:
    """Returns the sequence that a watcher saw last.

    Raises:
        ConfigError: it is negative.
    """
    if after < 0:
        raise ConfigError("after_sequence must not be negative", field="after_sequence")
    return after
