"""The pages for people, probes and numbers, on the parts of a gateway."""

import time
from collections.abc import Callable

from aiohttp import web

from cluster.gateway.core import Core
from cluster.gateway.identifiers import page_request
from cluster.gateway.queue_numbers import queue_numbers
from cluster.web.adapter import GatewayBoard, GatewayTokens
from cluster.web.app import StatusPages
from cluster.web.config import WebConfig
from cluster.worker.task import JobKind
from worldloom.errors import ConfigError, CredentialError, NotFoundError


def application(core: Core, is_ready: Callable[[], bool], config: WebConfig) -> web.Application:
    """Returns the pages of a gateway.

    Args:
        core: The gateway.
        is_ready: Whether it takes requests.
        config: How they are served.
    """

    async def refresh() -> None:
        numbers = await core.database.read(
            lambda connection: queue_numbers(connection, time.time())
        )
        for state in ("queued", "running", "succeeded", "failed"):
            core.meters.jobs.labels(state).set(getattr(numbers, state))
        core.meters.oldest_wait.set(numbers.oldest_wait_s)
        core.meters.watchers.set(core.hub.watchers)

    board = GatewayBoard(
        core.jobs,
        core.hub,
        core.folders,
        tuple(JobKind),
        page_request,
        (NotFoundError,),
        (ConfigError,),
    )
    tokens = GatewayTokens(core.tokens, (CredentialError,))
    pages = StatusPages(board, tokens, config, core.meters.registry, is_ready, refresh)
    return pages.application()
