"""Finished scenes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, select

from cluster.gateway.database import Database
from cluster.gateway.folders import Folders
from cluster.gateway.identifiers import Page, PageRequest, page_token, shown
from cluster.gateway.records import FINAL_STATES, SceneRecord
from cluster.gateway.tables import JOBS, SCENES
from cluster.worker.task import JobKind
from worldloom.errors import NotFoundError, PreconditionError
from worldloom.export import FileRecord, Manifest, load_manifest


@dataclass(frozen=True)
class SceneFile:
    """A file of a scene on the disk."""

    path: Path
    record: FileRecord


class Scenes:
    """Gives and deletes scenes.

    Args:
        database: Where their records are.
        folders: Where their files are.
    """

    def __init__(self, database: Database, folders: Folders) -> None:
        self._database = database
        self._folders = folders

    async def get(self, principal: str, scene_id: str) -> SceneRecord:
        """Returns a scene.

        Raises:
            NotFoundError: there is no such scene of the caller.
        """
        return await self._database.read(lambda connection: _own(connection, principal, scene_id))

    async def list(self, principal: str, page: PageRequest) -> Page[SceneRecord]:
        """Returns the scenes of a caller, newest first."""
        query = select(SCENES).where(SCENES.c.principal == principal)
        if page.before_id is not None:
            query = query.where(SCENES.c.id < page.before_id)
        query = query.order_by(SCENES.c.id.desc()).limit(page.size + 1)
        rows = await self._database.read(
            lambda connection: connection.execute(query).mappings().all()
        )
        items = tuple(_scene(dict(row)) for row in rows[: page.size])
        return Page(items, page_token(items[-1].id) if len(rows) > page.size else "")

    async def manifest(self, principal: str, scene_id: str) -> Manifest:
        """Returns the manifest of a scene.

        Raises:
            NotFoundError: there is no such scene of the caller.
            InputError: its files are damaged.
        """
        await self.get(principal, scene_id)
        folder = self._folders.scene(scene_id)
        return await asyncio.to_thread(load_manifest, folder)

    async def file(self, principal: str, scene_id: str, name: str) -> SceneFile:
        """Returns a file that the manifest of a scene lists; the name is looked up, never joined.

        Raises:
            NotFoundError: there is no such scene of the caller, or no such file in it.
        """
        manifest = await self.manifest(principal, scene_id)
        record = next((file for file in manifest.files if file.path == name), None)
        folder = self._folders.scene(scene_id).resolve()
        if record is None or not (folder / record.path).resolve().is_relative_to(folder):
            raise NotFoundError(f"the scene has no file {shown(name)}", name=name)
        return SceneFile(folder / record.path, record)

    async def delete(self, principal: str, scene_id: str) -> None:
        """Deletes the record of a scene; its files are the caller's of this to remove.

        Raises:
            NotFoundError: there is no such scene of the caller.
            PreconditionError: an operation works on it.
        """

        def forget(connection: Connection) -> None:
            _own(connection, principal, scene_id)
            at_work = (
                select(JOBS.c.id)
                .where(JOBS.c.scene_id == scene_id, JOBS.c.kind != JobKind.RECONSTRUCT)
                .where(JOBS.c.state.not_in(sorted(FINAL_STATES)))
                .limit(1)
            )
            if connection.scalar(at_work) is not None:
                raise PreconditionError(
                    f"an operation works on scenes/{scene_id}; wait or cancel it", name=scene_id
                )
            connection.execute(delete(SCENES).where(SCENES.c.id == scene_id))

        await self._database.write(forget)


def _own(connection: Connection, principal: str, scene_id: str) -> SceneRecord:
    query = select(SCENES).where(SCENES.c.id == scene_id, SCENES.c.principal == principal)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no scenes/{scene_id}", name=scene_id)
    return _scene(dict(row))


def _scene(row: dict[str, object]) -> SceneRecord:
    row.pop("principal")
    row["degraded"] = bool(row["degraded"])
    return SceneRecord(**row)  # pyright: ignore[reportArgumentType]
