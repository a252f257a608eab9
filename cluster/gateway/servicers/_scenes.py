"""SceneService."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from cluster.gateway.convert import (
    optimize_from_pb,
    refine_from_pb,
    render_from_pb,
    scene_to_pb,
)
from cluster.gateway.core import Core
from cluster.gateway.guard import caller
from cluster.gateway.identifiers import id_of, page_request
from cluster.gateway.servicers._operations import queued
from cluster.rpc import operation_service_pb2, scene_service_pb2_grpc
from cluster.rpc import scene_service_pb2 as pb2


class SceneServicer(scene_service_pb2_grpc.SceneServiceServicer):
    """Scenes on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def GetScene(  # noqa: N802, the name in the contract
        self, request: pb2.GetSceneRequest, context: Any
    ) -> pb2.Scene:
        """Returns a scene with its files."""
        scene_id = id_of(request.name, "scenes")
        scene = await self._core.scenes.get(caller(), scene_id)
        manifest = await self._core.scenes.manifest(caller(), scene_id)
        return scene_to_pb(scene, manifest.files, manifest.warnings)

    async def ListScenes(  # noqa: N802
        self, request: pb2.ListScenesRequest, context: Any
    ) -> pb2.ListScenesResponse:
        """Lists scenes."""
        page = page_request(request.page_size, request.page_token)
        found = await self._core.scenes.list(caller(), page)
        return pb2.ListScenesResponse(
            scenes=[scene_to_pb(scene) for scene in found.items],
            next_page_token=found.next_token,
        )

    async def DeleteScene(self, request: pb2.DeleteSceneRequest, context: Any) -> Empty:  # noqa: N802
        """Deletes a scene with its files."""
        scene_id = id_of(request.name, "scenes")
        await self._core.scenes.delete(caller(), scene_id)
        await asyncio.to_thread(self._core.folders.remove_scene, scene_id)
        return Empty()

    async def DownloadSceneFile(  # noqa: N802
        self, request: pb2.DownloadSceneFileRequest, context: Any
    ) -> AsyncGenerator[pb2.DownloadSceneFileResponse]:
        """Sends a file of a scene."""
        scene_id = id_of(request.name, "scenes")
        file = await self._core.scenes.file(caller(), scene_id, request.path)
        size = file.record.bytes
        async for piece in self._core.assets.file_pieces(file.path, size, request.offset_bytes):
            self._core.meters.sent_bytes.inc(len(piece.data))
            yield pb2.DownloadSceneFileResponse(
                offset_bytes=piece.offset, data=piece.data, crc32c=piece.crc32c
            )

    async def RefineMesh(  # noqa: N802
        self, request: pb2.RefineMeshRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Refines the mesh."""
        return await queued(self._core, refine_from_pb(request), request.options)

    async def OptimizeTextures(  # noqa: N802
        self, request: pb2.OptimizeTexturesRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Makes the textures sharper."""
        return await queued(self._core, optimize_from_pb(request), request.options)

    async def RenderViews(  # noqa: N802
        self, request: pb2.RenderViewsRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Renders views."""
        return await queued(self._core, render_from_pb(request), request.options)
