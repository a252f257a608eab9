"""What stands before every method: who calls, may they, is there room, and what went wrong."""

import asyncio
import contextvars
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from sqlalchemy.exc import OperationalError

from cluster.gateway.config import Quotas
from cluster.gateway.meters import Meters
from cluster.gateway.scopes import OPEN_METHODS, SCOPES, Scope
from cluster.gateway.status import status_of
from cluster.gateway.tokens import Principal, Tokens
from cluster.gateway.turns import Turns
from worldloom.errors import (
    AccessError,
    BusyError,
    ConfigError,
    CredentialError,
    ServiceError,
    WorldloomError,
)

_logger = logging.getLogger(__name__)
_DETAILS = "grpc-status-details-bin"
_LONGEST_CALL_S = 600.0
_RETRY_S = 1.0
_LONGEST_TURN_S = 0.05
LOCAL = Principal("local", frozenset(Scope))
"""Who calls where no tokens are asked for."""
_EOF: Any = grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue]  # The stubs lack it.
_ANYBODY = Principal("anybody", frozenset())
_caller: contextvars.ContextVar[Principal] = contextvars.ContextVar("caller")


def caller() -> str:
    """Returns who calls the method that is running."""
    return _caller.get().name


class _Malformed:
    """In the place of a request that is no message."""


class Guard(grpc.aio.ServerInterceptor):
    """Authenticates, authorises, admits, measures, and turns errors into statuses.

    The token is checked before anything of the request is read into a message.

    Args:
        tokens: None where every caller is let in as `LOCAL`.
        quotas: How many calls a caller may have at a time.
        meters: Where calls are counted.
        request_s: How long a request may take to come.
        readers: What reads the requests of a method in the place of its own deserializer; such
            requests are large, and are taken in turns.
    """

    def __init__(
        self,
        tokens: Tokens | None,
        quotas: Quotas,
        meters: Meters,
        request_s: float,
        readers: Mapping[str, Callable[[bytes], Any]],
    ) -> None:
        self._readers = readers
        self._request_s = request_s
        self._tokens = tokens
        self._quotas = quotas
        self._meters = meters
        self._large = Turns(1, _LONGEST_TURN_S)
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Returns the handler of a call, with the guard around it."""
        method: str = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        try:
            principal = await self._admit(method, handler_call_details.invocation_metadata)
        except (WorldloomError, OperationalError) as error:
            return _refusal(handler, self._ended(method, error))
        return self._guarded(handler, method, principal)

    async def _admit(self, method: str, metadata: Any) -> Principal:
        if method in OPEN_METHODS:
            return _ANYBODY
        scope = SCOPES.get(method)
        if scope is None:
            raise AccessError("this method is open to nobody", scope=method)
        if self._tokens is None:
            return LOCAL
        principal = await self._tokens.principal(_bearer(metadata))
        if scope not in principal.scopes:
            raise AccessError(
                f"the token lacks the scope {scope}; ask the operator for one that has it",
                scope=scope,
            )
        return principal

    @contextmanager
    def _counted(self, principal: Principal, is_stream: bool) -> Any:
        """Holds a place among the calls of a caller."""
        counts = self._streams if is_stream else self._calls
        limit = self._quotas.max_watches if is_stream else self._quotas.max_calls
        if counts[principal.name] >= limit:
            what = "streams" if is_stream else "calls"
            raise BusyError(
                f"you have {limit} {what} open, which is your share; end some, or wait",
                retry_s=_RETRY_S,
            )
        counts[principal.name] += 1
        try:
            yield
        finally:
            counts[principal.name] -= 1
            if not counts[principal.name]:
                del counts[principal.name]

    def _guarded(self, handler: Any, method: str, principal: Principal) -> Any:
        """The handler with everything around it.

        On the wire a single request is a stream of one. Taken as that, a call is in our hands from
        its first byte on, and who sends it drop by drop can be counted and sent away.
        """
        deserialize = _tolerant(self._readers.get(method, handler.request_deserializer))
        if handler.request_streaming and not handler.response_streaming:
            raise ServiceError(f"{method} takes a stream alone, which no method of ours does")
        if handler.response_streaming:

            async def streamed(requests: Any, context: Any) -> AsyncGenerator[Any]:
                async with self._watched(method, context) as bound:
                    with self._counted(principal, is_stream=True):
                        _caller.set(principal)
                        if handler.request_streaming:
                            answers = handler.stream_stream(requests, context)
                        else:
                            request = await self._request(context, bound, None)
                            answers = handler.unary_stream(request, context)
                        async for message in answers:
                            yield message

            return grpc.stream_stream_rpc_method_handler(
                streamed, deserialize, handler.response_serializer
            )

        async def answered(_requests: Any, context: Any) -> Any:
            start_s = time.monotonic()
            async with self._watched(method, context) as bound:
                with self._counted(principal, is_stream=False):
                    async with self._turn(method):
                        request = await self._request(context, bound, _LONGEST_CALL_S)
                        _caller.set(principal)
                        answer = await handler.unary_unary(request, context)
            self._meters.seconds.labels(method).observe(time.monotonic() - start_s)
            return answer

        return grpc.stream_unary_rpc_method_handler(
            answered, deserialize, handler.response_serializer
        )

    def _turn(self, method: str) -> AbstractAsyncContextManager[None]:
        """The turn that a call has to wait for before its request is read; most have none.

        All at once, megabytes of parts would keep the loop, its threads and both ends of the
        connections so busy that small calls come seconds late.
        """
        return self._large.turn() if method in self._readers else nullcontext()

    async def _request(self, context: Any, bound: asyncio.Timeout, longest_s: float | None) -> Any:
        """The one request of a call.

        Args:
            context: Of the call.
            bound: Its time, which is set: first for the request, then for the answer.
            longest_s: How long the call may take once its request is there; None: for ever.

        Raises:
            ConfigError: there is none, or it is no message.
            ServiceError: it does not come whole in time.
        """
        bound.reschedule(_now_s() + self._request_s)
        try:
            request = await context.read()
        except asyncio.CancelledError as error:
            if not bound.expired():
                raise
            raise ServiceError(
                f"the request did not come whole within {self._request_s:g} s; send smaller parts",
                retry_s=_RETRY_S,
            ) from error
        bound.reschedule(None if longest_s is None else _now_s() + longest_s)
        if request is _EOF or isinstance(request, _Malformed):
            raise ConfigError("the request is no message of the type that this method takes")
        return request

    @asynccontextmanager
    async def _watched(self, method: str, context: Any) -> AsyncGenerator[asyncio.Timeout]:
        """Measures a call, bounds its time, and turns what it raises into its status."""
        try:
            async with asyncio.timeout(None) as bound:
                yield bound
        except (WorldloomError, OperationalError, TimeoutError) as error:
            await _abort(context, self._ended(method, error))
        except (asyncio.CancelledError, GeneratorExit):
            self._meters.calls.labels(method, "CANCELLED").inc()
            raise
        except grpc.aio.AbortError:
            # Of the servicers for health and reflection; ours raise errors.
            self._meters.calls.labels(method, "ABORTED").inc()
            raise
        except Exception:  # The boundary of the process: what is left is a defect.
            _logger.exception("%s broke", method)
            await _abort(context, self._ended(method, None))
        else:
            self._meters.calls.labels(method, "OK").inc()

    def _ended(self, method: str, error: Exception | None) -> status_pb2.Status:
        """The status of a call that failed, counted."""
        if error is None:
            code = grpc.StatusCode.INTERNAL
            status = status_pb2.Status(
                code=code.value[0], message="a defect of the service; its log has the trace"
            )
        elif isinstance(error, WorldloomError):
            status = status_of(error)
        elif isinstance(error, TimeoutError):
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            status = status_pb2.Status(code=code.value[0], message="the call took too long")
        else:
            _logger.warning("the database does not answer: %s", error)
            text = "the database of the service does not answer; try again"
            status = status_of(ServiceError(text, retry_s=_RETRY_S))
        self._meters.calls.labels(method, _code(status).name).inc()
        return status


def _now_s() -> float:
    """The time by the clock of timeouts."""
    return asyncio.get_running_loop().time()


def _bearer(metadata: Any) -> str:
    """The token that came with a call; empty where none did."""
    values = [value for key, value in metadata or () if key == "authorization"]
    kind, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if kind.lower() != "bearer" or not isinstance(token, str):
        raise CredentialError(
            "this call needs a token; ask the operator for one and send it as "
            "'authorization: Bearer TOKEN'"
        )
    return token.strip()


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Reads messages; what is none becomes a mark, as gRPC would say INTERNAL of it."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except (DecodeError, ValueError):
            return _Malformed()

    return read


def _refusal(handler: Any, status: status_pb2.Status) -> Any:
    """A handler that answers in the same way, reads nothing, waits for nothing, and refuses."""

    async def refuse(_requests: Any, context: Any) -> NoReturn:
        await _abort(context, status)

    if handler.response_streaming:

        async def refuse_stream(_requests: Any, context: Any) -> AsyncGenerator[bytes]:
            await _abort(context, status)
            yield b""

        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    return grpc.stream_unary_rpc_method_handler(refuse)


def _code(status: status_pb2.Status) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == status.code)


async def _abort(context: Any, status: status_pb2.Status) -> NoReturn:
    details = ((_DETAILS, status.SerializeToString()),)
    await context.abort(_code(status), status.message, details)
    raise AssertionError("abort returned")
