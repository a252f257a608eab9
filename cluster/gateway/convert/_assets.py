"""Assets, uploads and quotas."""

from cluster.gateway.convert._values import (
    duration_from_pb,
    duration_to_pb,
    time_from_pb,
    time_to_pb,
)
from cluster.gateway.records import AssetRecord, QuotaRecord, Span, UploadRecord
from cluster.rpc import asset_service_pb2 as pb2


def asset_to_pb(asset: AssetRecord) -> pb2.Asset:
    """Returns an asset as a message."""
    return pb2.Asset(
        name=f"assets/{asset.id}",
        display_name=asset.display_name,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        create_time=time_to_pb(asset.create_s),
        expire_time=time_to_pb(asset.expire_s),
    )


def asset_from_pb(message: pb2.Asset) -> AssetRecord:
    """Returns an asset."""
    return AssetRecord(
        message.name.partition("/")[2],
        message.display_name,
        message.size_bytes,
        message.sha256,
        time_from_pb(message, "create_time") or 0.0,
        time_from_pb(message, "expire_time"),
    )


def upload_to_pb(upload: UploadRecord, max_part_bytes: int) -> pb2.Upload:
    """Returns an upload as a message."""
    is_done = upload.asset_id is not None
    return pb2.Upload(
        name=f"uploads/{upload.id}",
        display_name=upload.display_name,
        size_bytes=upload.size_bytes,
        state=pb2.UPLOAD_STATE_COMMITTED if is_done else pb2.UPLOAD_STATE_ACTIVE,
        received=[
            pb2.ByteRange(start_bytes=span.start, end_bytes=span.end) for span in upload.received
        ],
        max_part_bytes=max_part_bytes,
        expire_time=time_to_pb(upload.expire_s),
        asset=f"assets/{upload.asset_id}" if is_done else "",
    )


def upload_from_pb(message: pb2.Upload) -> UploadRecord:
    """Returns an upload."""
    return UploadRecord(
        message.name.partition("/")[2],
        message.display_name,
        message.size_bytes,
        tuple(Span(item.start_bytes, item.end_bytes) for item in message.received),
        time_from_pb(message, "expire_time") or 0.0,
        message.asset.partition("/")[2] or None,
    )


def quota_to_pb(quota: QuotaRecord) -> pb2.Quota:
    """Returns what a caller uses as a message."""
    return pb2.Quota(
        used_bytes=quota.used_bytes,
        limit_bytes=quota.limit_bytes,
        active_jobs=quota.active_jobs,
        limit_jobs=quota.limit_jobs,
        used_gpu_time=duration_to_pb(quota.used_gpu_s),
        limit_gpu_time=duration_to_pb(quota.limit_gpu_s),
    )


def quota_from_pb(message: pb2.Quota) -> QuotaRecord:
    """Returns what a caller uses."""
    return QuotaRecord(
        message.used_bytes,
        message.limit_bytes,
        message.active_jobs,
        message.limit_jobs,
        duration_from_pb(message, "used_gpu_time") or 0.0,
        duration_from_pb(message, "limit_gpu_time") or 0.0,
    )
