"""Who may call what: the one table of methods and scopes."""

from enum import StrEnum

PACKAGE = "worldloom.v1"


class Scope(StrEnum):
    """What a token allows."""

    JOBS_READ = "jobs.read"
    JOBS_WRITE = "jobs.write"
    ASSETS_READ = "assets.read"
    ASSETS_WRITE = "assets.write"
    SCENES_READ = "scenes.read"
    SCENES_WRITE = "scenes.write"
    METRICS_READ = "metrics.read"


_BY_SERVICE: dict[str, dict[str, Scope]] = {
    "ReconstructionService": {
        "CreateReconstructionJob": Scope.JOBS_WRITE,
        "GetReconstructionJob": Scope.JOBS_READ,
        "ListReconstructionJobs": Scope.JOBS_READ,
        "CancelReconstructionJob": Scope.JOBS_WRITE,
        "DeleteReconstructionJob": Scope.JOBS_WRITE,
        "WatchReconstructionJob": Scope.JOBS_READ,
    },
    "AssetService": {
        "StartUpload": Scope.ASSETS_WRITE,
        "UploadPart": Scope.ASSETS_WRITE,
        "GetUpload": Scope.ASSETS_WRITE,
        "CommitUpload": Scope.ASSETS_WRITE,
        "CancelUpload": Scope.ASSETS_WRITE,
        "ImportAsset": Scope.ASSETS_WRITE,
        "GetAsset": Scope.ASSETS_READ,
        "ListAssets": Scope.ASSETS_READ,
        "DeleteAsset": Scope.ASSETS_WRITE,
        "DownloadAsset": Scope.ASSETS_READ,
        "GetQuota": Scope.ASSETS_READ,
    },
    "OperationService": {
        "GetOperation": Scope.JOBS_READ,
        "ListOperations": Scope.JOBS_READ,
        "CancelOperation": Scope.JOBS_WRITE,
        "WatchOperation": Scope.JOBS_READ,
    },
    "ExportService": {
        "ExportMesh": Scope.SCENES_WRITE,
        "ExportPointCloud": Scope.SCENES_WRITE,
        "ExportSplats": Scope.SCENES_WRITE,
        "ExportCameras": Scope.SCENES_WRITE,
    },
    "SceneService": {
        "GetScene": Scope.SCENES_READ,
        "ListScenes": Scope.SCENES_READ,
        "DeleteScene": Scope.SCENES_WRITE,
        "DownloadSceneFile": Scope.SCENES_READ,
        "RefineMesh": Scope.SCENES_WRITE,
        "OptimizeTextures": Scope.SCENES_WRITE,
        "RenderViews": Scope.SCENES_WRITE,
    },
    "MetricsService": {
        "GetSceneMetrics": Scope.SCENES_READ,
        "GetClusterMetrics": Scope.METRICS_READ,
        "WatchClusterMetrics": Scope.METRICS_READ,
    },
}

SCOPES: dict[str, Scope] = {
    f"/{PACKAGE}.{service}/{method}": scope
    for service, methods in _BY_SERVICE.items()
    for method, scope in methods.items()
}
"""Scope that each method needs, by its full name."""

OPEN_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""Methods that need no token: they tell whether the service is up, and what is in proto/."""
