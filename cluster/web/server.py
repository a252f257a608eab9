"""Serving the pages, beside the gateway in its event loop."""

import ssl
from dataclasses import dataclass

from aiohttp import web

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class WebServer:
    """Pages that are being served."""

    host: str
    port: int
    runner: web.AppRunner

    async def close(self) -> None:
        """Takes no more requests, ends streams and lets the others finish."""
        await self.runner.cleanup()


async def serve_pages(
    app: web.Application,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    drain_s: float = 10.0,
) -> WebServer:
    """Serves an application.

    Args:
        app: The pages.
        host: Address to listen on.
        port: Its port; 0 takes a free one.
        tls: Certificate; None: plain text.
        drain_s: How long requests may take to end at the close.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=30.0, shutdown_timeout=drain_s)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls, backlog=128).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"the pages cannot listen on {host}:{port}: {error.strerror}; choose another --http",
            field="http",
        ) from error
    return WebServer(host, int(runner.addresses[0][1]), runner)
