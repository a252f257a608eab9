"""Jobs that another version of the service kept."""

import asyncio
from pathlib import Path

from sqlalchemy import update

from cluster.gateway.tables import JOBS
from cluster.rpc import reconstruction_service_pb2 as pb2
from cluster.worker.task import Outcome, TaskError
from tests.calls import begun, job_request, played, stubs, uploaded
from tests.gateway import Running


def test_a_job_that_cannot_be_read_fails_and_the_queue_goes_on(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        create = stub.jobs.CreateReconstructionJob
        jobs = [await create(job_request(asset), metadata=who) for _ in range(3)]
        ids = [job.name.partition("/")[2] for job in jobs]
        await begun(gateway, ids[0])
        change = update(JOBS).where(JOBS.c.id == ids[1]).values(spec='{"kind": "dream"}')
        await gateway.core.database.write(lambda connection: connection.execute(change))
        gateway.launcher.end(ids[0], Outcome(TaskError("PlanError", "no overlap")))
        watch = pb2.WatchReconstructionJobRequest(name=jobs[1].name)
        events = [m.event async for m in stub.jobs.WatchReconstructionJob(watch, metadata=who)]
        assert events[-1].state_change.error.reason == "INPUT"
        assert "another version" in events[-1].state_change.error.message
        found = await stub.jobs.ListReconstructionJobs(
            pb2.ListReconstructionJobsRequest(), metadata=who
        )
        assert [bool(job.inputs) for job in found.reconstruction_jobs] == [True, False, True]
        async with asyncio.timeout(20):
            await begun(gateway, ids[2])

    played(tmp_path, test, max_running=1)
