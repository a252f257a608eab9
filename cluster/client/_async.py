"""The client for asyncio."""

import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc.aio

from cluster.client._channel import Channel, ClientTls
from cluster.client._transfer import Transfer, TransferProgress, no_progress
from cluster.gateway.convert import (
    WatchedEvent,
    asset_from_pb,
    camera_request,
    cloud_request,
    job_from_pb,
    mesh_request,
    operation_from_pb,
    optimize_request,
    quota_from_pb,
    refine_request,
    render_request,
    scene_from_pb,
    spec_to_pb,
    splat_request,
    watched_from_pb,
)
from cluster.gateway.records import AssetRecord, JobRecord, Priority, QuotaRecord, SceneRecord
from cluster.rpc import (
    asset_service_pb2,
    asset_service_pb2_grpc,
    export_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    reconstruction_service_pb2,
    reconstruction_service_pb2_grpc,
    scene_service_pb2,
    scene_service_pb2_grpc,
)
from cluster.worker.task import (
    CameraSpec,
    CloudSpec,
    MeshSpec,
    OptimizeSpec,
    ReconstructSpec,
    RefineSpec,
    RenderSpec,
    SplatSpec,
)
from worldloom.errors import NotFoundError


class AsyncClient(AbstractAsyncContextManager["AsyncClient"]):
    """A client of the service; all methods raise what the service said as a `WorldloomError`.

    Calls are tried again while the service is not there; those that make something carry a request
    id, so that nothing is made twice.

    Args:
        address: `host:port`.
        token: As `worldloom tokens create` printed it; None where the service asks for none.
        tls: None without TLS, which is for loopback.
        plaintext: Allow the token to go to another machine without TLS.
        parallel: Parts of a file that are under way at a time.
        retry_s: How long a call is tried again.
        timeout_s: How long one try of a call may take.
        interceptors: Of gRPC, around all calls: `aio_client_interceptors()` of OpenTelemetry, say.

    Raises:
        ConfigError: the token would go to another machine in the clear.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        *,
        tls: ClientTls | None = None,
        plaintext: bool = False,
        parallel: int = 4,
        retry_s: float = 60.0,
        timeout_s: float = 300.0,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self._channel = Channel(
            address,
            token,
            tls=tls,
            plaintext=plaintext,
            retry_s=retry_s,
            timeout_s=timeout_s,
            interceptors=interceptors,
        )
        wire = self._channel.wire
        self._transfer = Transfer(self._channel, parallel)
        # Typed as Any: the generated stubs say nothing of asyncio.
        self._assets: Any = asset_service_pb2_grpc.AssetServiceStub(wire)
        self._jobs: Any = reconstruction_service_pb2_grpc.ReconstructionServiceStub(wire)
        self._operations: Any = operation_service_pb2_grpc.OperationServiceStub(wire)
        self._exports: Any = export_service_pb2_grpc.ExportServiceStub(wire)
        self._scenes: Any = scene_service_pb2_grpc.SceneServiceStub(wire)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def upload(
        self,
        path: Path,
        display_name: str | None = None,
        on_progress: TransferProgress = no_progress,
    ) -> AssetRecord:
        """Uploads a file, or what of it is not there yet."""
        return await self._transfer.upload(path, display_name or path.name, on_progress)

    async def import_asset(
        self, root: str, name: str, request_id: str | None = None
    ) -> AssetRecord:
        """Makes an asset of a file in a folder that the operator allows by name."""
        request = asset_service_pb2.ImportAssetRequest(
            import_root=root, object=name, request_id=request_id or _request_id()
        )
        return asset_from_pb(await self._channel.call(self._assets.ImportAsset, request))

    async def get_asset(self, asset_id: str) -> AssetRecord:
        """Returns an asset."""
        request = asset_service_pb2.GetAssetRequest(name=f"assets/{asset_id}")
        return asset_from_pb(await self._channel.call(self._assets.GetAsset, request))

    async def list_assets(self) -> tuple[AssetRecord, ...]:
        """Returns all assets, newest first."""
        kind = asset_service_pb2.ListAssetsRequest
        found = await self._all(self._assets.ListAssets, kind, "assets")
        return tuple(asset_from_pb(item) for item in found)

    async def delete_asset(self, asset_id: str) -> None:
        """Deletes an asset."""
        request = asset_service_pb2.DeleteAssetRequest(name=f"assets/{asset_id}")
        await self._channel.call(self._assets.DeleteAsset, request)

    async def quota(self) -> QuotaRecord:
        """Returns what this caller uses and may use."""
        request = asset_service_pb2.GetQuotaRequest()
        return quota_from_pb(await self._channel.call(self._assets.GetQuota, request))

    async def download(
        self, asset_id: str, path: Path, on_progress: TransferProgress = no_progress
    ) -> Path:
        """Downloads an asset, from where an earlier download stopped, and checks it."""
        asset = await self.get_asset(asset_id)
        target = path / asset.display_name if path.is_dir() else path
        return await self._transfer.download(asset, target, on_progress)

    async def create_job(
        self,
        spec: ReconstructSpec,
        *,
        priority: Priority = Priority.NORMAL,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> JobRecord:
        """Queues a reconstruction; with the same request id there is one."""
        request = reconstruction_service_pb2.CreateReconstructionJobRequest(
            reconstruction_job=spec_to_pb(spec, priority),
            request_id=request_id or _request_id(),
            validate_only=validate_only,
        )
        return job_from_pb(await self._channel.call(self._jobs.CreateReconstructionJob, request))

    async def get_job(self, job_id: str) -> JobRecord:
        """Returns a reconstruction."""
        request = reconstruction_service_pb2.GetReconstructionJobRequest(name=_job(job_id))
        return job_from_pb(await self._channel.call(self._jobs.GetReconstructionJob, request))

    async def list_jobs(self) -> tuple[JobRecord, ...]:
        """Returns all reconstructions, newest first."""
        kind = reconstruction_service_pb2.ListReconstructionJobsRequest
        found = await self._all(self._jobs.ListReconstructionJobs, kind, "reconstruction_jobs")
        return tuple(job_from_pb(item) for item in found)

    async def cancel_job(self, job_id: str) -> JobRecord:
        """Asks a reconstruction to stop."""
        request = reconstruction_service_pb2.CancelReconstructionJobRequest(name=_job(job_id))
        return job_from_pb(await self._channel.call(self._jobs.CancelReconstructionJob, request))

    async def delete_job(self, job_id: str) -> None:
        """Deletes a reconstruction that has ended; its scene stays."""
        request = reconstruction_service_pb2.DeleteReconstructionJobRequest(name=_job(job_id))
        await self._channel.call(self._jobs.DeleteReconstructionJob, request)

    def watch_job(
        self, job_id: str, after: int = 0, previews: bool = False
    ) -> AsyncGenerator[WatchedEvent]:
        """Yields the events of a reconstruction after a sequence, until the last, over breaks."""

        def opened(sequence: int) -> Any:
            request = reconstruction_service_pb2.WatchReconstructionJobRequest(
                name=_job(job_id), after_sequence=sequence, include_previews=previews
            )
            return self._jobs.WatchReconstructionJob(request, metadata=self._channel.metadata)

        return self._watched(opened, after)

    async def wait_job(self, job_id: str) -> JobRecord:
        """Waits for the end of a reconstruction."""
        async for _ in self.watch_job(job_id):
            pass
        return await self.get_job(job_id)

    async def export_mesh(self, scene_id: str, spec: MeshSpec) -> JobRecord:
        """Begins the export of a mesh."""
        return await self._begun(self._exports.ExportMesh, mesh_request(scene_id, spec))

    async def export_point_cloud(self, scene_id: str, spec: CloudSpec) -> JobRecord:
        """Begins the export of a point cloud."""
        return await self._begun(self._exports.ExportPointCloud, cloud_request(scene_id, spec))

    async def export_cameras(self, scene_id: str, spec: CameraSpec) -> JobRecord:
        """Begins the export of cameras."""
        return await self._begun(self._exports.ExportCameras, camera_request(scene_id, spec))

    async def export_splats(self, scene_id: str, spec: SplatSpec) -> JobRecord:
        """Begins the export of splats."""
        return await self._begun(self._exports.ExportSplats, splat_request(scene_id, spec))

    async def refine_mesh(self, scene_id: str, spec: RefineSpec) -> JobRecord:
        """Begins the refinement of a mesh."""
        return await self._begun(self._scenes.RefineMesh, refine_request(scene_id, spec))

    async def optimize_textures(self, scene_id: str, spec: OptimizeSpec) -> JobRecord:
        """Begins to make textures sharper."""
        return await self._begun(self._scenes.OptimizeTextures, optimize_request(scene_id, spec))

    async def render_views(self, scene_id: str, spec: RenderSpec) -> JobRecord:
        """Begins to render views."""
        return await self._begun(self._scenes.RenderViews, render_request(scene_id, spec))

    async def get_operation(self, operation_id: str) -> JobRecord:
        """Returns an operation."""
        request = operation_service_pb2.GetOperationRequest(name=f"operations/{operation_id}")
        return operation_from_pb(await self._channel.call(self._operations.GetOperation, request))

    async def cancel_operation(self, operation_id: str) -> JobRecord:
        """Asks an operation to stop."""
        request = operation_service_pb2.CancelOperationRequest(name=f"operations/{operation_id}")
        message = await self._channel.call(self._operations.CancelOperation, request)
        return operation_from_pb(message)

    def watch_operation(self, operation_id: str, after: int = 0) -> AsyncGenerator[WatchedEvent]:
        """Yields the events of an operation after a sequence, until the last, over breaks."""

        def opened(sequence: int) -> Any:
            request = operation_service_pb2.WatchOperationRequest(
                name=f"operations/{operation_id}", after_sequence=sequence
            )
            return self._operations.WatchOperation(request, metadata=self._channel.metadata)

        return self._watched(opened, after)

    async def wait_operation(self, operation_id: str) -> JobRecord:
        """Waits for the end of an operation."""
        async for _ in self.watch_operation(operation_id):
            pass
        return await self.get_operation(operation_id)

    async def get_scene(self, scene_id: str) -> SceneRecord:
        """Returns a scene."""
        request = scene_service_pb2.GetSceneRequest(name=f"scenes/{scene_id}")
        return scene_from_pb(await self._channel.call(self._scenes.GetScene, request))

    async def list_scenes(self) -> tuple[SceneRecord, ...]:
        """Returns all scenes, newest first."""
        kind = scene_service_pb2.ListScenesRequest
        found = await self._all(self._scenes.ListScenes, kind, "scenes")
        return tuple(scene_from_pb(item) for item in found)

    async def delete_scene(self, scene_id: str) -> None:
        """Deletes a scene with its files."""
        request = scene_service_pb2.DeleteSceneRequest(name=f"scenes/{scene_id}")
        await self._channel.call(self._scenes.DeleteScene, request)

    async def download_scene_file(
        self, scene_id: str, name: str, path: Path, on_progress: TransferProgress = no_progress
    ) -> Path:
        """Downloads a file of a scene, as its manifest lists it, and checks it."""
        scene_name = f"scenes/{scene_id}"
        scene = await self._channel.call(
            self._scenes.GetScene, scene_service_pb2.GetSceneRequest(name=scene_name)
        )
        file = next((item for item in scene.files if item.path == name), None)
        if file is None:
            raise NotFoundError(
                f"the scene has no file {name}; it has {', '.join(f.path for f in scene.files)}"
            )

        def opened(offset: int) -> Any:
            request = scene_service_pb2.DownloadSceneFileRequest(
                name=scene_name, path=name, offset_bytes=offset
            )
            return self._scenes.DownloadSceneFile(request, metadata=self._channel.metadata)

        return await self._transfer.fetch(opened, path, file.size_bytes, file.sha256, on_progress)

    async def _begun(self, method: Any, request: Any) -> JobRecord:
        request.options.request_id = _request_id()
        return operation_from_pb(await self._channel.call(method, request))

    async def _all(self, method: Any, kind: Any, field: str) -> list[Any]:
        found: list[Any] = []
        token = ""
        while True:
            request = kind(page_size=1000, page_token=token)
            page = await self._channel.call(method, request)
            found += getattr(page, field)
            token = page.next_page_token
            if not token:
                return found

    async def _watched(
        self, opened: Callable[[int], Any], after: int
    ) -> AsyncGenerator[WatchedEvent]:
        patience = self._channel.patience()
        while True:
            try:
                async for message in opened(after):
                    event = watched_from_pb(message.event)
                    after = event.sequence
                    patience.reset()
                    yield event
                    if event.is_last:
                        return
            except grpc.aio.AioRpcError as failed:
                await patience.wait(failed)
            else:
                # A gateway that drains ends streams early, and in order.
                await patience.pause()


def _job(job_id: str) -> str:
    return f"reconstructionJobs/{job_id}"


def _request_id() -> str:
    return uuid.uuid4().hex
