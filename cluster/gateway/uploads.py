"""Files under way: parts in any order, checked, and made an asset in the end."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    outerjoin,
    select,
    update,
)

from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database
from cluster.gateway.disk import Buffer, Disk, make_draft, write_part
from cluster.gateway.identifiers import checked_file_name, new_id
from cluster.gateway.ownership import asset_from_row, own_row, requested_row, reused
from cluster.gateway.quota import require_bytes
from cluster.gateway.records import AssetRecord, Span, UploadRecord
from cluster.gateway.spans import merged, missing
from cluster.gateway.tables import ASSETS, PARTS, UPLOADS
from worldloom.errors import ChecksumError, ConfigError, NotFoundError, PreconditionError

_LEAST_LIFETIME_S = 60.0
_MOST_KNOWN = 10_000
_RENEWED_S = 60.0
"""An upload is kept longer with a part; to note that once a minute is enough."""

# Statements of every part, made once: building them takes longer than SQLite's answers. They are as
# few as can be, for the layers over the driver take longer than it, too.
_TOUCHING = (
    PARTS.c.upload_id == bindparam("upload"),
    PARTS.c.start_bytes <= bindparam("end"),
    PARTS.c.end_bytes >= bindparam("start"),
)
_SUM = select(func.coalesce(func.sum(PARTS.c.end_bytes - PARTS.c.start_bytes), 0)).where(
    PARTS.c.upload_id == bindparam("upload")
)
_NEAR = (
    select(
        UPLOADS.c.asset_id,
        UPLOADS.c.expire_s,
        _SUM.scalar_subquery().label("received"),
        PARTS.c.start_bytes,
        PARTS.c.end_bytes,
    )
    .select_from(outerjoin(UPLOADS, PARTS, and_(*_TOUCHING)))
    .where(UPLOADS.c.id == bindparam("upload"))
)
"""An upload, and its parts that a span touches: a row each, or one without a part."""
_FORGET = delete(PARTS).where(*_TOUCHING)
_MOVE = (
    update(PARTS)
    .where(PARTS.c.upload_id == bindparam("upload"), PARTS.c.start_bytes == bindparam("old"))
    .values(start_bytes=bindparam("start"), end_bytes=bindparam("end"))
)
_ADD = insert(PARTS).values(
    upload_id=bindparam("upload"), start_bytes=bindparam("start"), end_bytes=bindparam("end")
)
_RENEW = (
    update(UPLOADS).where(UPLOADS.c.id == bindparam("upload")).values(expire_s=bindparam("expire"))
)


@dataclass(frozen=True)
class _Place:
    """What never changes of an upload."""

    principal: str
    size_bytes: int


class Uploads:
    """Takes files.

    Args:
        database: Where their records are.
        config: Folders and limits.
        disk: Threads for what blocks.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        config: GatewayConfig,
        disk: Disk,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._config = config
        self._disk = disk
        self._clock = clock
        self._places: dict[str, _Place] = {}

    async def start(
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
            known = requested_row(connection, UPLOADS, principal, request_id)
            if known is not None:
                if (known["display_name"], known["size_bytes"]) != (name, size_bytes):
                    raise reused(request_id)
                return _upload(connection, known)
            require_bytes(connection, self._config.quotas, principal, size_bytes)
            connection.execute(insert(UPLOADS), row)
            return _upload(connection, row | {"asset_id": None})

        upload = await self._database.write(start)
        if upload.asset_id is None:
            await self._disk.run(lambda: make_draft(self._config.uploads_folder / upload.id))
        return upload

    async def write_part(
        self, principal: str, upload_id: str, offset: int, data: Buffer, crc32c: int
    ) -> int:
        """Writes one part and returns how many bytes of the file are there.

        Raises:
            ConfigError: the part lies outside of the file, or is empty or too large.
            ChecksumError: it is not what was sent.
            NotFoundError: there is no such upload of the caller.
            PreconditionError: it is finished, or just being committed.
            QuotaError: the disk is full.
        """
        if not 1 <= len(data) <= self._config.max_part_bytes:
            raise ConfigError(
                f"data must have 1 to {self._config.max_part_bytes} bytes, got {len(data)}",
                field="data",
            )
        place = await self._place(principal, upload_id)
        end = offset + len(data)
        if offset < 0 or end > place.size_bytes:
            raise ConfigError(
                f"bytes {offset} to {end} are not within a file of {place.size_bytes}",
                field="offset_bytes",
            )
        path = self._config.uploads_folder / upload_id
        try:
            await self._disk.run(lambda: write_part(path, offset, data, crc32c))
        except PreconditionError:
            # Given up, it is no upload of anybody any more.
            await self.get(principal, upload_id)
            raise
        return await self._database.write(
            lambda connection: self._received(connection, upload_id, Span(offset, end))
        )

    async def _place(self, principal: str, upload_id: str) -> _Place:
        """What is kept of an upload of a caller, so that a part asks the database once."""
        place = self._places.get(upload_id)
        if place is None or place.principal != principal:
            upload = await self.get(principal, upload_id)
            if len(self._places) >= _MOST_KNOWN:
                self._places.clear()
            place = self._places[upload_id] = _Place(principal, upload.size_bytes)
        return place

    async def get(self, principal: str, upload_id: str) -> UploadRecord:
        """Says what of an upload is there.

        Raises:
            NotFoundError: there is no such upload of the caller.
        """
        return await self._database.read(
            lambda connection: _upload(
                connection, own_row(connection, UPLOADS, principal, upload_id)
            )
        )

    async def commit(self, principal: str, upload_id: str, sha256: bytes) -> AssetRecord:
        """Makes an asset of an upload; of one that is an asset already, returns it.

        Raises:
            ConfigError: the digest is no SHA-256.
            NotFoundError: there is no such upload of the caller.
            PreconditionError: parts are missing, or one is just being written.
            ChecksumError: the file is not what the caller has; its parts are forgotten.
        """
        if len(sha256) != hashlib.sha256().digest_size:
            raise ConfigError(f"sha256 must have 32 bytes, got {len(sha256)}", field="sha256")
        upload = await self.get(principal, upload_id)
        if upload.asset_id is not None:
            asset = await self._asset(principal, upload.asset_id)
            if asset.sha256 != sha256:
                raise _altered(upload_id)
            return asset
        gaps = missing(upload.received, upload.size_bytes)
        if gaps:
            raise PreconditionError(
                f"uploads/{upload_id} lacks bytes {gaps[0].start} to {gaps[0].end}; GetUpload says "
                "what is there",
                name=upload_id,
            )
        draft = self._config.uploads_folder / upload_id
        # The id of the asset is that of the upload, so that a commit that was cut off goes on.
        target = self._config.asset_path(upload_id)
        if not await self._disk.settle(draft, target, sha256):
            await self._database.write(lambda connection: _forget_parts(connection, upload_id))
            raise _altered(upload_id)
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
            row = own_row(connection, UPLOADS, principal, upload_id)
            if row["asset_id"] is not None:
                raise PreconditionError(
                    f"uploads/{upload_id} is an asset already; delete that", name=upload_id
                )
            connection.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))

        await self._database.write(forget)
        await self._disk.run(
            lambda: (self._config.uploads_folder / upload_id).unlink(missing_ok=True)
        )

    def _received(self, connection: Connection, upload_id: str, span: Span) -> int:
        at = {"upload": upload_id, "start": span.start, "end": span.end}
        rows = connection.execute(_NEAR, at).all()
        if not rows or rows[0].asset_id is not None:
            raise PreconditionError(f"uploads/{upload_id} takes no more parts", name=upload_id)
        # Neighbours become one row, so that a finished file has a single one.
        near = [Span(row.start_bytes, row.end_bytes) for row in rows if row.end_bytes is not None]
        (whole,) = merged([span, *near])
        values = {"upload": upload_id, "start": whole.start, "end": whole.end}
        if len(near) == 1:
            connection.execute(_MOVE, values | {"old": near[0].start})
        else:
            if near:
                connection.execute(_FORGET, at)
            connection.execute(_ADD, values)
        expire_s = self._clock() + self._config.upload_lifetime_s
        if expire_s - rows[0].expire_s > _RENEWED_S:
            connection.execute(_RENEW, {"upload": upload_id, "expire": expire_s})
        known = sum(part.end - part.start for part in near)
        return int(rows[0].received) - known + whole.end - whole.start

    def _register(self, connection: Connection, upload_id: str, sha256: bytes) -> AssetRecord:
        row = (
            connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).mappings().first()
        )
        if row is None:
            raise NotFoundError(f"uploads/{upload_id} was given up", name=upload_id)
        made = select(ASSETS).where(ASSETS.c.id == upload_id)
        known = connection.execute(made).mappings().first()
        if known is not None:
            # Another gateway was quicker with the same commit.
            return asset_from_row(dict(known))
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
        return asset_from_row(asset)

    def expired(self, connection: Connection, now_s: float) -> list[Path]:
        """Forgets uploads that have expired, and returns the files to remove."""
        query = select(UPLOADS.c.id).where(UPLOADS.c.expire_s < now_s, UPLOADS.c.asset_id.is_(None))
        ended = connection.scalars(query).all()
        connection.execute(delete(UPLOADS).where(UPLOADS.c.id.in_(ended)))
        return [self._config.uploads_folder / upload_id for upload_id in ended]

    async def _asset(self, principal: str, asset_id: str) -> AssetRecord:
        return await self._database.read(
            lambda connection: asset_from_row(own_row(connection, ASSETS, principal, asset_id))
        )


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


def _altered(upload_id: str) -> ChecksumError:
    return ChecksumError(
        f"uploads/{upload_id} is not the file that its SHA-256 names; upload its parts again",
        name=upload_id,
    )


def _forget_parts(connection: Connection, upload_id: str) -> None:
    connection.execute(delete(PARTS).where(PARTS.c.upload_id == upload_id))
