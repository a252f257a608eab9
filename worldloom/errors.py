"""Errors: one root, leaves that carry ids, messages that say what to change."""


class WorldloomError(Exception):
    """Root of every error that Worldloom raises on purpose.

    Leaves are built from keyword ids, so that a handler can read them and pickling keeps them.

    Args:
        message: What is wrong and what to change, for the person who made the input.
        **ids: What the error is about (file, frame, view, stage, ...); strings, numbers or None.
    """

    def __init__(self, message: str, **ids: str | int | float | None) -> None:
        super().__init__(message)
        self.message = message
        self.ids = ids

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.ids))

    def __str__(self) -> str:
        return self.message


def _rebuild(
    kind: type[WorldloomError], message: str, ids: dict[str, str | int | float | None]
) -> WorldloomError:
    return kind(message, **ids)


class InputError(WorldloomError):
    """Input that cannot be read or does not make sense (ids: path, frame)."""


class TrajectoryError(InputError):
    """A trajectory that cannot be read, or whose poses are not poses (ids: path, frame)."""


class VideoError(InputError):
    """A video or image that cannot be decoded (ids: path, frame)."""


class FrameCountError(InputError):
    """Numbers of frames and poses that differ (ids: path, frames, poses)."""


class LimitError(InputError):
    """Input above a configured cap (ids: path, value, limit)."""


class ConfigError(WorldloomError):
    """A setting, or a combination of settings, that cannot work (ids: field)."""


class PlanError(WorldloomError):
    """Views from which nothing can be triangulated: no overlap, no baseline (ids: view)."""


class StageError(WorldloomError):
    """A work item that could not be made (ids: stage, subject)."""


class ReconstructionError(WorldloomError):
    """A job of which nothing is left (ids: stage, failed, total)."""


class StoreError(WorldloomError):
    """An artifact that cannot be read or written (ids: key, uri)."""


class ExportError(WorldloomError):
    """A product that cannot be written in the format asked for (ids: path, format)."""


class RunnerError(WorldloomError):
    """An execution back end that cannot run work (ids: address, stage)."""


class NotFoundError(WorldloomError):
    """A resource of the service that is not there, or not the caller's (ids: name)."""


class AlreadyExistsError(WorldloomError):
    """A request id that was used for another request (ids: name)."""


class PreconditionError(WorldloomError):
    """A resource of the service whose state does not allow it (ids: name)."""


class ChecksumError(WorldloomError):
    """Bytes that are not those that were sent (ids: name, offset)."""


class QuotaError(WorldloomError):
    """What is above the share of a caller (ids: subject, value, limit)."""


class BusyError(WorldloomError):
    """A service that has too much to do at the moment (ids: retry_s)."""


class CredentialError(WorldloomError):
    """A caller who does not say who it is, or not credibly."""


class AccessError(WorldloomError):
    """A caller who may not do this (ids: scope)."""


class ServiceError(WorldloomError):
    """A service that cannot be reached, or that failed (ids: code)."""


class JobError(WorldloomError):
    """A job that a cluster does not take, know or answer about (ids: job, address)."""
