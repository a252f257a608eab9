"""AssetService."""

from collections.abc import AsyncGenerator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from cluster.gateway.convert import asset_to_pb, quota_to_pb, upload_to_pb
from cluster.gateway.core import Core
from cluster.gateway.guard import caller
from cluster.gateway.identifiers import checked_request_id, id_of, page_request
from cluster.gateway.wire import PartMessage
from cluster.rpc import asset_service_pb2 as pb2
from cluster.rpc import asset_service_pb2_grpc
from worldloom.errors import ConfigError


class AssetServicer(asset_service_pb2_grpc.AssetServiceServicer):
    """Files on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._part_bytes = core.config.max_part_bytes

    async def StartUpload(  # noqa: N802, the name in the contract
        self, request: pb2.StartUploadRequest, context: Any
    ) -> pb2.Upload:
        """Begins an upload."""
        lifetime_s = None
        if request.HasField("lifetime"):
            lifetime_s = request.lifetime.seconds + request.lifetime.nanos / 1e9
        upload = await self._core.uploads.start(
            caller(),
            request.display_name,
            request.size_bytes,
            checked_request_id(request.request_id),
            lifetime_s,
        )
        return upload_to_pb(upload, self._part_bytes)

    async def UploadPart(  # noqa: N802
        self, request: PartMessage, context: Any
    ) -> pb2.UploadPartResponse:
        """Writes one part; the request is read by `READERS`."""
        upload_id = id_of(request.name, "uploads")
        if request.crc32c is None:
            raise ConfigError("crc32c of the data is required", field="crc32c")
        received = await self._core.uploads.write_part(
            caller(), upload_id, request.offset_bytes, request.data, request.crc32c
        )
        self._core.meters.received_bytes.inc(len(request.data))
        return pb2.UploadPartResponse(received_bytes=received)

    async def GetUpload(self, request: pb2.GetUploadRequest, context: Any) -> pb2.Upload:  # noqa: N802
        """Says what of an upload is there."""
        upload_id = id_of(request.name, "uploads")
        upload = await self._core.uploads.get(caller(), upload_id)
        return upload_to_pb(upload, self._part_bytes)

    async def CommitUpload(self, request: pb2.CommitUploadRequest, context: Any) -> pb2.Asset:  # noqa: N802
        """Makes an asset of an upload."""
        upload_id = id_of(request.name, "uploads")
        return asset_to_pb(await self._core.uploads.commit(caller(), upload_id, request.sha256))

    async def CancelUpload(self, request: pb2.CancelUploadRequest, context: Any) -> Empty:  # noqa: N802
        """Gives an upload up."""
        await self._core.uploads.cancel(caller(), id_of(request.name, "uploads"))
        return Empty()

    async def ImportAsset(self, request: pb2.ImportAssetRequest, context: Any) -> pb2.Asset:  # noqa: N802
        """Makes an asset of a file below an allowed folder."""
        asset = await self._core.assets.import_(
            caller(),
            request.import_root,
            request.object,
            checked_request_id(request.request_id),
        )
        return asset_to_pb(asset)

    async def GetAsset(self, request: pb2.GetAssetRequest, context: Any) -> pb2.Asset:  # noqa: N802
        """Returns an asset."""
        return asset_to_pb(await self._core.assets.get(caller(), id_of(request.name, "assets")))

    async def ListAssets(  # noqa: N802
        self, request: pb2.ListAssetsRequest, context: Any
    ) -> pb2.ListAssetsResponse:
        """Lists assets."""
        page = page_request(request.page_size, request.page_token)
        found = await self._core.assets.list(caller(), page)
        return pb2.ListAssetsResponse(
            assets=[asset_to_pb(asset) for asset in found.items],
            next_page_token=found.next_token,
        )

    async def DeleteAsset(self, request: pb2.DeleteAssetRequest, context: Any) -> Empty:  # noqa: N802
        """Deletes an asset."""
        await self._core.assets.delete(caller(), id_of(request.name, "assets"))
        return Empty()

    async def DownloadAsset(  # noqa: N802
        self, request: pb2.DownloadAssetRequest, context: Any
    ) -> AsyncGenerator[pb2.DownloadAssetResponse]:
        """Sends the content of an asset."""
        asset_id = id_of(request.name, "assets")
        pieces = self._core.assets.pieces(
            caller(), asset_id, request.offset_bytes, request.length_bytes
        )
        async for piece in pieces:
            self._core.meters.sent_bytes.inc(len(piece.data))
            yield pb2.DownloadAssetResponse(
                offset_bytes=piece.offset, data=piece.data, crc32c=piece.crc32c
            )

    async def GetQuota(self, request: pb2.GetQuotaRequest, context: Any) -> pb2.Quota:  # noqa: N802
        """Returns what the caller uses and may use."""
        return quota_to_pb(await self._core.assets.quota(caller()))
