"""The methods of the service: a request into arguments, a call, a record into the response."""

from collections.abc import Callable
from typing import Any

import grpc.aio

from cluster.gateway.core import Core
from cluster.gateway.servicers._assets import AssetServicer
from cluster.gateway.servicers._exports import ExportServicer
from cluster.gateway.servicers._metrics import MetricsServicer
from cluster.gateway.servicers._operations import OperationServicer
from cluster.gateway.servicers._reconstructions import ReconstructionServicer
from cluster.gateway.servicers._scenes import SceneServicer
from cluster.gateway.wire import read_part
from cluster.rpc import (
    asset_service_pb2_grpc,
    export_service_pb2_grpc,
    metrics_service_pb2_grpc,
    operation_service_pb2_grpc,
    reconstruction_service_pb2_grpc,
    scene_service_pb2_grpc,
)

SERVICES: tuple[str, ...] = tuple(
    f"worldloom.v1.{name}"
    for name in (
        "ReconstructionService",
        "AssetService",
        "OperationService",
        "ExportService",
        "SceneService",
        "MetricsService",
    )
)
"""Full names of the services."""

READERS: dict[str, Callable[[bytes], Any]] = {
    "/worldloom.v1.AssetService/UploadPart": read_part,
}
"""What reads the requests of a method, where that is not the generated class."""


def add_servicers(core: Core, server: grpc.aio.Server) -> None:
    """Adds all methods to a server."""
    reconstruction_service_pb2_grpc.add_ReconstructionServiceServicer_to_server(
        ReconstructionServicer(core), server
    )
    asset_service_pb2_grpc.add_AssetServiceServicer_to_server(AssetServicer(core), server)
    operation_service_pb2_grpc.add_OperationServiceServicer_to_server(
        OperationServicer(core), server
    )
    export_service_pb2_grpc.add_ExportServiceServicer_to_server(ExportServicer(core), server)
    scene_service_pb2_grpc.add_SceneServiceServicer_to_server(SceneServicer(core), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(MetricsServicer(core), server)
