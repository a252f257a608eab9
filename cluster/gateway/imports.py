"""Files that are copied from where the operator allows it: a folder, or a bucket."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.gateway.disk import PIECE_BYTES
from cluster.gateway.identifiers import shown
from worldloom.errors import ConfigError, NotFoundError, QuotaError, ServiceError, StoreError

_SCHEMES = ("s3", "gs")
_RETRY_S = 5.0


@dataclass(frozen=True)
class Bucket:
    """A place in an object store, as `pyarrow.fs` names it."""

    uri: str
    """`s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`, with its options; never told to callers."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.uri)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            raise ConfigError(
                "an import root must be a folder that is there, s3://BUCKET/PREFIX or "
                "gs://BUCKET/PREFIX",
                field="import_root",
            )


ImportRoot = Path | Bucket
"""Where assets may be imported from."""


@dataclass(frozen=True)
class Copied:
    """A file that was copied."""

    size_bytes: int
    sha256: bytes


def copy_in(
    root: ImportRoot,
    parts: Sequence[str],
    target: Path,
    most_bytes: int,
    is_given_up: Callable[[], bool],
) -> Copied:
    """Copies a file from below a root; of a file that cannot be copied whole nothing stays.

    Args:
        root: Allowed by the operator.
        parts: Names on the way to the file, none of them `..` or empty.
        target: The copy.
        most_bytes: It may not be larger.
        is_given_up: Whether nobody waits for the copy any more; asked between pieces.

    Raises:
        NotFoundError: there is no such file.
        QuotaError: it is too large.
        ConfigError: it is empty.
        ServiceError: the bucket does not answer, or nobody waits.
        StoreError: the disk does not take it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    opened = _in_bucket(root, parts) if isinstance(root, Bucket) else _in_folder(root, parts)
    digest, size = hashlib.sha256(), 0
    try:
        with closing(opened.stream), target.open("wb") as copy:
            _require_size(opened.size_bytes, most_bytes)
            while piece := _piece(opened.stream):
                if is_given_up():
                    raise ServiceError("the import was given up; ask again", retry_s=_RETRY_S)
                size += len(piece)
                # Asked again: a size may be wrong, and a file may grow.
                _require_size(size, most_bytes)
                digest.update(piece)
                _write(copy, piece)
        if not size:
            raise ConfigError("the file is empty", field="object")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Copied(size, digest.digest())


@dataclass(frozen=True)
class _Opened:
    stream: Any
    """A binary file."""
    size_bytes: int


def _require_size(size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise QuotaError(
            f"the file is above {most_bytes} bytes; import a smaller one, or delete assets",
            subject="bytes",
            limit=most_bytes,
        )


def _piece(stream: Any) -> bytes:
    try:
        return stream.read(PIECE_BYTES)
    except OSError as error:
        raise _silent() from error


def _write(copy: Any, piece: bytes) -> None:
    try:
        copy.write(piece)
    except OSError as error:
        raise StoreError(
            f"the disk of the service does not take the file: {error.strerror}; try again later"
        ) from error


def _silent() -> ServiceError:
    # What the library says may hold names and addresses that are no business of callers.
    return ServiceError("the import root does not answer; try again", retry_s=_RETRY_S)


def _missing(parts: Sequence[str]) -> NotFoundError:
    name = "/".join(parts)
    return NotFoundError(f"there is no file {shown(name)} below this import root", name=name)


def _in_bucket(bucket: Bucket, parts: Sequence[str]) -> _Opened:
    # The libraries of object stores take a moment to import.
    import pyarrow as pa
    import pyarrow.fs as pafs

    try:
        store, base = pafs.FileSystem.from_uri(bucket.uri)
        path = "/".join((base.rstrip("/"), *parts))
        found = store.get_file_info(path)
        if found.type is not pafs.FileType.File:
            raise _missing(parts)
        return _Opened(store.open_input_stream(path), int(found.size or 0))
    except (OSError, pa.ArrowException) as error:
        raise _silent() from error


def _in_folder(folder: Path, parts: Sequence[str]) -> _Opened:
    fd = _open_below(folder, parts)
    return _Opened(os.fdopen(fd, "rb"), os.fstat(fd).st_size)


def _open_below(folder: Path, parts: Sequence[str]) -> int:
    """Opens a file below a folder; no link on the way is followed, so none leads outside."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = below
        fd = os.open(
            parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at
        )
    except OSError as error:
        raise _missing(parts) from error
    finally:
        os.close(at)
    if not os.path.isfile(f"/proc/self/fd/{fd}"):
        os.close(fd)
        raise _missing(parts)
    return fd
