"""What the gateway says over HTTP: probes and numbers."""

import time
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cluster.gateway.core import Core
from cluster.gateway.queue_numbers import queue_numbers


def application(core: Core, is_ready: Callable[[], bool]) -> web.Application:
    """Returns the pages: `/healthz`, `/readyz`, `/metrics`.

    Args:
        core: The gateway.
        is_ready: Whether it takes requests.
    """

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        if not is_ready():
            return web.Response(text="draining\n", status=503)
        return web.Response(text="ok\n")

    async def metrics(_request: web.Request) -> web.Response:
        numbers = await core.database.read(
            lambda connection: queue_numbers(connection, time.time())
        )
        meters = core.meters
        for state in ("queued", "running", "succeeded", "failed"):
            meters.jobs.labels(state).set(getattr(numbers, state))
        meters.oldest_wait.set(numbers.oldest_wait_s)
        meters.watchers.set(core.hub.watchers)
        body = generate_latest(meters.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", metrics)
    return app
