"""The methods of the service, over gRPC, with processes that are played."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from cluster.gateway.config import Quotas
from cluster.gateway.launcher import LaunchState
from cluster.gateway.scopes import OPEN_METHODS, SCOPES, Scope
from cluster.rpc import (
    asset_service_pb2,
    asset_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    job_pb2,
    metrics_service_pb2,
    metrics_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    reconstruction_service_pb2,
    reconstruction_service_pb2_grpc,
    scene_service_pb2,
    scene_service_pb2_grpc,
)
from cluster.worker.task import Outcome, Output, TaskError
from tests.benchmarks.gateway_fuzz import ALLOWED, fuzz
from tests.gateway import Running, part, running
from tests.shown import show_folder

MODULES = (
    reconstruction_service_pb2,
    asset_service_pb2,
    operation_service_pb2,
    export_service_pb2,
    scene_service_pb2,
    metrics_service_pb2,
)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
NO_ID = "0" * 28


def played(
    folder: Path, test: Callable[[Running], Coroutine[Any, Any, None]], **config: Any
) -> None:
    async def play() -> None:
        async with running(folder, **config) as gateway, asyncio.timeout(60):
            await test(gateway)

    asyncio.run(play())


async def raw_call(gateway: Running, method: str, request: bytes, metadata: Any = ()) -> Any:
    """Calls a method by name, whatever its kind, and returns the error, or None."""
    if METHODS[method].server_streaming:
        stream = gateway.channel.unary_stream(method)(request, metadata=metadata, timeout=20)
        try:
            async for _ in stream:
                break
        except grpc.aio.AioRpcError as error:
            return error
        finally:
            stream.cancel()
        return None
    try:
        await gateway.channel.unary_unary(method)(request, metadata=metadata, timeout=20)
    except grpc.aio.AioRpcError as error:
        return error
    return None


def details(error: grpc.aio.AioRpcError, kind: Any) -> Any:
    """The detail of a kind in the status of an error."""
    metadata = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    found = kind()
    assert any(item.Unpack(found) for item in status.details), status
    return found


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def stubs(gateway: Running) -> Any:
    class Stubs:
        assets: Any = asset_service_pb2_grpc.AssetServiceStub(gateway.channel)
        jobs: Any = reconstruction_service_pb2_grpc.ReconstructionServiceStub(gateway.channel)
        operations: Any = operation_service_pb2_grpc.OperationServiceStub(gateway.channel)
        exports: Any = export_service_pb2_grpc.ExportServiceStub(gateway.channel)
        scenes: Any = scene_service_pb2_grpc.SceneServiceStub(gateway.channel)
        metrics: Any = metrics_service_pb2_grpc.MetricsServiceStub(gateway.channel)

    return Stubs


async def uploaded(gateway: Running, who: Any, data: bytes, name: str = "a.mp4") -> str:
    """Uploads a small file in one part and returns the name of the asset."""
    stub = stubs(gateway).assets
    start = asset_service_pb2.StartUploadRequest(display_name=name, size_bytes=len(data))
    upload = await stub.StartUpload(start, metadata=who)
    await stub.UploadPart(part(upload.name, 0, data), metadata=who)
    request = asset_service_pb2.CommitUploadRequest(
        name=upload.name, sha256=hashlib.sha256(data).digest()
    )
    return (await stub.CommitUpload(request, metadata=who)).name


def job_request(
    asset: str, **fields: Any
) -> reconstruction_service_pb2.CreateReconstructionJobRequest:
    job = reconstruction_service_pb2.ReconstructionJob(
        display_name="a", inputs=[reconstruction_service_pb2.ReconstructionInput(media_asset=asset)]
    )
    return reconstruction_service_pb2.CreateReconstructionJobRequest(
        reconstruction_job=job, **fields
    )


async def begun(gateway: Running, launch_id: str) -> None:
    """Waits until the process of a job is started."""
    while launch_id not in gateway.launcher.states:
        await asyncio.sleep(0.02)


def test_every_method_has_its_scope_and_nothing_else_is_open():
    assert set(SCOPES) == set(METHODS)
    assert not OPEN_METHODS & set(METHODS)


def test_without_the_right_token_nothing_is_reached(tmp_path: Path):
    async def test(gateway: Running) -> None:
        right = gateway.token()[0][1]
        revoked = gateway.token()
        gateway.core.tokens.revoke(revoked[0][1].split("_")[1])
        other_secret = right[:-2] + ("aa" if right[-2:] != "aa" else "bb")
        wrong = {
            "none": (),
            "no scheme": (("authorization", right.partition(" ")[2]),),
            "basic": (("authorization", "Basic " + right.partition(" ")[2]),),
            "empty": (("authorization", "Bearer "),),
            "other secret": (("authorization", other_secret),),
            "unknown id": (("authorization", f"Bearer wl_{'0' * 16}_{'a' * 43}"),),
            "twice": (("authorization", right), ("authorization", right)),
            "revoked": revoked,
            "expired": gateway.token(lifetime_s=-1.0),
        }
        for method in METHODS:
            for why, metadata in wrong.items():
                error = await raw_call(gateway, method, b"", metadata)
                assert error is not None, (method, why)
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED, (method, why, error)
                assert details(error, details_pb2.ErrorInfo).reason == "CREDENTIAL"
            all_others = [scope for scope in Scope if scope is not SCOPES[method]]
            error = await raw_call(gateway, method, b"", gateway.token(scopes=all_others))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED, method
            assert details(error, details_pb2.ErrorInfo).metadata["scope"] == SCOPES[method]

    played(tmp_path, test)


def test_the_right_scope_is_enough_and_what_is_not_there_is_not_found(tmp_path: Path):
    async def test(gateway: Running) -> None:
        collections = {"Job": "reconstructionJobs", "Operation": "operations"}
        collections |= {"Upload": "uploads", "Asset": "assets", "Scene": "scenes"}
        for method, descriptor in METHODS.items():
            kind = descriptor.input_type
            name = next((v for k, v in collections.items() if k in descriptor.name), "scenes")
            if "name" not in kind.fields_by_name or "Commit" in method or "Part" in method:
                continue
            field = kind.fields_by_name["name"]
            text = f"{name}/{NO_ID}".encode()
            request = bytes([field.number << 3 | 2, len(text)]) + text
            error = await raw_call(gateway, method, request, gateway.token(scopes=[SCOPES[method]]))
            assert error.code() is grpc.StatusCode.NOT_FOUND, (method, error)

    played(tmp_path, test)


def test_bytes_that_are_no_message_are_an_invalid_argument(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who = gateway.token()
        for method, descriptor in METHODS.items():
            if not descriptor.input_type.fields:
                continue
            error = await raw_call(gateway, method, b"\xff\xff\xff", who)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, method

    played(tmp_path, test)


def test_health_and_reflection_need_no_token(tmp_path: Path):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def test(gateway: Running) -> None:
        health: Any = health_pb2_grpc.HealthStub(gateway.channel)
        for service in ("", "worldloom.v1.ReconstructionService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection.ServerReflectionInfo(iter([ask]))
        async for answer in call:
            names = {item.name for item in answer.list_services_response.service}
            assert {f"worldloom.v1.{s}Service" for s in ("Asset", "Scene", "Export")} <= names
            break
        call.cancel()

    played(tmp_path, test)


def test_an_upload_goes_on_out_of_order_and_refuses_what_is_not_right(tmp_path: Path):
    data = bytes(range(256)) * 40

    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets
        start = asset_service_pb2.StartUploadRequest(
            display_name="a.mp4", size_bytes=len(data), request_id="r1"
        )
        upload = await stub.StartUpload(start, metadata=who)
        assert (await stub.StartUpload(start, metadata=who)).name == upload.name
        start.size_bytes += 1
        error = await failure(stub.StartUpload(start, metadata=who))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        await stub.UploadPart(part(upload.name, 4096, data[4096:8192]), metadata=who)
        broken = part(upload.name, 0, data[:4096])
        broken.crc32c ^= 1
        assert (await failure(stub.UploadPart(broken, metadata=who))).code() is (
            grpc.StatusCode.DATA_LOSS
        )
        for offset in (-1, len(data), len(data) - 4095):
            bad = part(upload.name, offset, data[:4096])
            error = await failure(stub.UploadPart(bad, metadata=who))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            fields = details(error, details_pb2.BadRequest).field_violations
            assert [item.field for item in fields] == ["offset_bytes"]
        commit = asset_service_pb2.CommitUploadRequest(
            name=upload.name, sha256=hashlib.sha256(data).digest()
        )
        error = await failure(stub.CommitUpload(commit, metadata=who))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        query = asset_service_pb2.GetUploadRequest(name=upload.name)
        spans = (await stub.GetUpload(query, metadata=who)).received
        assert [(span.start_bytes, span.end_bytes) for span in spans] == [(4096, 8192)]
        await stub.UploadPart(part(upload.name, 8192, data[8192:]), metadata=who)
        answer = await stub.UploadPart(part(upload.name, 0, data[:5000]), metadata=who)
        assert answer.received_bytes == len(data)
        commit.sha256 = bytes(32)
        error = await failure(stub.CommitUpload(commit, metadata=who))
        assert error.code() is grpc.StatusCode.DATA_LOSS
        assert not (await stub.GetUpload(query, metadata=who)).received
        await stub.UploadPart(part(upload.name, 0, data), metadata=who)
        commit.sha256 = hashlib.sha256(data).digest()
        asset = await stub.CommitUpload(commit, metadata=who)
        assert await stub.CommitUpload(commit, metadata=who) == asset
        ask = asset_service_pb2.DownloadAssetRequest(name=asset.name, offset_bytes=100)
        pieces = [piece async for piece in stub.DownloadAsset(ask, metadata=who)]
        assert b"".join(piece.data for piece in pieces) == data[100:]
        # Of another caller nothing is to be seen.
        bob = gateway.token("bob")
        for call in (
            stub.GetUpload(query, metadata=bob),
            stub.GetAsset(asset_service_pb2.GetAssetRequest(name=asset.name), metadata=bob),
            stub.UploadPart(part(upload.name, 0, data), metadata=bob),
        ):
            assert (await failure(call)).code() is grpc.StatusCode.NOT_FOUND
        found = await stub.ListAssets(asset_service_pb2.ListAssetsRequest(), metadata=bob)
        assert not found.assets

    played(tmp_path, test)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".ssh", "a\\b", "a\n", "x" * 201, "a:b"])
def test_a_file_name_is_a_name_and_no_path(tmp_path: Path, name: str):
    async def test(gateway: Running) -> None:
        request = asset_service_pb2.StartUploadRequest(display_name=name, size_bytes=1)
        call = stubs(gateway).assets.StartUpload(request, metadata=gateway.token())
        error = await failure(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error, details_pb2.BadRequest).field_violations[0].field == "display_name"

    played(tmp_path, test)


def test_imports_come_from_below_a_named_folder_alone(tmp_path: Path):
    allowed = tmp_path / "allowed"
    (allowed / "sub").mkdir(parents=True)
    (allowed / "sub" / "a.mp4").write_bytes(b"video")
    (tmp_path / "secret").write_bytes(b"secret")
    (allowed / "link").symlink_to(tmp_path / "secret")
    (allowed / "away").symlink_to(tmp_path)

    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets

        def ask(root: str, name: str) -> Any:
            request = asset_service_pb2.ImportAssetRequest(import_root=root, object=name)
            return stub.ImportAsset(request, metadata=who)

        asset = await ask("films", "sub/a.mp4")
        assert asset.sha256 == hashlib.sha256(b"video").digest()
        for name in ("link", "away/secret", "sub", "none", "sub/none"):
            assert (await failure(ask("films", name))).code() is grpc.StatusCode.NOT_FOUND, name
        for name in ("../secret", "/etc/passwd", "sub//a.mp4", "", ".", "a\0b"):
            error = await failure(ask("films", name))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, name
        assert (await failure(ask("/etc", "passwd"))).code() is grpc.StatusCode.NOT_FOUND

    played(tmp_path / "data", test, import_roots={"films": allowed})


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


def test_shares_are_kept(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        too_much = asset_service_pb2.StartUploadRequest(display_name="b", size_bytes=1000)
        error = await failure(stub.assets.StartUpload(too_much, metadata=who))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error, details_pb2.QuotaFailure).violations[0].subject == "bytes"
        await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)
        error = await failure(stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who))
        assert details(error, details_pb2.QuotaFailure).violations[0].subject == "jobs"
        quota = await stub.assets.GetQuota(asset_service_pb2.GetQuotaRequest(), metadata=who)
        assert (quota.used_bytes, quota.limit_bytes, quota.active_jobs) == (5, 1000, 1)
        request = metrics_service_pb2.WatchClusterMetricsRequest()
        open_streams = [stub.metrics.WatchClusterMetrics(request, metadata=who) for _ in range(2)]
        for stream in open_streams:
            assert (await stream.read()).metrics.nodes[0].node_id == "played"
        error = await failure(stub.metrics.WatchClusterMetrics(request, metadata=who).read())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error, details_pb2.RetryInfo).retry_delay.seconds >= 1
        for stream in open_streams:
            stream.cancel()

    quotas = Quotas(max_bytes=1000, max_active_jobs=1, max_watches=2)
    played(tmp_path, test, quotas=quotas)


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


def test_malformed_requests_get_the_right_kind_of_code(tmp_path: Path):
    async def test(gateway: Running) -> None:
        port = int(gateway.address.rpartition(":")[2])
        counts = await fuzz(port, gateway.core.tokens.create("fuzz"), 400, seed=1)
        assert sum(counts.values()) == 400
        assert {code for _, code in counts} <= ALLOWED

    played(tmp_path, test)
