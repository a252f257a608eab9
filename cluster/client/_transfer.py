"""Files up and down: in parts, several at a time, from where it stopped."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import grpc.aio

from cluster.client._channel import Channel
from cluster.gateway.convert import asset_from_pb, upload_from_pb
from cluster.gateway.records import AssetRecord, UploadRecord
from cluster.gateway.spans import missing
from cluster.rpc import asset_service_pb2 as pb2
from cluster.rpc import asset_service_pb2_grpc
from worldloom.errors import ChecksumError, ConfigError, NotFoundError

TransferProgress = Callable[[int, int], None]
"""Called with the bytes that are there and those of the whole."""
_TRIES = 3


def no_progress(_done: int, _total: int) -> None:
    """Takes no notice of progress."""


@dataclass(frozen=True)
class _Source:
    path: Path
    size: int
    sha256: bytes


class Transfer:
    """Uploads and downloads.

    Args:
        channel: The connection.
        parallel: Parts that are under way at a time.
    """

    def __init__(self, channel: Channel, parallel: int = 4) -> None:
        self._channel = channel
        # Typed as Any: the generated stubs say nothing of asyncio.
        self._stub: Any = asset_service_pb2_grpc.AssetServiceStub(channel.wire)
        self._parallel = parallel

    async def upload(
        self, path: Path, display_name: str, on_progress: TransferProgress
    ) -> AssetRecord:
        """Uploads a file, or what of it is not there yet, and returns the asset.

        The request id comes from the content, so that a program that is run again after a break
        goes on with the same upload, and a file that is there already is not sent twice.

        Raises:
            ConfigError: the file cannot be read.
            WorldloomError: as the service said it.
        """
        source = await asyncio.to_thread(_source, path)
        plain = hashlib.sha256(source.sha256 + display_name.encode()).hexdigest()[:48]
        for generation in range(_TRIES):
            request = pb2.StartUploadRequest(
                display_name=display_name,
                size_bytes=source.size,
                request_id=f"{plain}-{generation}",
            )
            message = await self._channel.call(self._stub.StartUpload, request)
            try:
                return await self._finish(source, message, on_progress)
            except NotFoundError:
                # The asset of that upload was deleted since.
                continue
        raise NotFoundError(f"{path} was deleted {_TRIES} times while it was uploaded")

    async def _finish(
        self, source: _Source, message: pb2.Upload, on_progress: TransferProgress
    ) -> AssetRecord:
        upload = upload_from_pb(message)
        if upload.asset_id is not None:
            asset = await self._channel.call(
                self._stub.GetAsset, pb2.GetAssetRequest(name=f"assets/{upload.asset_id}")
            )
            on_progress(source.size, source.size)
            return asset_from_pb(asset)
        for left in range(_TRIES - 1, -1, -1):
            await self._send(source, upload, message.max_part_bytes, on_progress)
            request = pb2.CommitUploadRequest(name=message.name, sha256=source.sha256)
            try:
                return asset_from_pb(await self._channel.call(self._stub.CommitUpload, request))
            except ChecksumError:
                if not left:
                    raise
            again = await self._channel.call(
                self._stub.GetUpload, pb2.GetUploadRequest(name=message.name)
            )
            upload = upload_from_pb(again)
        raise AssertionError("the loop returns or raises")

    async def _send(
        self,
        source: _Source,
        upload: UploadRecord,
        part_bytes: int,
        on_progress: TransferProgress,
    ) -> None:
        """Sends all parts that are missing."""
        spans = [
            (start, min(start + part_bytes, gap.end))
            for gap in missing(upload.received, source.size)
            for start in range(gap.start, gap.end, part_bytes)
        ]
        done = upload.received_bytes
        on_progress(done, source.size)
        waiting = iter(spans)
        fd = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)

        async def work() -> None:
            nonlocal done
            for start, end in waiting:
                await self._send_part(fd, f"uploads/{upload.id}", start, end - start)
                done += end - start
                on_progress(done, source.size)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._parallel, len(spans))):
                    group.create_task(work())
        except ExceptionGroup as failed:
            # The first is what went wrong; the others were cancelled with it or met the same.
            raise failed.exceptions[0] from failed
        finally:
            os.close(fd)

    async def _send_part(self, fd: int, name: str, offset: int, count: int) -> None:
        for left in range(_TRIES - 1, -1, -1):
            data = await asyncio.to_thread(os.pread, fd, count, offset)
            request = pb2.UploadPartRequest(
                name=name, offset_bytes=offset, data=data, crc32c=google_crc32c.value(data)
            )
            try:
                await self._channel.call(self._stub.UploadPart, request)
            except ChecksumError:
                if not left:
                    raise
            else:
                return

    async def download(self, asset: AssetRecord, path: Path, on_progress: TransferProgress) -> Path:
        """Downloads an asset, from where an earlier download stopped; see `fetch`."""
        name = f"assets/{asset.id}"

        def opened(offset: int) -> Any:
            request = pb2.DownloadAssetRequest(name=name, offset_bytes=offset)
            return self._stub.DownloadAsset(request, metadata=self._channel.metadata)

        return await self.fetch(opened, path, asset.size_bytes, asset.sha256, on_progress)

    async def fetch(
        self,
        opened: Callable[[int], AsyncIterator[Any]],
        path: Path,
        size: int,
        sha256: bytes,
        on_progress: TransferProgress,
    ) -> Path:
        """Writes a stream of pieces into a file, which appears when it is whole and right.

        Raises:
            ChecksumError: what came is not what was to come.
            WorldloomError: as the service said it.
        """
        draft = path.with_name(f"{path.name}.part")
        patience = self._channel.patience()
        with draft.open("ab") as stream:
            if stream.tell() > size:
                stream.truncate(0)
            while (offset := stream.seek(0, os.SEEK_END)) < size:
                on_progress(offset, size)
                try:
                    async for piece in opened(offset):
                        _write(stream, piece, path)
                        patience.reset()
                        on_progress(stream.tell(), size)
                except grpc.aio.AioRpcError as failed:
                    await patience.wait(failed)
                else:
                    # A gateway that drains ends streams early, and in order.
                    if stream.tell() < size:
                        await patience.pause()
        found = await asyncio.to_thread(_digest, draft)
        if found != sha256:
            draft.unlink()
            raise ChecksumError(f"{path.name} is not what its SHA-256 says; download it again")
        draft.replace(path)
        return path


def _write(stream: Any, piece: Any, path: Path) -> None:
    if piece.offset_bytes != stream.tell() or google_crc32c.value(piece.data) != piece.crc32c:
        raise ChecksumError(
            f"a piece of {path.name} was damaged on its way; download it again",
            offset=piece.offset_bytes,
        )
    stream.write(piece.data)


def _source(path: Path) -> _Source:
    try:
        return _Source(path, path.stat().st_size, _digest(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", field="path") from error


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
