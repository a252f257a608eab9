"""Records with the shape of the gateway's, as the pages get them."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace as Record
from typing import Any

import pytest

from cluster.web.adapter import GatewayBoard, GatewayTokens
from cluster.web.board import BoardEvent, BoardState, JobBoard, Picture, StageBar

MARK = Record(stage="depth", done=3, total=9, reused=1, failed=2, remaining_s=12.0)


def job(**fields: Any) -> Record:
    base = {
        "id": "0a",
        "kind": "reconstruct",
        "principal": "alice",
        "display_name": "Hall",
        "state": "running",
        "create_s": 1.0,
        "start_s": 2.0,
        "end_s": None,
        "progress": MARK,
        "degraded": False,
        "fault": None,
        "scene_id": None,
        "last_sequence": 4,
    }
    return Record(**(base | fields))


class MissingError(Exception):
    pass


class WrongPageError(Exception):
    pass


class Gateway:
    """The parts of a gateway that the pages use."""

    def __init__(self, root: Path, *jobs: Record) -> None:
        self.root = root
        self.known = {record.id: record for record in jobs}
        self.told: list[Record] = []

    async def get(self, principal: str, job_id: str, kinds: Any) -> Record:
        record = self.known.get(job_id)
        if record is None or record.principal != principal or record.kind not in kinds:
            raise MissingError
        return record

    async def list(self, principal: str, kinds: Any, page: Any, state: Any) -> Record:
        own = [record for record in self.known.values() if record.principal == principal]
        return Record(items=tuple(own[: page[0]]), next_token="more" if page[0] < len(own) else "")

    async def follow(self, job_id: str, after: int) -> AsyncGenerator[Record]:
        for event in self.told[after:]:
            yield event

    def job(self, launch_id: str) -> Path:
        return self.root / "jobs" / launch_id

    def scene(self, scene_id: str) -> Path:
        return self.root / "scenes" / scene_id

    def board(self) -> GatewayBoard:
        def page(size: int, token: str) -> tuple[int, str]:
            if token == "wrong":
                raise WrongPageError
            return size, token

        kinds = ("reconstruct", "export_mesh")
        return GatewayBoard(self, self, self, kinds, page, (MissingError,), (WrongPageError,))


def told(sequence: int, state: str | None = None, **worker: Any) -> Record:
    blank = {"progress": None, "warning": None, "preview": None}
    return Record(
        sequence=sequence,
        time_s=float(sequence),
        content=Record(
            state=None if state is None else Record(state=state),
            worker=Record(**(blank | worker)) if worker else None,
        ),
    )


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_jobs_become_cards(tmp_path: Path):
    fault = Record(message="no overlap")
    gateway = Gateway(tmp_path, job(), job(id="0b", state="failed", fault=fault, progress=None))
    board: JobBoard = gateway.board()
    page = asyncio.run(board.jobs("alice", 1, ""))
    assert page is not None
    assert page.next_token == "more"
    (card,) = page.jobs
    assert (card.name, card.state, card.stage) == (
        "Hall",
        BoardState.RUNNING,
        StageBar("depth", 3, 9, 2, 12.0),
    )
    failed = asyncio.run(board.job("alice", "0b"))
    assert failed is not None
    assert (failed.fault, failed.stage, failed.last_sequence) == ("no overlap", None, 4)
    assert asyncio.run(board.jobs("alice", 1, "wrong")) is None


def test_what_is_another_callers_is_not_there(tmp_path: Path):
    gateway = Gateway(tmp_path, job(scene_id="s"))
    put(tmp_path / "scenes/s/report.html", b"secret")
    put(tmp_path / "scenes/s/preview.png", b"secret")
    gateway.told = [told(1, "running")]
    board = gateway.board()

    async def look() -> list[object]:
        events = [event async for event in board.events("bob", "0a", 0)]
        found = await board.job("bob", "0a"), await board.preview("bob", "0a")
        return [*found, await board.report("bob", "0a"), *events]

    assert asyncio.run(look()) == [None, None, None]


def test_events_are_turned_and_their_pictures_found(tmp_path: Path):
    gateway = Gateway(tmp_path, job())
    put(tmp_path / "jobs/0a/p1.jpg", b"first")
    put(tmp_path / "jobs/0a/p2.jpg", b"second")
    gateway.told = [
        told(1, "running"),
        told(2, progress=MARK),
        told(3, warning="blurred"),
        told(4, preview=Record(title="view 1", media_type="image/jpeg", file="p1.jpg")),
        told(5, preview=Record(title="view 2", media_type="image/jpeg", file="p2.jpg")),
        told(6, "cancelled"),
    ]
    board = gateway.board()

    async def look() -> tuple[list[BoardEvent], Picture | None]:
        events = [event async for event in board.events("alice", "0a", 1)]
        return events, await board.preview("alice", "0a")

    events, picture = asyncio.run(look())
    assert [event.sequence for event in events] == [2, 3, 4, 5, 6]
    assert events[0].stage == StageBar("depth", 3, 9, 2, 12.0)
    assert (events[1].warning, events[2].preview) == ("blurred", "view 1")
    assert (events[4].state, events[4].is_last) == (BoardState.CANCELLED, True)
    assert picture == Picture("image/jpeg", b"second")


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "link.png", "p.svg", "x.png"])
def test_no_picture_is_taken_from_elsewhere(tmp_path: Path, name: str):
    put(tmp_path / "secret.png", b"secret")
    gateway = Gateway(tmp_path, job())
    put(tmp_path / "jobs/0a/p.svg", b"<svg/>")
    (tmp_path / "jobs/0a/link.png").symlink_to(tmp_path / "secret.png")
    gateway.told = [told(1, preview=Record(title="x", media_type="image/png", file=name))]
    board = gateway.board()

    async def look() -> Picture | None:
        assert len([event async for event in board.events("alice", "0a", 0)]) == 1
        return await board.preview("alice", "0a")

    assert asyncio.run(look()) is None


def test_a_finished_scene_has_its_report_and_its_own_picture(tmp_path: Path):
    gateway = Gateway(tmp_path, job(state="succeeded", scene_id="s"))
    content = bytes(range(256)) * 3000
    put(tmp_path / "scenes/s/report.html", content)
    put(tmp_path / "scenes/s/preview.png", b"whole")
    board = gateway.board()

    async def look() -> bytes:
        card = await board.job("alice", "0a")
        assert card is not None
        assert card.has_report
        assert await board.preview("alice", "0a") == Picture("image/png", b"whole")
        pieces = await board.report("alice", "0a")
        assert pieces is not None
        return b"".join([piece async for piece in pieces])

    assert asyncio.run(look()) == content


def test_tokens_become_callers():
    class Tokens:
        async def principal(self, token: str) -> Record:
            if token != "right":
                raise MissingError
            return Record(name="alice", scopes={"jobs.read"})

    tokens = GatewayTokens(Tokens(), (MissingError,))
    found = asyncio.run(tokens.caller("right"))
    assert found is not None
    assert (found.name, found.scopes) == ("alice", frozenset({"jobs.read"}))
    assert asyncio.run(tokens.caller("wrong")) is None
