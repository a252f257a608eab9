"""MetricsService."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from cluster.gateway.convert import cluster_to_pb, metrics_to_pb
from cluster.gateway.core import Core
from cluster.gateway.guard import caller
from cluster.gateway.identifiers import id_of
from cluster.rpc import metrics_service_pb2 as pb2
from cluster.rpc import metrics_service_pb2_grpc
from worldloom.errors import ConfigError

_USUAL_INTERVAL_S = 5.0


class MetricsServicer(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Numbers on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def GetSceneMetrics(  # noqa: N802, the name in the contract
        self, request: pb2.GetSceneMetricsRequest, context: Any
    ) -> pb2.SceneMetrics:
        """Returns the quality of a scene."""
        scene_id = id_of(request.scene, "scenes", "scene")
        manifest = await self._core.scenes.manifest(caller(), scene_id)
        return metrics_to_pb(scene_id, manifest.quality, manifest.metrics)

    async def GetClusterMetrics(  # noqa: N802
        self, request: pb2.GetClusterMetricsRequest, context: Any
    ) -> pb2.ClusterMetrics:
        """Returns what the service and its cluster are doing."""
        return cluster_to_pb(await self._core.sample())

    async def WatchClusterMetrics(  # noqa: N802
        self, request: pb2.WatchClusterMetricsRequest, context: Any
    ) -> AsyncGenerator[pb2.WatchClusterMetricsResponse]:
        """Sends the same again and again."""
        interval_s = _USUAL_INTERVAL_S
        if request.HasField("interval"):
            interval_s = request.interval.seconds + request.interval.nanos / 1e9
        if not 1 <= interval_s <= 3600:
            raise ConfigError("interval must be 1 to 3600 s", field="interval")
        while not self._core.hub.is_closed:
            yield pb2.WatchClusterMetricsResponse(metrics=cluster_to_pb(await self._core.sample()))
            await asyncio.sleep(interval_s)
