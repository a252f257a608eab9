"""The gateway's tables as the pages see them; parts of the gateway come in by their shape."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cluster.web.access import Caller
from cluster.web.board import BoardEvent, BoardPage, BoardState, JobCard, Picture, StageBar

PREVIEW_FILE, REPORT_FILE = "preview.png", "report.html"
_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_LARGEST_PICTURE = 16 << 20
_PIECE_BYTES = 256 << 10
_MOST_PREVIEWS = 1000


class JobTable(Protocol):
    """Jobs by caller; `cluster.gateway.jobs.Jobs`."""

    async def get(self, principal: str, job_id: str, kinds: Any) -> Any:
        """Returns a job record."""
        ...

    async def list(self, principal: str, kinds: Any, page: Any, state: Any) -> Any:
        """Returns a page: `items` and `next_token`."""
        ...


class EventFeed(Protocol):
    """Events of jobs; `cluster.gateway.events.EventHub`."""

    def follow(self, job_id: str, after: int) -> AsyncGenerator[Any]:
        """Yields events after a sequence until the last."""
        ...


class FolderMap(Protocol):
    """Where files lie; `cluster.gateway.folders.Folders`."""

    def job(self, launch_id: str) -> Path:
        """Returns the folder of a job."""
        ...

    def scene(self, scene_id: str) -> Path:
        """Returns the folder of a scene."""
        ...


class TokenTable(Protocol):
    """Tokens; `cluster.gateway.tokens.Tokens`."""

    async def principal(self, token: str) -> Any:
        """Returns a principal: `name` and `scopes`."""
        ...


@dataclass(frozen=True)
class GatewayTokens:
    """Tokens of the gateway, for the pages."""

    tokens: TokenTable
    refused: tuple[type[Exception], ...]
    """What the table raises for a token that is not valid."""

    async def caller(self, token: str) -> Caller | None:
        """Returns the caller; None for a token that is not valid."""
        try:
            principal = await self.tokens.principal(token)
        except self.refused:
            return None
        return Caller(principal.name, frozenset(str(scope) for scope in principal.scopes))


@dataclass
class GatewayBoard:
    """A `JobBoard` of the jobs in the gateway's tables.

    Args:
        table: Jobs.
        feed: Their events.
        folders: Their files.
        kinds: All kinds of jobs that are shown.
        page_request: Makes what the table takes for a page, from size and token.
        missing: What the table raises for a job that is not there or not the caller's.
        wrong_page: What `page_request` raises for a token that is none.
    """

    table: JobTable
    feed: EventFeed
    folders: FolderMap
    kinds: Sequence[Any]
    page_request: Callable[[int, str], Any]
    missing: tuple[type[Exception], ...]
    wrong_page: tuple[type[Exception], ...]
    _previews: OrderedDict[str, str] = field(default_factory=OrderedDict[str, str])
    """Latest picture of jobs that somebody follows: its name in the folder of the job."""

    async def jobs(self, caller: str, size: int, token: str) -> BoardPage | None:
        """Returns a page of jobs; None where the token is none of ours."""
        try:
            request = self.page_request(size, token)
        except self.wrong_page:
            return None
        page = await self.table.list(caller, self.kinds, request, None)
        cards = await asyncio.to_thread(lambda: tuple(self._card(job) for job in page.items))
        return BoardPage(cards, page.next_token)

    async def job(self, caller: str, job_id: str) -> JobCard | None:
        """Returns a job."""
        record = await self._record(caller, job_id)
        return None if record is None else await asyncio.to_thread(self._card, record)

    async def preview(self, caller: str, job_id: str) -> Picture | None:
        """Returns the picture of the finished scene, or the latest of what there is so far."""
        record = await self._record(caller, job_id)
        return None if record is None else await asyncio.to_thread(self._picture, record)

    async def report(self, caller: str, job_id: str) -> AsyncGenerator[bytes] | None:
        """Returns the page of the report, in pieces."""
        record = await self._record(caller, job_id)
        path = None if record is None else self._report_path(record)
        return None if path is None else _pieces(path)

    async def events(self, caller: str, job_id: str, after: int) -> AsyncGenerator[BoardEvent]:
        """Yields what happened after a sequence, and what happens, until the job has ended."""
        if await self._record(caller, job_id) is None:
            return
        async for event in self.feed.follow(job_id, after):
            yield self._seen(job_id, event)

    async def _record(self, caller: str, job_id: str) -> Any:
        try:
            return await self.table.get(caller, job_id, self.kinds)
        except self.missing:
            return None

    def _card(self, record: Any) -> JobCard:
        return JobCard(
            id=record.id,
            name=record.display_name,
            kind=str(record.kind),
            state=BoardState(str(record.state)),
            create_s=record.create_s,
            start_s=record.start_s,
            end_s=record.end_s,
            stage=_bar(record.progress),
            degraded=record.degraded,
            fault=None if record.fault is None else record.fault.message,
            last_sequence=record.last_sequence,
            has_report=self._report_path(record) is not None,
        )

    def _report_path(self, record: Any) -> Path | None:
        if record.scene_id is None:
            return None
        path = self.folders.scene(record.scene_id) / REPORT_FILE
        return path if path.is_file() else None

    def _picture(self, record: Any) -> Picture | None:
        if record.scene_id is not None:
            found = _read_picture(self.folders.scene(record.scene_id), PREVIEW_FILE)
            if found is not None:
                return found
        name = self._previews.get(record.id)
        return None if name is None else _read_picture(self.folders.job(record.id), name)

    def _seen(self, job_id: str, event: Any) -> BoardEvent:
        """Turns an event of the gateway into one of the pages, and remembers its picture."""
        content = event.content
        worker = content.worker
        preview = None if worker is None else worker.preview
        if preview is not None:
            self._previews[job_id] = preview.file
            self._previews.move_to_end(job_id)
            while len(self._previews) > _MOST_PREVIEWS:
                self._previews.popitem(last=False)
        return BoardEvent(
            sequence=event.sequence,
            time_s=event.time_s,
            state=None if content.state is None else BoardState(str(content.state.state)),
            stage=None if worker is None else _bar(worker.progress),
            warning=None if worker is None else worker.warning,
            preview=None if preview is None else preview.title,
        )


def _bar(mark: Any) -> StageBar | None:
    if mark is None:
        return None
    return StageBar(mark.stage, mark.done, mark.total, mark.failed, mark.remaining_s)


def _read_picture(folder: Path, name: str) -> Picture | None:
    """Reads a picture that lies in a folder, and none that its name leads out of it to."""
    path = (folder / name).resolve()
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None or not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    if path.stat().st_size > _LARGEST_PICTURE:
        return None
    return Picture(media_type, path.read_bytes())


async def _pieces(path: Path) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
