"""The files of callers."""

import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database
from cluster.gateway.disk import PIECE_BYTES, Disk, Piece, read_piece
from cluster.gateway.identifiers import (
    Page,
    PageRequest,
    checked_file_name,
    new_id,
    page_token,
    shown,
)
from cluster.gateway.imports import Copied, ImportRoot, copy_in
from cluster.gateway.ownership import asset_from_row, own_row, requested_row
from cluster.gateway.quota import require_bytes, used
from cluster.gateway.records import FINAL_STATES, AssetRecord, QuotaRecord
from cluster.gateway.tables import ASSETS, JOB_ASSETS, JOBS
from cluster.gateway.uploads import Uploads
from worldloom.errors import ConfigError, NotFoundError, PreconditionError

_IMPORTS = 2


class Assets:
    """Keeps, gives and imports files.

    Args:
        database: Where their records are.
        config: Folders and limits.
        disk: Threads for what blocks.
        uploads: Where files come from.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        config: GatewayConfig,
        disk: Disk,
        uploads: Uploads,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._config = config
        self._disk = disk
        self._uploads = uploads
        self._clock = clock
        # Threads of their own: a bucket that is slow holds no upload up.
        self._imports = Disk(_IMPORTS)

    def close(self) -> None:
        """Ends the threads of imports, after what they do."""
        self._imports.close()

    async def import_(
        self, principal: str, root: str, name: str, request_id: str | None
    ) -> AssetRecord:
        """Makes an asset of a file below an allowed folder or in an allowed bucket.

        Raises:
            ConfigError: the names make no sense.
            NotFoundError: there is no such folder or file.
            QuotaError: the file is above the share of the caller.
            ServiceError: the bucket does not answer.
        """
        known = await self._database.read(
            lambda connection: requested_row(connection, ASSETS, principal, request_id)
        )
        if known is not None:
            return asset_from_row(known)
        place = self._config.import_roots.get(root)
        if place is None:
            raise NotFoundError(
                f"there is no import root {shown(root)}; the operator names them", name=root
            )
        parts = _checked_parts(name)
        display_name = checked_file_name(parts[-1], "object")
        asset_id = new_id(self._clock())
        target = self._config.asset_path(asset_id)
        copied = await self._copied(principal, place, parts, target)

        def register(connection: Connection) -> AssetRecord:
            made = requested_row(connection, ASSETS, principal, request_id)
            if made is not None:
                # The same call was quicker.
                return asset_from_row(made)
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
            return asset_from_row(row)

        kept: AssetRecord | None = None
        try:
            kept = await self._database.write(register)
            return kept
        finally:
            if kept is None or kept.id != asset_id:
                await self._disk.run(lambda: target.unlink(missing_ok=True))

    async def _copied(
        self, principal: str, place: ImportRoot, parts: list[str], target: Path
    ) -> Copied:
        """Copies a file within what is left of the share of a caller."""
        quota = await self.quota(principal)
        most = min(self._config.max_asset_bytes, max(0, quota.limit_bytes - quota.used_bytes))
        given_up = threading.Event()
        try:
            return await self._imports.run(
                lambda: copy_in(place, parts, target, most, given_up.is_set)
            )
        finally:
            # A call that was cancelled leaves its thread behind.
            given_up.set()

    async def get(self, principal: str, asset_id: str) -> AssetRecord:
        """Returns an asset.

        Raises:
            NotFoundError: there is no such asset of the caller.
        """
        return await self._database.read(
            lambda connection: asset_from_row(own_row(connection, ASSETS, principal, asset_id))
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
        items = tuple(asset_from_row(dict(row)) for row in rows[: page.size])
        return Page(items, page_token(items[-1].id) if len(rows) > page.size else "")

    async def delete(self, principal: str, asset_id: str) -> None:
        """Deletes an asset.

        Raises:
            NotFoundError: there is no such asset of the caller.
            PreconditionError: a job needs it.
        """

        def forget(connection: Connection) -> None:
            own_row(connection, ASSETS, principal, asset_id)
            if _is_needed(connection, asset_id):
                raise PreconditionError(
                    f"assets/{asset_id} is needed by a job that has not ended", name=asset_id
                )
            connection.execute(delete(ASSETS).where(ASSETS.c.id == asset_id))

        await self._database.write(forget)
        await self._disk.run(lambda: self._config.asset_path(asset_id).unlink(missing_ok=True))

    async def pieces(
        self, principal: str, asset_id: str, offset: int, length: int
    ) -> AsyncGenerator[Piece]:
        """Yields the content of an asset from an offset on.

        Raises:
            NotFoundError: there is no such asset of the caller.
            ConfigError: the offset is outside.
        """
        asset = await self.get(principal, asset_id)
        async for piece in self.file_pieces(
            self._config.asset_path(asset_id), asset.size_bytes, offset, length
        ):
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
        fd = await self._disk.run(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        try:
            while offset < end:
                count = min(PIECE_BYTES, end - offset)
                piece = await self._disk.run(lambda at=offset, n=count: read_piece(fd, at, n))
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
        """Deletes what has expired and returns how many files that were."""
        now_s = self._clock()

        def forget(connection: Connection) -> list[Path]:
            old = connection.scalars(select(ASSETS.c.id).where(ASSETS.c.expire_s < now_s)).all()
            ended = [item for item in old if not _is_needed(connection, item)]
            connection.execute(delete(ASSETS).where(ASSETS.c.id.in_(ended)))
            paths = [self._config.asset_path(asset_id) for asset_id in ended]
            return paths + self._uploads.expired(connection, now_s)

        paths = await self._database.write(forget)

        def remove() -> None:
            for path in paths:
                path.unlink(missing_ok=True)

        await self._disk.run(remove)
        return len(paths)


def _checked_parts(name: str) -> list[str]:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        raise ConfigError(
            "object must be a relative name without '..' and empty parts", field="object"
        )
    return parts


def _is_needed(connection: Connection, asset_id: str) -> bool:
    query = (
        select(JOB_ASSETS.c.job_id)
        .join(JOBS, JOBS.c.id == JOB_ASSETS.c.job_id)
        .where(JOB_ASSETS.c.asset_id == asset_id, JOBS.c.state.not_in(sorted(FINAL_STATES)))
        .limit(1)
    )
    return connection.scalar(query) is not None
