"""The gateway on its ports, from start to drain."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import (
    aio as health_aio,  # pyright: ignore[reportAttributeAccessIssue]
)
from grpc_reflection.v1alpha import reflection

from cluster.gateway.config import Tls
from cluster.gateway.core import Core
from cluster.gateway.guard import Guard
from cluster.gateway.pages import application
from cluster.gateway.servicers import READERS, SERVICES, add_servicers
from cluster.gateway.tls import Certificates
from cluster.web.config import WebConfig
from worldloom.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_logger = logging.getLogger(__name__)
_OVERHEAD_BYTES = 64 << 10
_MOST_CALLS = 2000
_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Face:
    """Where a gateway listens, and whom it lets in."""

    address: str = "127.0.0.1:50051"
    """`host:port`; port 0 takes a free one."""
    http: str | None = None
    """`host:port` of pages, probes and numbers; None: none."""
    open_metrics: bool = False
    """Whether `/metrics` answers without a token."""
    tls: Tls | None = None
    plaintext: bool = False
    """Listen beyond loopback without TLS."""
    auth: bool = True
    """Ask for tokens."""
    drain_s: float = 20.0
    """How long calls may take to end."""
    traces: "TracerProvider | None" = None
    """Where spans of calls go; None: none are made."""

    def __post_init__(self) -> None:
        if self.is_exposed and self.tls is None and not self.plaintext:
            raise ConfigError(
                f"{self.address} can be reached from other machines, and tokens would go there in "
                "the clear; give --tls-cert and --tls-key, or --plaintext where a proxy does TLS",
                field="address",
            )
        if self.is_exposed and not self.auth:
            raise ConfigError(
                f"--no-auth is for loopback, not for {self.address}; make a token with "
                "`worldloom tokens create`",
                field="auth",
            )

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach it."""
        host = self.address.rpartition(":")[0].strip("[]")
        return not (host in ("localhost", "::1") or host.startswith("127."))


class Gateway:
    """A gateway that listens.

    Args:
        core: What it does.
        face: Where it listens.
    """

    def __init__(self, core: Core, face: Face) -> None:
        self._core = core
        self._face = face
        self._server: grpc.aio.Server | None = None
        self._health = health_aio.HealthServicer()
        self._http: web.AppRunner | None = None
        self._queue: asyncio.Task[None] | None = None
        self._ready = False

    async def start(self) -> int:
        """Begins to listen and to run jobs.

        Returns:
            The port of gRPC.

        Raises:
            ConfigError: the address cannot be listened on, or a certificate cannot be used.
        """
        core, face = self._core, self._face
        tokens = core.tokens if face.auth else None
        guard = Guard(tokens, core.config.quotas, core.meters, core.config.request_s, READERS)
        server = grpc.aio.server(
            # The guard is inside: what it refuses is a span as well.
            interceptors=[*_tracing(face.traces), guard],
            options=_options(core.config.max_part_bytes),
            maximum_concurrent_rpcs=_MOST_CALLS,
        )
        add_servicers(core, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        port = _bound(server, face)
        await server.start()
        self._server = server
        self._queue = asyncio.create_task(core.supervisor.run())
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._ready = True
        if face.http is not None:
            await self._start_http(face.http)
        return port

    async def wait(self) -> None:
        """Waits until the queue ends, which it does when it is broken or drained."""
        if self._queue is not None:
            await asyncio.shield(self._queue)

    async def drain(self) -> None:
        """Ends: no new calls, watchers let go, calls under way finish; jobs go on."""
        self._ready = False
        await self._health.enter_graceful_shutdown()
        self._core.supervisor.close()
        await self._core.hub.close()
        if self._server is not None:
            await self._server.stop(self._face.drain_s)
        if self._queue is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._queue
        if self._http is not None:
            await self._http.cleanup()
        if self._face.traces is not None:
            await asyncio.to_thread(self._face.traces.shutdown)
        self._core.disk.close()
        self._core.assets.close()
        self._core.database.close()

    async def _start_http(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        config = WebConfig(secure=self._face.is_exposed, open_metrics=self._face.open_metrics)
        pages = application(self._core, lambda: self._ready, config)
        runner = web.AppRunner(pages, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{address} cannot be listened on ({error}); give another --http", field="http"
            ) from error
        self._http = runner


def _tracing(traces: "TracerProvider | None") -> list[grpc.aio.ServerInterceptor]:
    if traces is None:
        return []
    try:
        from opentelemetry.instrumentation.grpc import aio_server_interceptor
    except ImportError as error:
        raise ConfigError(
            f"traces need a package that is missing ({error.name}); pip install 'worldloom[otel]'",
            field="traces",
        ) from error
    return [aio_server_interceptor(tracer_provider=traces)]


def _options(max_part_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_part_bytes + _OVERHEAD_BYTES),
        ("grpc.max_send_message_length", max_part_bytes + _OVERHEAD_BYTES),
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.max_concurrent_streams", 1000),
        # Two gateways on one port would each get half of the calls.
        ("grpc.so_reuseport", 0),
        # Who dribbles, or does not answer, does not hold a connection for ever.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 10 * _MINUTE_MS),
        ("grpc.max_connection_age_ms", 60 * _MINUTE_MS),
        ("grpc.max_connection_age_grace_ms", 10 * _MINUTE_MS),
        ("grpc.keepalive_time_ms", _MINUTE_MS),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def _bound(server: grpc.aio.Server, face: Face) -> int:
    try:
        if face.tls is None:
            port = server.add_insecure_port(face.address)
        else:
            port = server.add_secure_port(face.address, Certificates(face.tls).credentials())
    except RuntimeError as error:
        port, reason = 0, str(error)
    else:
        reason = "it is taken"
    if port == 0:
        raise ConfigError(
            f"{face.address} cannot be listened on ({reason}); give another --address",
            field="address",
        )
    return port
