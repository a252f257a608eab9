"""Numbers."""

from collections.abc import Mapping
from typing import Any

from cluster.gateway.convert._values import duration_to_pb, time_to_pb
from cluster.gateway.records import ClusterSample
from cluster.rpc import metrics_service_pb2 as pb2

_SCORES = ("completeness", "geometric_consistency", "texture_quality", "view_consistency")


def metrics_to_pb(
    scene_id: str, quality: Mapping[str, Any], metrics: Mapping[str, float | None]
) -> pb2.SceneMetrics:
    """Returns the quality of a scene, as its manifest has it, as a message."""
    scores = {name: quality[name] for name in _SCORES if quality.get(name) is not None}
    return pb2.SceneMetrics(
        scene=f"scenes/{scene_id}",
        scores=pb2.QualityScores(**scores),
        measurements={name: value for name, value in metrics.items() if value is not None},
    )


def cluster_to_pb(sample: ClusterSample) -> pb2.ClusterMetrics:
    """Returns what the service and its cluster are doing as a message."""
    return pb2.ClusterMetrics(
        sample_time=time_to_pb(sample.time_s),
        nodes=[
            pb2.ClusterNode(
                node_id=node.name,
                alive=node.alive,
                cpu_count=node.cpus,
                gpu_count=node.gpus,
                memory_bytes=node.memory_bytes,
            )
            for node in sample.nodes
        ],
        queued_jobs=sample.queued,
        running_jobs=sample.running,
        succeeded_last_hour=sample.succeeded_last_hour,
        failed_last_hour=sample.failed_last_hour,
        watchers=sample.watchers,
        oldest_wait=duration_to_pb(sample.oldest_wait_s),
    )
