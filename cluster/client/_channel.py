"""A connection to the service, and calls that try again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.rpc import status_pb2

from cluster.gateway.status import error_of
from worldloom.errors import ConfigError, ServiceError, WorldloomError

T = TypeVar("T")
_MESSAGE_BYTES = 80 << 20
_DETAILS = "grpc-status-details-bin"
_FIRST_WAIT_S, _LONGEST_WAIT_S, _GROWTH = 0.1, 5.0, 1.7


@dataclass(frozen=True)
class ClientTls:
    """Certificates of a client."""

    server_ca: Path | None = None
    """PEM: authority of the service; None: those of the system."""
    certificate: Path | None = None
    """PEM of our own, where the service asks for one."""
    key: Path | None = None
    """PEM of its key."""


class Channel:
    """A connection.

    Args:
        address: `host:port`.
        token: None where the service asks for none.
        tls: None without TLS, which is for loopback.
        plaintext: Allow a token to go to another machine without TLS.
        retry_s: How long a call is tried again while the service is not there.
        timeout_s: How long one try of a call may take.
        interceptors: Of gRPC, around all calls: for traces, say.

    Raises:
        ConfigError: a token would go to another machine in the clear, or a certificate cannot be
            read.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        *,
        tls: ClientTls | None,
        plaintext: bool,
        retry_s: float,
        timeout_s: float,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        host = address.rpartition(":")[0].strip("[]")
        is_near = host in ("localhost", "::1") or host.startswith("127.")
        if token and tls is None and not is_near and not plaintext:
            raise ConfigError(
                f"the token would go to {address} in the clear; use TLS, or allow plaintext",
                field="tls",
            )
        self.metadata: tuple[tuple[str, str], ...] = (
            (("authorization", f"Bearer {token}"),) if token else ()
        )
        self.timeout_s = timeout_s
        self._retry_s = retry_s
        options = [
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            # A gateway that was restarted is found again soon.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        if tls is None:
            self.wire = grpc.aio.insecure_channel(
                address, options=options, interceptors=interceptors
            )
        else:
            self.wire = grpc.aio.secure_channel(
                address, _credentials(tls), options=options, interceptors=interceptors
            )

    async def close(self) -> None:
        """Closes the connection."""
        await self.wire.close()

    async def call(self, method: Callable[..., Awaitable[T]], request: Any) -> T:
        """Makes a call that may be made twice; tries again while the service is not there.

        Raises:
            WorldloomError: as the service said it.
        """

        async def once() -> T:
            return await method(request, metadata=self.metadata, timeout=self.timeout_s)

        return await self.retried(once)

    async def retried(self, once: Callable[[], Awaitable[T]]) -> T:
        """Runs something until it succeeds, fails for good, or the time for tries is over."""
        patience = Patience(self._retry_s)
        while True:
            try:
                return await once()
            except grpc.aio.AioRpcError as failed:
                await patience.wait(failed)

    def patience(self) -> "Patience":
        """Returns the patience of a stream."""
        return Patience(self._retry_s)


class Patience:
    """Waits between tries, longer each time, and gives up in the end.

    Args:
        retry_s: How long to try.
    """

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self.reset()

    def reset(self) -> None:
        """Begins anew: something went well."""
        self._end_s = time.monotonic() + self._retry_s
        self._wait_s = _FIRST_WAIT_S

    async def wait(self, failed: grpc.aio.AioRpcError) -> None:
        """Waits before the next try.

        Raises:
            WorldloomError: another try would not help, or there was enough of them.
        """
        error = translated(failed)
        if not _may_help(failed, error) or time.monotonic() >= self._end_s:
            raise error from failed
        await self.pause(error.ids.get("retry_s"))

    async def pause(self, least_s: object = None) -> None:
        """Waits a while, at random, so that many clients do not come back all at once."""
        wait_s = self._wait_s * random.uniform(0.5, 1.0)
        self._wait_s = min(self._wait_s * _GROWTH, _LONGEST_WAIT_S)
        await asyncio.sleep(max(wait_s, float(least_s) if isinstance(least_s, int | float) else 0))


def translated(failed: grpc.aio.AioRpcError) -> WorldloomError:
    """Returns the error that the service meant."""
    for key, value in failed.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            return error_of(status_pb2.Status.FromString(value))
    # From gRPC itself or a proxy: nobody answers, or a message is too large.
    text = failed.details() or failed.code().name
    return ServiceError(text, code=failed.code().value[0])


def _may_help(failed: grpc.aio.AioRpcError, error: WorldloomError) -> bool:
    return failed.code() is grpc.StatusCode.UNAVAILABLE or "retry_s" in error.ids


def _credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    try:
        contents = [
            None if path is None else path.read_bytes()
            for path in (tls.server_ca, tls.key, tls.certificate)
        ]
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: {error.strerror}", field="tls"
        ) from error
    return grpc.ssl_channel_credentials(*contents)
