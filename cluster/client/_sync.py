"""The client for programs without asyncio."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc.aio

from cluster.client._async import AsyncClient
from cluster.client._channel import ClientTls
from cluster.client._transfer import TransferProgress, no_progress
from cluster.gateway.convert import WatchedEvent
from cluster.gateway.records import AssetRecord, JobRecord, Priority, QuotaRecord, SceneRecord
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

T = TypeVar("T")


class Client(AbstractContextManager["Client"]):
    """`AsyncClient` with methods that block; see there for each. It may be used from any thread.

    Args:
        address: `host:port`.
        token: None where the service asks for none.
        tls: None without TLS, which is for loopback.
        plaintext: Allow the token to go to another machine without TLS.
        parallel: Parts of a file that are under way at a time.
        retry_s: How long a call is tried again while the service is not there.
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
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="worldloom-client", daemon=True
        )
        self._thread.start()

        async def opened() -> AsyncClient:
            return AsyncClient(
                address,
                token,
                tls=tls,
                plaintext=plaintext,
                parallel=parallel,
                retry_s=retry_s,
                timeout_s=timeout_s,
                interceptors=interceptors,
            )

        try:
            self._client = self._run(opened())
        except BaseException:
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        if not self._loop.is_closed():
            self._run(self._client.close())
            self._end()

    def upload(
        self,
        path: Path,
        display_name: str | None = None,
        on_progress: TransferProgress = no_progress,
    ) -> AssetRecord:
        """Uploads a file, or what of it is not there yet."""
        return self._run(self._client.upload(path, display_name, on_progress))

    def import_asset(self, root: str, name: str, request_id: str | None = None) -> AssetRecord:
        """Makes an asset of a file in a folder that the operator allows by name."""
        return self._run(self._client.import_asset(root, name, request_id))

    def get_asset(self, asset_id: str) -> AssetRecord:
        """Returns an asset."""
        return self._run(self._client.get_asset(asset_id))

    def list_assets(self) -> tuple[AssetRecord, ...]:
        """Returns all assets, newest first."""
        return self._run(self._client.list_assets())

    def delete_asset(self, asset_id: str) -> None:
        """Deletes an asset."""
        self._run(self._client.delete_asset(asset_id))

    def quota(self) -> QuotaRecord:
        """Returns what this caller uses and may use."""
        return self._run(self._client.quota())

    def download(
        self, asset_id: str, path: Path, on_progress: TransferProgress = no_progress
    ) -> Path:
        """Downloads an asset, from where an earlier download stopped, and checks it."""
        return self._run(self._client.download(asset_id, path, on_progress))

    def create_job(
        self,
        spec: ReconstructSpec,
        *,
        priority: Priority = Priority.NORMAL,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> JobRecord:
        """Queues a reconstruction; with the same request id there is one."""
        return self._run(
            self._client.create_job(
                spec, priority=priority, request_id=request_id, validate_only=validate_only
            )
        )

    def get_job(self, job_id: str) -> JobRecord:
        """Returns a reconstruction."""
        return self._run(self._client.get_job(job_id))

    def list_jobs(self) -> tuple[JobRecord, ...]:
        """Returns all reconstructions, newest first."""
        return self._run(self._client.list_jobs())

    def cancel_job(self, job_id: str) -> JobRecord:
        """Asks a reconstruction to stop."""
        return self._run(self._client.cancel_job(job_id))

    def delete_job(self, job_id: str) -> None:
        """Deletes a reconstruction that has ended; its scene stays."""
        self._run(self._client.delete_job(job_id))

    def watch_job(
        self, job_id: str, after: int = 0, previews: bool = False
    ) -> Generator[WatchedEvent]:
        """Yields the events of a reconstruction after a sequence, until the last, over breaks."""
        return self._each(self._client.watch_job(job_id, after, previews))

    def wait_job(self, job_id: str) -> JobRecord:
        """Waits for the end of a reconstruction."""
        return self._run(self._client.wait_job(job_id))

    def export_mesh(self, scene_id: str, spec: MeshSpec) -> JobRecord:
        """Begins the export of a mesh."""
        return self._run(self._client.export_mesh(scene_id, spec))

    def export_point_cloud(self, scene_id: str, spec: CloudSpec) -> JobRecord:
        """Begins the export of a point cloud."""
        return self._run(self._client.export_point_cloud(scene_id, spec))

    def export_cameras(self, scene_id: str, spec: CameraSpec) -> JobRecord:
        """Begins the export of cameras."""
        return self._run(self._client.export_cameras(scene_id, spec))

    def export_splats(self, scene_id: str, spec: SplatSpec) -> JobRecord:
        """Begins the export of splats."""
        return self._run(self._client.export_splats(scene_id, spec))

    def optimize_textures(self, scene_id: str, spec: OptimizeSpec) -> JobRecord:
        """Begins to make textures sharper."""
        return self._run(self._client.optimize_textures(scene_id, spec))

    def render_views(self, scene_id: str, spec: RenderSpec) -> JobRecord:
        """Begins to render views."""
        return self._run(self._client.render_views(scene_id, spec))

    def refine_mesh(self, scene_id: str, spec: RefineSpec) -> JobRecord:
        """Begins the refinement of a mesh."""
        return self._run(self._client.refine_mesh(scene_id, spec))

    def get_operation(self, operation_id: str) -> JobRecord:
        """Returns an operation."""
        return self._run(self._client.get_operation(operation_id))

    def cancel_operation(self, operation_id: str) -> JobRecord:
        """Asks an operation to stop."""
        return self._run(self._client.cancel_operation(operation_id))

    def watch_operation(self, operation_id: str, after: int = 0) -> Generator[WatchedEvent]:
        """Yields the events of an operation after a sequence, until the last, over breaks."""
        return self._each(self._client.watch_operation(operation_id, after))

    def wait_operation(self, operation_id: str) -> JobRecord:
        """Waits for the end of an operation."""
        return self._run(self._client.wait_operation(operation_id))

    def get_scene(self, scene_id: str) -> SceneRecord:
        """Returns a scene."""
        return self._run(self._client.get_scene(scene_id))

    def list_scenes(self) -> tuple[SceneRecord, ...]:
        """Returns all scenes, newest first."""
        return self._run(self._client.list_scenes())

    def delete_scene(self, scene_id: str) -> None:
        """Deletes a scene with its files."""
        self._run(self._client.delete_scene(scene_id))

    def download_scene_file(
        self, scene_id: str, name: str, path: Path, on_progress: TransferProgress = no_progress
    ) -> Path:
        """Downloads a file of a scene, as its manifest lists it, and checks it."""
        return self._run(self._client.download_scene_file(scene_id, name, path, on_progress))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _each(self, events: AsyncGenerator[WatchedEvent]) -> Generator[WatchedEvent]:
        try:
            while (event := self._run(_next(events))) is not None:
                yield event
        finally:
            self._run(_closed(events))

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(events: AsyncGenerator[WatchedEvent]) -> WatchedEvent | None:
    return await anext(events, None)


async def _closed(events: AsyncGenerator[WatchedEvent]) -> None:
    await events.aclose()
