"""Jobs, operations and scenes over gRPC, with processes that are played."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2 as details_pb2

from cluster.gateway.config import Quotas
from cluster.gateway.launcher import LaunchState
from cluster.rpc import (
    asset_service_pb2,
    export_service_pb2,
    job_pb2,
    operation_service_pb2,
    reconstruction_service_pb2,
    scene_service_pb2,
)
from cluster.worker.task import Outcome, Output, TaskError
from tests.calls import NO_ID, begun, details, failure, job_request, played, stubs, uploaded
from tests.gateway import Running
from tests.shown import show_folder


async def exported(gateway: Running, who: Any, scene_name: str) -> None:
    stub = stubs(gateway)
    get = scene_service_pb2.GetSceneRequest(name=scene_name)
    scene = await stub.scenes.GetScene(get, metadata=who)
    assert scene.face_count > 0
    assert "mesh.glb" in {file.path for file in scene.files}
    for path, code in (("../../gateway.db", "NOT_FOUND"), ("scene.json", "NOT_FOUND")):
        ask = scene_service_pb2.DownloadSceneFileRequest(name=scene_name, path=path)
        error = await failure(stub.scenes.DownloadSceneFile(ask, metadata=who).read())
        assert error.code().name == code
    ask = scene_service_pb2.DownloadSceneFileRequest(name=scene_name, path="mesh.glb")
    pieces = [p.data async for p in stub.scenes.DownloadSceneFile(ask, metadata=who)]
    record = next(file for file in scene.files if file.path == "mesh.glb")
    assert hashlib.sha256(b"".join(pieces)).digest() == record.sha256
    request = export_service_pb2.ExportMeshRequest(
        scene=scene_name, format=export_service_pb2.MESH_FORMAT_GLB
    )
    operation = await stub.exports.ExportMesh(request, metadata=who)
    operation_id = operation.name.partition("/")[2]
    await begun(gateway, operation_id)
    delete = scene_service_pb2.DeleteSceneRequest(name=scene_name)
    error = await failure(stub.scenes.DeleteScene(delete, metadata=who))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    made = gateway.core.folders.job(operation_id) / "mesh.glb"
    made.write_bytes(b"glb")
    digest = hashlib.sha256(b"glb").hexdigest()
    output = Output("mesh.glb", "mesh.glb", 3, digest)
    gateway.launcher.end(operation_id, Outcome(output=output))
    watch = operation_service_pb2.WatchOperationRequest(name=operation.name)
    async for _ in stub.operations.WatchOperation(watch, metadata=who):
        pass
    ask = operation_service_pb2.GetOperationRequest(name=operation.name)
    done = await stub.operations.GetOperation(ask, metadata=who)
    down = asset_service_pb2.DownloadAssetRequest(name=done.asset)
    pieces = [p.data async for p in stub.assets.DownloadAsset(down, metadata=who)]
    assert b"".join(pieces) == b"glb"
    await stub.scenes.DeleteScene(delete, metadata=who)
    assert not gateway.core.folders.scene(scene_name.partition("/")[2]).exists()


def test_a_job_is_made_once_is_watched_and_its_scene_exported(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        dry = await stub.jobs.CreateReconstructionJob(
            job_request(asset, validate_only=True), metadata=who
        )
        assert not dry.name
        request = job_request(asset, request_id="once")
        both = await asyncio.gather(
            *(stub.jobs.CreateReconstructionJob(request, metadata=who) for _ in range(4))
        )
        (name,) = {job.name for job in both}
        job_id = name.partition("/")[2]
        request.reconstruction_job.settings.frame_step = 2
        error = await failure(stub.jobs.CreateReconstructionJob(request, metadata=who))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        await begun(gateway, job_id)
        watch = reconstruction_service_pb2.WatchReconstructionJobRequest(name=name)
        sequences: list[int] = []
        states: list[int] = []
        gateway.launcher.progress(job_id, "depth", 1, 4)
        async for message in stub.jobs.WatchReconstructionJob(watch, metadata=who):
            sequences.append(message.event.sequence)
            if message.event.WhichOneof("event") == "progress":
                assert message.event.progress.stage == "depth"
                # The connection breaks here.
                break
        watch.after_sequence = sequences[-1]
        # An asset that a job needs stays.
        delete = asset_service_pb2.DeleteAssetRequest(name=asset)
        error = await failure(stub.assets.DeleteAsset(delete, metadata=who))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        show_folder(gateway.core.folders.scene(job_id))
        gateway.launcher.progress(job_id, "merge", 4, 4)
        gateway.launcher.end(job_id, Outcome())
        async for message in stub.jobs.WatchReconstructionJob(watch, metadata=who):
            sequences.append(message.event.sequence)
            if message.event.HasField("state_change"):
                states.append(message.event.state_change.state)
        assert sequences == list(range(1, len(sequences) + 1))
        assert states == [job_pb2.JOB_STATE_SUCCEEDED]
        get = reconstruction_service_pb2.GetReconstructionJobRequest(name=name)
        job = await stub.jobs.GetReconstructionJob(get, metadata=who)
        assert job.scene == f"scenes/{job_id}"
        assert job.progress.stage == "merge"
        await exported(gateway, who, job.scene)

    played(tmp_path, test)


def test_a_process_that_is_lost_is_started_again_and_then_the_job_has_failed(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        job = await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)
        job_id = job.name.partition("/")[2]
        for launch_id in (job_id, f"{job_id}-2", f"{job_id}-3"):
            await begun(gateway, launch_id)
            gateway.launcher.end(launch_id, None)
        watch = reconstruction_service_pb2.WatchReconstructionJobRequest(name=job.name)
        events = [m.event async for m in stub.jobs.WatchReconstructionJob(watch, metadata=who)]
        assert events[-1].state_change.error.reason == "PROCESS_LOST"

    played(tmp_path, test)


def test_an_error_of_a_job_comes_with_its_code_and_without_folders(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        job = await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)
        job_id = job.name.partition("/")[2]
        await begun(gateway, job_id)
        text = f"{tmp_path}/jobs/x/a.mp4: frame 3 is broken; encode it again"
        fault = TaskError("VideoError", text, {"frame": "3", "path": f"{tmp_path}/jobs/x/a.mp4"})
        gateway.launcher.end(job_id, Outcome(fault))
        watch = reconstruction_service_pb2.WatchReconstructionJobRequest(name=job.name)
        events = [m.event async for m in stub.jobs.WatchReconstructionJob(watch, metadata=who)]
        error = events[-1].state_change.error
        assert error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert error.reason == "VIDEO"
        assert error.message == "a.mp4: frame 3 is broken; encode it again"
        assert dict(error.metadata) == {"frame": "3", "path": "a.mp4"}
        await stub.jobs.DeleteReconstructionJob(
            reconstruction_service_pb2.DeleteReconstructionJobRequest(name=job.name), metadata=who
        )
        assert not gateway.core.folders.job(job_id).exists()

    played(tmp_path, test)


def test_cancelling_ends_what_waits_at_once_and_what_runs_soon(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        create = stub.jobs.CreateReconstructionJob
        first = await create(job_request(asset), metadata=who)
        first_id = first.name.partition("/")[2]
        await begun(gateway, first_id)
        second = await create(job_request(asset), metadata=who)
        kind = reconstruction_service_pb2.CancelReconstructionJobRequest
        cancelled = await stub.jobs.CancelReconstructionJob(kind(name=second.name), metadata=who)
        assert cancelled.state == job_pb2.JOB_STATE_CANCELLED
        await stub.jobs.CancelReconstructionJob(kind(name=first.name), metadata=who)
        watch = reconstruction_service_pb2.WatchReconstructionJobRequest(name=first.name)
        events = [m.event async for m in stub.jobs.WatchReconstructionJob(watch, metadata=who)]
        assert events[-1].state_change.state == job_pb2.JOB_STATE_CANCELLED
        assert gateway.launcher.states[first_id] is LaunchState.STOPPED

    played(tmp_path, test, max_running=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"resolution_px": 8}, "reconstruction_job.settings.resolution_px"),
        ({"holdout_views": 1}, "reconstruction_job.settings.holdout_views"),
        ({"voxel_m": -1.0}, "reconstruction_job.settings.voxel_m"),
        ({"voxel_m": float("nan")}, "reconstruction_job.settings.voxel_m"),
        ({"texture_resolution_px": 9}, "reconstruction_job.settings.texture_resolution_px"),
        ({"point_density": 99}, "reconstruction_job.settings.point_density"),
        ({"frame_step": 0}, "reconstruction_job.settings.frame_step"),
    ],
)
def test_settings_that_cannot_work_name_their_field(
    tmp_path: Path, change: dict[str, Any], field: str
):
    async def test(gateway: Running) -> None:
        request = job_request(f"assets/{NO_ID}")
        for name, value in change.items():
            setattr(request.reconstruction_job.settings, name, value)
        call = stubs(gateway).jobs.CreateReconstructionJob(request, metadata=gateway.token())
        error = await failure(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error, details_pb2.BadRequest).field_violations[0].field == field

    played(tmp_path, test)


def test_pages_hold_each_job_once(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        made = [
            (await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)).name
            for _ in range(5)
        ]
        found: list[str] = []
        token = ""
        while True:
            request = reconstruction_service_pb2.ListReconstructionJobsRequest(
                page_size=2, page_token=token
            )
            page = await stub.jobs.ListReconstructionJobs(request, metadata=who)
            found += [job.name for job in page.reconstruction_jobs]
            token = page.next_page_token
            if not token:
                break
        assert sorted(found) == sorted(made)
        assert len(found) == 5
        request.page_token = "nonsense"
        error = await failure(stub.jobs.ListReconstructionJobs(request, metadata=who))
        assert details(error, details_pb2.BadRequest).field_violations[0].field == "page_token"

    played(tmp_path, test)


def test_gpu_time_is_charged_and_its_share_is_kept(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        job = await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)
        job_id = job.name.partition("/")[2]
        await begun(gateway, job_id)
        await asyncio.sleep(0.1)
        gateway.launcher.end(job_id, Outcome(TaskError("PlanError", "no overlap")))
        watch = reconstruction_service_pb2.WatchReconstructionJobRequest(name=job.name)
        async for _ in stub.jobs.WatchReconstructionJob(watch, metadata=who):
            pass
        get = reconstruction_service_pb2.GetReconstructionJobRequest(name=job.name)
        charged = (await stub.jobs.GetReconstructionJob(get, metadata=who)).gpu_time
        assert charged.seconds >= 60
        quota = await stub.assets.GetQuota(asset_service_pb2.GetQuotaRequest(), metadata=who)
        assert quota.used_gpu_time == charged
        error = await failure(stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who))
        assert details(error, details_pb2.QuotaFailure).violations[0].subject == "gpu_minutes"
        # The share of another caller is its own.
        bob = gateway.token("bob")
        other = await uploaded(gateway, bob, b"video")
        await stub.jobs.CreateReconstructionJob(job_request(other), metadata=bob)

    played(tmp_path, test, quotas=Quotas(max_gpu_minutes=1), job_gpus=5000.0)
