"""Errors on the wire: the one table from `WorldloomError` to codes, and the details beside them."""

import re
from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from cluster.gateway.records import JobFault
from cluster.worker.task import TaskError
from worldloom import errors
from worldloom.errors import WorldloomError

DOMAIN = "worldloom"
_LONGEST_MESSAGE = 1000
_PATH = re.compile(r"(?<![\w./])/(?:[\w.@+-]+/)+([\w.@+-]+)")

CODES: dict[type[WorldloomError], grpc.StatusCode] = {
    errors.InputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TrajectoryError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.VideoError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.FrameCountError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.LimitError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ConfigError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PlanError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StageError: grpc.StatusCode.ABORTED,
    errors.ReconstructionError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreError: grpc.StatusCode.UNAVAILABLE,
    errors.ExportError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RunnerError: grpc.StatusCode.UNAVAILABLE,
    errors.JobError: grpc.StatusCode.UNAVAILABLE,
    errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    errors.PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ChecksumError: grpc.StatusCode.DATA_LOSS,
    errors.QuotaError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CredentialError: grpc.StatusCode.UNAUTHENTICATED,
    errors.AccessError: grpc.StatusCode.PERMISSION_DENIED,
    errors.ServiceError: grpc.StatusCode.UNAVAILABLE,
    WorldloomError: grpc.StatusCode.UNKNOWN,
}
"""Code of each error; a leaf that is not named has that of the nearest one above it."""

_BY_NAME = {kind.__name__: kind for kind in CODES}


def code_of(kind: type[WorldloomError]) -> grpc.StatusCode:
    """Returns the code of an error."""
    return next(CODES[above] for above in kind.__mro__ if above in CODES)


def reason_of(kind: str) -> str:
    """Returns the stable reason of an error: `FrameCountError` is `FRAME_COUNT`."""
    stem = kind.removesuffix("Error") or kind
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).upper()


def public_text(text: str) -> str:
    """Returns a message without folders of this machine: of a path the last name stays."""
    cleaned = _PATH.sub(r"\1", " ".join(text.split()))
    return cleaned if len(cleaned) <= _LONGEST_MESSAGE else cleaned[: _LONGEST_MESSAGE - 3] + "..."


def status_of(error: WorldloomError) -> status_pb2.Status:
    """Returns an error as the status of a call.

    `ErrorInfo` comes always; `BadRequest` where a field is to blame, `QuotaFailure` where a share
    is used up, `RetryInfo` where trying again may help.
    """
    code = code_of(type(error))
    ids = {key: public_text(str(value)) for key, value in error.ids.items() if value is not None}
    info = details_pb2.ErrorInfo(
        reason=reason_of(type(error).__name__), domain=DOMAIN, metadata=ids
    )
    extra: list[Message] = [info]
    message = public_text(error.message)
    if code is grpc.StatusCode.INVALID_ARGUMENT and "field" in ids:
        violation = details_pb2.BadRequest.FieldViolation(field=ids["field"], description=message)
        extra.append(details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.QuotaError):
        over = details_pb2.QuotaFailure.Violation(
            subject=ids.get("subject", ""), description=message
        )
        extra.append(details_pb2.QuotaFailure(violations=[over]))
    retry_s = error.ids.get("retry_s")
    if isinstance(retry_s, int | float):
        delay = Duration(seconds=int(retry_s), nanos=int(retry_s % 1 * 1e9))
        extra.append(details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code.value[0], message=message, details=_packed(extra))


def _packed(messages: list[Message]) -> list[AnyMessage]:
    packed: list[AnyMessage] = []
    for message in messages:
        item = AnyMessage()
        item.Pack(message)
        packed.append(item)
    return packed


def fault_of(error: TaskError) -> JobFault:
    """Returns why a job failed, from what its process left."""
    kind = _BY_NAME.get(error.kind)
    code = grpc.StatusCode.INTERNAL if kind is None else code_of(kind)
    ids = {key: public_text(value) for key, value in error.ids.items()}
    return JobFault(code.value[0], reason_of(error.kind), public_text(error.message), ids)


def error_of(status: status_pb2.Status) -> WorldloomError:
    """Returns the error that a status was made from; for clients.

    A code without our `ErrorInfo` (from a proxy, or from gRPC itself) is a `ServiceError`.
    """
    info = details_pb2.ErrorInfo()
    retry = details_pb2.RetryInfo()
    ids: dict[str, str | int | float | None] = {}
    kind: type[WorldloomError] = errors.ServiceError
    for item in status.details:
        if item.Unpack(info):
            kind = _KINDS.get(info.reason, errors.ServiceError) if info.domain == DOMAIN else kind
            ids |= dict(info.metadata)
        elif item.Unpack(retry):
            ids["retry_s"] = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    if kind is errors.ServiceError:
        ids["code"] = status.code
    return kind(status.message, **ids)


_KINDS: Mapping[str, type[WorldloomError]] = {reason_of(kind.__name__): kind for kind in CODES}
