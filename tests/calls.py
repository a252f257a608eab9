"""Calls of the methods of the service, for tests."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2

from cluster.rpc import (
    asset_service_pb2,
    asset_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    metrics_service_pb2,
    metrics_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    reconstruction_service_pb2,
    reconstruction_service_pb2_grpc,
    scene_service_pb2,
    scene_service_pb2_grpc,
)
from tests.gateway import Running, part, running

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
