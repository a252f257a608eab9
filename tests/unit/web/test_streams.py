"""Events of jobs as browsers get them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import ClientResponse

from cluster.web.board import BoardEvent, BoardState, StageBar
from tests.boards import ALICE, card
from tests.unit.web.test_pages import Site, visit


@dataclass(frozen=True)
class Message:
    sequence: int | None
    fields: dict[str, object]
    kind: str = "message"


async def messages(answer: ClientResponse, most: int) -> list[Message]:
    """Reads until the stream ends, or that many messages are there."""
    found: list[Message] = []
    text = ""
    async for piece in answer.content.iter_any():
        text += piece.decode()
        *blocks, text = text.split("\n\n")
        for block in blocks:
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in lines:
                found.append(Message(None, {}, lines["event"]))
            elif "data" in lines:
                found.append(Message(int(lines["id"]), json.loads(lines["data"])))
        if len(found) >= most:
            break
    return found


def follow(test: Callable[[Site], Awaitable[None]], **settings: object) -> None:
    visit(lambda site: asyncio.wait_for(test(site), 20), **settings)


def start(site: Site) -> None:
    board = site.board
    board.add("alice", card("s1", BoardState.QUEUED))
    board.happen("s1", BoardEvent(1, 1000.0, state=BoardState.RUNNING))
    board.happen("s1", BoardEvent(2, 1001.0, stage=StageBar("depth", 1, 4, 0, 75.0)))


def test_events_come_in_order_as_they_happen_and_the_stream_ends():
    async def test(site: Site) -> None:
        start(site)
        answer = await site.get("/jobs/s1/events", ALICE)
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Content-Security-Policy"]
        first = await messages(answer, 2)
        assert [m.sequence for m in first] == [1, 2]
        assert first[0].fields["state"] == "running"
        assert first[1].fields["stage"] == {
            "name": "depth",
            "done": 1,
            "total": 4,
            "text": "1 of 4, about 1 min 15 s left",
        }
        site.board.happen("s1", BoardEvent(3, 1002.0, warning="a <view> was passed over"))
        site.board.happen("s1", BoardEvent(4, 1003.0, state=BoardState.SUCCEEDED))
        rest = await messages(answer, 9)
        assert [m.sequence for m in rest] == [3, 4, None]
        assert rest[0].fields["warning"] == "a <view> was passed over"
        assert rest[1].fields["final"] is True
        assert rest[2].kind == "end"

    follow(test)


def test_a_browser_that_comes_back_gets_what_it_has_not_seen():
    async def test(site: Site) -> None:
        start(site)
        site.board.happen("s1", BoardEvent(3, 1003.0, state=BoardState.FAILED))
        answer = await site.get("/jobs/s1/events", ALICE, **{"Last-Event-ID": "1"})
        assert [m.sequence for m in await messages(answer, 9)] == [2, 3, None]
        answer = await site.get("/jobs/s1/events?after=3", ALICE)
        assert [m.kind for m in await messages(answer, 9)] == ["end"]
        for wrong in ("-1", "x", "1.5", "9" * 30, "²"):
            assert (await site.get(f"/jobs/s1/events?after={wrong}", ALICE)).status == 400

    follow(test)


def test_a_browser_that_goes_leaves_nothing_behind():
    async def test(site: Site) -> None:
        start(site)
        for _ in range(5):
            answer = await site.get("/jobs/s1/events", ALICE)
            await messages(answer, 2)
            answer.close()
        for _ in range(100):
            if not site.board.followers:
                break
            await asyncio.sleep(0.05)
        assert site.board.followers == 0
        assert not site.pages.streams

    follow(test, heartbeat_s=0.05)


def test_streams_of_a_caller_are_bounded():
    async def test(site: Site) -> None:
        start(site)
        held = [await site.get("/jobs/s1/events", ALICE) for _ in range(3)]
        assert [answer.status for answer in held] == [200, 200, 429]

    follow(test, max_streams=2)


def test_a_revoked_token_ends_its_streams():
    async def test(site: Site) -> None:
        start(site)
        answer = await site.get("/jobs/s1/events", ALICE)
        await messages(answer, 2)
        del site.tokens.callers[ALICE]
        assert await messages(answer, 1) == []

    follow(test, heartbeat_s=0.05)


def test_closing_the_server_ends_streams_and_not_the_job():
    async def test(site: Site) -> None:
        start(site)
        answer = await site.get("/jobs/s1/events", ALICE)
        await messages(answer, 2)
        site.pages.closing.set()
        assert await messages(answer, 1) == []
        assert site.board.kept["s1"].card.state is BoardState.RUNNING
        assert (await site.get("/readyz")).status == 503

    follow(test)
