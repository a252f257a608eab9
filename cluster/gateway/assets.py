"""The files of callers."""

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
from sqlalchemy import Connection, delete, insert, select, update

from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database
from cluster.gateway.identifiers import (
    Page,
    PageRequest,
    checked_file_name,
    new_id,
    page_token,
    shown,
)
from cluster.gateway.quota import require_bytes, used
from cluster.gateway.records import FINAL_STATES, AssetRecord, QuotaRecord, Span, UploadRecord
from cluster.gateway.spans import merged, missing
from cluster.gateway.tables import ASSETS, JOB_ASSETS, JOBS, PARTS, UPLOADS
from worldloom.errors import (
    AlreadyExistsError,
    ChecksumError,
    ConfigError,
    NotFoundError,
    PreconditionError,
    QuotaError,
)

T = TypeVar("T")
_PIECE = 1 << 20
_WRITERS = 4
_LEAST_LIFETIME_S = 60.0


@dataclass(frozen=True)
class Piece:
    """A piece of a file."""

    offset: int
    data: bytes
    crc32c: int


class Assets:
    """Takes, keeps and gives files.

    Args:
        database: Where their records are.
        config: Folders and limits.
        clock: Seconds since 1970.
    """

    def __init__(
        self, database: Database, config: GatewayConfig, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._config = config
        self._clock = clock
        self._disk = ThreadPoolExecutor(_WRITERS, thread_name_prefix="disk")
        self._writing: dict[str, int] = {}
        self._committing: dict[str, asyncio.Lock] = {}

    def path(self, asset_id: str) -> Path:
        """Returns where an asset lies."""
        return self._config.assets_folder / asset_id[-2:] / asset_id

    async def start_upload(
        self,
        principal: str,
        display_name: str,
        size_bytes: int,
        request_id: str | None,
        lifetime_s: float | None,
    ) -> UploadRecord:
        """Begins an upload.

        Raises:
            ConfigError: name, size or lifetime make no sense.
            QuotaError: the file is above the share of the caller.
            AlreadyExistsError: the request id was used for another file.
        """
        name = checked_file_name(display_name)
        if not 1 <= size_bytes <= self._config.max_asset_bytes:
            raise ConfigError(
                f"size_bytes must be 1 to {self._config.max_asset_bytes}, got {size_bytes}",
                field="size_bytes",
            )
        if lifetime_s is not None and not lifetime_s >= _LEAST_LIFETIME_S:
            raise ConfigError(
                f"lifetime must be at least {_LEAST_LIFETIME_S:.0f} s", field="lifetime"
            )
        now_s = self._clock()
        row = {
            "id": new_id(now_s),
            "principal": principal,
            "display_name": name,
            "size_bytes": size_bytes,
            "create_s": now_s,
            "expire_s": now_s + self._config.upload_lifetime_s,
            "lifetime_s": lifetime_s,
            "request_id": request_id,
        }

        def start(connection: Connection) -> UploadRecord:
            known = _requested(connection, UPLOADS, principal, request_id)
            if known is not None:
                if (known["display_name"], known["size_bytes"]) != (name, size_bytes):
                    raise _reused(request_id)
                return _upload(connection, known)
            require_bytes(connection, self._config.quotas, principal, size_bytes)
            connection.execute(insert(UPLOADS), row)
            return _upload(connection, row | {"asset_id": None})

        return await self._database.write(start)

    async def write_part(
        self, principal: str, upload_id: str, offset: int, data: bytes, crc32c: int
    ) -> int:
        """Writes one part and returns how many bytes of the file are there.

        Raises:
            ConfigError: the part lies outside of the file, or is empty or too large.
            ChecksumError: it is not what was sent.
            NotFoundError: there is no such upload of the caller.
            PreconditionError: it is finished.
            QuotaError: the disk is full.
        """
        if not 1 <= len(data) <= self._config.max_part_bytes:
            raise ConfigError(
                f"data must have 1 to {self._config.max_part_bytes} bytes, got {len(data)}",
                field="data",
            )
        upload = await self.get_upload(principal, upload_id)
        end = offset + len(data)
        if offset < 0 or end > upload.size_bytes:
            raise ConfigError(
                f"bytes {offset} to {end} are not within a file of {upload.size_bytes}",
                field="offset_bytes",
            )
        if upload.asset_id is not None or upload_id in self._committing:
            raise PreconditionError(f"uploads/{upload_id} takes no more parts", name=upload_id)
        self._writing[upload_id] = self._writing.get(upload_id, 0) + 1
        try:
            await self._on_disk(lambda: self._write(upload_id, offset, data, crc32c))
            return await self._database.write(
                lambda connection: self._received(connection, upload_id, Span(offset, end))
            )
        finally:
            self._writing[upload_id] -= 1
            if not self._writing[upload_id]:
                del self._writing[upload_id]

    async def get_upload(self, principal: str, upload_id: str) -> UploadRecord:
        """Says what of an upload is there.

        Raises:
            NotFoundError: there is no such upload of the caller.
        """
        return await self._database.read(
            lambda connection: _upload(connection, _own(connection, UPLOADS, principal, upload_id))
        )

    async def commit(self, principal: str, upload_id: str, sha256: bytes) -> AssetRecord:
        """Makes an asset of an upload; of one that is an asset already, returns it.

        Raises:
            ConfigError: the digest is no SHA-256.
            NotFoundError: there is no such upload of the caller.
            PreconditionError: parts are missing, or are just being written.
            ChecksumError: the file is not what the caller has; its parts are forgotten.
        """
        if len(sha256) != hashlib.sha256().digest_size:
            raise ConfigError(f"sha256 must have 32 bytes, got {len(sha256)}", field="sha256")
        lock = self._committing.setdefault(upload_id, asyncio.Lock())
        async with lock:
            try:
                return await self._commit(principal, upload_id, sha256)
            finally:
                self._committing.pop(upload_id, None)

    async def _commit(self, principal: str, upload_id: str, sha256: bytes) -> AssetRecord:
        upload = await self.get_upload(principal, upload_id)
        if upload.asset_id is not None:
            asset = await self.get(principal, upload.asset_id)
            if asset.sha256 != sha256:
                raise _altered(upload_id)
            return asset
        gaps = missing(upload.received, upload.size_bytes)
        if gaps or upload_id in self._writing:
            what = f"bytes {gaps[0].start} to {gaps[0].end}" if gaps else "a part under way"
            raise PreconditionError(
                f"uploads/{upload_id} lacks {what}; GetUpload says what is there", name=upload_id
            )
        draft = self._config.uploads_folder / upload_id
        # The id of the asset is that of the upload, so that a commit that was cut off goes on.
        target = self.path(upload_id)
        found = await self._on_disk(lambda: _digest(draft if draft.exists() else target))
        if found != sha256:
            await self._database.write(lambda connection: _forget_parts(connection, upload_id))
            raise _altered(upload_id)
        await self._on_disk(lambda: _move(draft, target))
        return await self._database.write(
            lambda connection: self._register(connection, upload_id, sha256)
        )

    async def cancel(self, principal: str, upload_id: str) -> None:
        """Gives an upload up.

        Raises:
            NotFoundError: there is no such upload of the caller.
            PreconditionError: it is an asset.
        """

        def forget(connection: Connection) -> None:
            row = _own(connection, UPLOADS, principal, upload_id)
            if row["asset_id"] is not None:
                raise PreconditionError(
                    f"uploads/{upload_id} is an asset already; delete that", name=upload_id
                )
            connection.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))

        await self._database.write(forget)
        await self._on_disk(
            lambda: (self._config.uploads_folder / upload_id).unlink(missing_ok=True)
        )

    async def import_(
        self, principal: str, root: str, name: str, request_id: str | None
    ) -> AssetRecord:
        """Makes an asset of a file below an allowed folder.

        Raises:
            ConfigError: the names make no sense.
            NotFoundError: there is no such folder or file.
            QuotaError: the file is above the share of the caller.
        """
        known = await self._database.read(
            lambda connection: _requested(connection, ASSETS, principal, request_id)
        )
        if known is not None:
            return _asset(known)
        folder = self._config.import_roots.get(root)
        if folder is None:
            raise NotFoundError(
                f"there is no import root {shown(root)}; the operator names them", name=root
            )
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
            raise ConfigError(
                "object must be a relative name without '..' and empty parts", field="object"
            )
        asset_id = new_id(self._clock())
        copied = await self._on_disk(lambda: self._copy_in(folder, parts, asset_id))
        display_name = checked_file_name(parts[-1], "object")

        def register(connection: Connection) -> AssetRecord:
            require_bytes(connection, self._config.quotas, principal, copied.size_bytes)
            now_s = self._clock()
            row = {
                "id": asset_id,
                "principal": principal,
                "display_name": display_name,
                "size_bytes": copied.size_bytes,
                "sha256": copied.sha256,
                "create_s": now_s,
                "expire_s": now_s + self._config.asset_lifetime_s,
                "request_id": request_id,
            }
            connection.execute(insert(ASSETS), row)
            return _asset(row)

        try:
            return await self._database.write(register)
        except QuotaError:
            await self._on_disk(lambda: self.path(asset_id).unlink(missing_ok=True))
            raise

    async def get(self, principal: str, asset_id: str) -> AssetRecord:
        """Returns an asset.

        Raises:
            NotFoundError: there is no such asset of the caller.
        """
        return await self._database.read(
            lambda connection: _asset(_own(connection, ASSETS, principal, asset_id))
        )

    async def list(self, principal: str, page: PageRequest) -> Page[AssetRecord]:
        """Returns the assets of a caller, newest first."""
        query = select(ASSETS).where(ASSETS.c.principal == principal)
        if page.before_id is not None:
            query = query.where(ASSETS.c.id < page.before_id)
        query = query.order_by(ASSETS.c.id.desc()).limit(page.size + 1)
        rows = await self._database.read(
            lambda connection: connection.execute(query).mappings().all()
        )
        items = tuple(_asset(dict(row)) for row in rows[: page.size])
        return Page(items, page_token(items[-1].id) if len(rows) > page.size else "")

    async def delete(self, principal: str, asset_id: str) -> None:
        """Deletes an asset.

        Raises:
            NotFoundError: there is no such asset of the caller.
            PreconditionError: a job needs it.
        """

        def forget(connection: Connection) -> None:
            _own(connection, ASSETS, principal, asset_id)
            if _is_needed(connection, asset_id):
                raise PreconditionError(
                    f"assets/{asset_id} is needed by a job that has not ended", name=asset_id
                )
            connection.execute(delete(ASSETS).where(ASSETS.c.id == asset_id))

        await self._database.write(forget)
        await self._on_disk(lambda: self.path(asset_id).unlink(missing_ok=True))

    async def pieces(
        self, principal: str, asset_id: str, offset: int, length: int
    ) -> AsyncGenerator[Piece]:
        """Yields the content of an asset from an offset on.

        Raises:
            NotFoundError: there is no such asset of the caller.
            ConfigError: the offset is outside.
        """
        asset = await self.get(principal, asset_id)
        async for piece in self.file_pieces(self.path(asset_id), asset.size_bytes, offset, length):
            yield piece

    async def file_pieces(
        self, path: Path, size: int, offset: int, length: int = 0
    ) -> AsyncGenerator[Piece]:
        """Yields the content of a file of the service; see `pieces`."""
        if not 0 <= offset <= size:
            raise ConfigError(f"offset_bytes must be 0 to {size}", field="offset_bytes")
        if length < 0:
            raise ConfigError("length_bytes must not be negative", field="length_bytes")
        end = min(size, offset + length) if length else size
        fd = await self._on_disk(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        try:
            while offset < end:
                count = min(_PIECE, end - offset)
                piece = await self._on_disk(lambda at=offset, n=count: _read(fd, at, n))
                yield piece
                offset += len(piece.data)
        finally:
            os.close(fd)

    async def quota(self, principal: str) -> QuotaRecord:
        """Returns what a caller uses and may use."""
        return await self._database.read(
            lambda connection: used(connection, self._config.quotas, principal, self._clock())
        )

    def adopt(
        self,
        connection: Connection,
        principal: str,
        asset_id: str,
        name: str,
        made: tuple[int, bytes],
    ) -> None:
        """Registers a file that a job made and that lies in its place, within a transaction."""
        if connection.scalar(select(ASSETS.c.id).where(ASSETS.c.id == asset_id)) is not None:
            return
        now_s = self._clock()
        row = {
            "id": asset_id,
            "principal": principal,
            "display_name": name,
            "size_bytes": made[0],
            "sha256": made[1],
            "create_s": now_s,
            "expire_s": now_s + self._config.asset_lifetime_s,
        }
        connection.execute(insert(ASSETS), row)

    async def sweep(self) -> int:
        """Deletes what has expired and returns how much it was."""
        now_s = self._clock()

        def forget(connection: Connection) -> tuple[list[str], list[str]]:
            uploads = connection.scalars(
                select(UPLOADS.c.id).where(UPLOADS.c.expire_s < now_s, UPLOADS.c.asset_id.is_(None))
            ).all()
            assets = connection.scalars(select(ASSETS.c.id).where(ASSETS.c.expire_s < now_s)).all()
            ended = [item for item in assets if not _is_needed(connection, item)]
            connection.execute(delete(UPLOADS).where(UPLOADS.c.id.in_(uploads)))
            connection.execute(delete(ASSETS).where(ASSETS.c.id.in_(ended)))
            return list(uploads), ended

        uploads, assets = await self._database.write(forget)

        def remove() -> None:
            for upload_id in uploads:
                (self._config.uploads_folder / upload_id).unlink(missing_ok=True)
            for asset_id in assets:
                self.path(asset_id).unlink(missing_ok=True)

        await self._on_disk(remove)
        return len(uploads) + len(assets)

    def close(self) -> None:
        """Ends the threads, after what they do."""
        self._disk.shutdown()

    async def _on_disk(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, function)

    def _write(self, upload_id: str, offset: int, data: bytes, crc32c: int) -> None:
        if google_crc32c.value(data) != crc32c:
            raise ChecksumError(
                f"the part at {offset} is not what its CRC32C says; send it again",
                name=upload_id,
                offset=offset,
            )
        path = self._config.uploads_folder / upload_id
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(fd, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise QuotaError(
                    "the disk of the service is full; try again later", subject="disk"
                ) from error
            raise
        finally:
            os.close(fd)

    def _received(self, connection: Connection, upload_id: str, span: Span) -> int:
        row = connection.execute(
            select(UPLOADS.c.asset_id).where(UPLOADS.c.id == upload_id)
        ).first()
        if row is None or row[0] is not None:
            raise PreconditionError(f"uploads/{upload_id} takes no more parts", name=upload_id)
        touching = (
            PARTS.c.upload_id == upload_id,
            PARTS.c.start_bytes <= span.end,
            PARTS.c.end_bytes >= span.start,
        )
        # Neighbours become one row, so that a finished file has a single one.
        near = connection.execute(select(PARTS).where(*touching)).all()
        connection.execute(delete(PARTS).where(*touching))
        (whole,) = merged([span, *(Span(part.start_bytes, part.end_bytes) for part in near)])
        values = {"upload_id": upload_id, "start_bytes": whole.start, "end_bytes": whole.end}
        connection.execute(insert(PARTS), values)
        connection.execute(
            update(UPLOADS)
            .where(UPLOADS.c.id == upload_id)
            .values(expire_s=self._clock() + self._config.upload_lifetime_s)
        )
        return sum(part.end - part.start for part in _spans(connection, upload_id))

    def _register(self, connection: Connection, upload_id: str, sha256: bytes) -> AssetRecord:
        row = (
            connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).mappings().first()
        )
        if row is None:
            raise NotFoundError(f"uploads/{upload_id} was given up", name=upload_id)
        now_s = self._clock()
        lifetime_s = min(row["lifetime_s"] or float("inf"), self._config.asset_lifetime_s)
        asset = {
            "id": upload_id,
            "principal": row["principal"],
            "display_name": row["display_name"],
            "size_bytes": row["size_bytes"],
            "sha256": sha256,
            "create_s": now_s,
            "expire_s": now_s + lifetime_s,
        }
        connection.execute(insert(ASSETS), asset)
        connection.execute(
            update(UPLOADS).where(UPLOADS.c.id == upload_id).values(asset_id=upload_id)
        )
        connection.execute(delete(PARTS).where(PARTS.c.upload_id == upload_id))
        return _asset(asset)

    def _copy_in(self, folder: Path, parts: Sequence[str], asset_id: str) -> "_Copied":
        target = self.path(asset_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        size = 0
        with os.fdopen(_open_below(folder, parts), "rb") as source, target.open("wb") as copy:
            while piece := source.read(_PIECE):
                size += len(piece)
                if size > self._config.max_asset_bytes:
                    target.unlink()
                    raise QuotaError(
                        f"the file is above {self._config.max_asset_bytes} bytes", subject="bytes"
                    )
                digest.update(piece)
                copy.write(piece)
        if not size:
            target.unlink()
            raise ConfigError("the file is empty", field="object")
        return _Copied(size, digest.digest())


@dataclass(frozen=True)
class _Copied:
    size_bytes: int
    sha256: bytes


def _open_below(folder: Path, parts: Sequence[str]) -> int:
    """Opens a file below a folder; no link on the way is followed, so none leads outside."""
    missing_file = NotFoundError(
        f"there is no file {shown('/'.join(parts))} below this import root", name="/".join(parts)
    )
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = below
        fd = os.open(
            parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at
        )
    except OSError as error:
        raise missing_file from error
    finally:
        os.close(at)
    if not os.path.isfile(f"/proc/self/fd/{fd}"):
        os.close(fd)
        raise missing_file
    return fd


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _move(draft: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if draft.exists():
        draft.replace(target)


def _read(fd: int, offset: int, count: int) -> Piece:
    data = os.pread(fd, count, offset)
    if not data:
        raise ChecksumError("a file of the service is shorter than it was", offset=offset)
    return Piece(offset, data, google_crc32c.value(data))


def _requested(
    connection: Connection, table: Any, principal: str, request_id: str | None
) -> dict[str, Any] | None:
    """What a request id made before."""
    if request_id is None:
        return None
    query = select(table).where(table.c.principal == principal, table.c.request_id == request_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _reused(request_id: str | None) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"request_id {request_id} was used for another request; use a new one", name=request_id
    )


def _own(connection: Connection, table: Any, principal: str, identifier: str) -> dict[str, Any]:
    query = select(table).where(table.c.id == identifier, table.c.principal == principal)
    row = connection.execute(query).mappings().first()
    if row is None:
        # The same for what is not there and for what is another's.
        raise NotFoundError(f"there is no {table.name}/{identifier}", name=identifier)
    return dict(row)


def _spans(connection: Connection, upload_id: str) -> tuple[Span, ...]:
    query = select(PARTS.c.start_bytes, PARTS.c.end_bytes).where(PARTS.c.upload_id == upload_id)
    return merged(Span(start, end) for start, end in connection.execute(query))


def _upload(connection: Connection, row: dict[str, Any]) -> UploadRecord:
    size = row["size_bytes"]
    is_whole = row["asset_id"] is not None
    return UploadRecord(
        id=row["id"],
        display_name=row["display_name"],
        size_bytes=size,
        received=(Span(0, size),) if is_whole else _spans(connection, row["id"]),
        expire_s=row["expire_s"],
        asset_id=row["asset_id"],
    )


def _asset(row: dict[str, Any]) -> AssetRecord:
    return AssetRecord(
        row["id"],
        row["display_name"],
        row["size_bytes"],
        row["sha256"],
        row["create_s"],
        row["expire_s"],
    )


def _altered(upload_id: str) -> ChecksumError:
    return ChecksumError(
        f"uploads/{upload_id} is not the file that its SHA-256 names; upload its parts again",
        name=upload_id,
    )


def _forget_parts(connection: Connection, upload_id: str) -> None:
    connection.execute(delete(PARTS).where(PARTS.c.upload_id == upload_id))


def _is_needed(connection: Connection, asset_id: str) -> bool:
    query = (
        select(JOB_ASSETS.c.job_id)
        .join(JOBS, JOBS.c.id == JOB_ASSETS.c.job_id)
        .where(JOB_ASSETS.c.asset_id == asset_id, JOBS.c.state.not_in(sorted(FINAL_STATES)))
        .limit(1)
    )
    return connection.scalar(query) is not None
