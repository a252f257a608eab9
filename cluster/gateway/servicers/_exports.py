"""ExportService."""

from typing import Any

from cluster.gateway.convert import cameras_from_pb, cloud_from_pb, mesh_from_pb, splats_from_pb
from cluster.gateway.core import Core
from cluster.gateway.servicers._operations import queued
from cluster.rpc import export_service_pb2 as pb2
from cluster.rpc import export_service_pb2_grpc, operation_service_pb2


class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    """Exports on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def ExportMesh(  # noqa: N802, the name in the contract
        self, request: pb2.ExportMeshRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Writes the mesh."""
        return await queued(self._core, mesh_from_pb(request), request.options)

    async def ExportPointCloud(  # noqa: N802
        self, request: pb2.ExportPointCloudRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Writes the point cloud."""
        return await queued(self._core, cloud_from_pb(request), request.options)

    async def ExportSplats(  # noqa: N802
        self, request: pb2.ExportSplatsRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Writes the splats."""
        return await queued(self._core, splats_from_pb(request), request.options)

    async def ExportCameras(  # noqa: N802
        self, request: pb2.ExportCamerasRequest, context: Any
    ) -> operation_service_pb2.Operation:
        """Writes the cameras."""
        return await queued(self._core, cameras_from_pb(request), request.options)
