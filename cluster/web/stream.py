"""Events of a job as a stream that browsers follow (server-sent events, WHATWG HTML 9.2)."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from cluster.web.board import BoardEvent
from cluster.web.views import event_fields

_RETRY_MS = 2000


async def send_events(
    request: web.Request,
    events: AsyncGenerator[BoardEvent],
    heartbeat_s: float,
    still_valid: Callable[[], Awaitable[bool]],
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Sends events until the job has ended, the browser has gone, or the server closes.

    A browser that lost the stream comes back by itself and names the last sequence that it saw.

    Args:
        request: What is answered.
        events: What to send.
        heartbeat_s: After that much silence a comment is sent, which shows that the browser is
            still there, and the token is looked at again.
        still_valid: Whether the token still is.
        closing: Set when the server closes.
    """
    answer = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
    answer.content_type, answer.charset = "text/event-stream", "utf-8"
    await answer.prepare(request)
    await answer.write(f"retry: {_RETRY_MS}\n\n".encode())
    closed = asyncio.ensure_future(closing.wait())
    upcoming: asyncio.Future[BoardEvent] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait(
                {upcoming, closed}, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if closed in done:
                break
            if upcoming not in done:
                if not await still_valid():
                    break
                await answer.write(b": still here\n\n")
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                # Without it the browser would come back for more.
                await answer.write(b"event: end\ndata:\n\n")
                break
            upcoming = None
            await answer.write(_message(event))
    except (ConnectionResetError, asyncio.CancelledError):
        # The browser has gone. The job is not its stream's: it goes on.
        pass
    finally:
        closed.cancel()
        if upcoming is not None:
            upcoming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await upcoming
        await events.aclose()
    return answer


async def no_events() -> AsyncGenerator[BoardEvent]:
    """Yields nothing: the job has ended, and the browser has seen it all."""
    return
    yield


def _message(event: BoardEvent) -> bytes:
    return f"id: {event.sequence}\ndata: {json.dumps(event_fields(event))}\n\n".encode()
