"""The artifact store: finished work by content, written so that no reader sees half of it.

An artifact is a folder `stage/ab/abcdef...` of data files and `result.json`. The result is written
last: where it is, the artifact is whole. Writing the same artifact twice is harmless.
"""

import contextlib
import logging
import posixpath
import threading
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import NewType, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.fs as pafs

from worldloom.codec import digest, from_json, to_json
from worldloom.errors import StoreError

ArtifactKey = NewType("ArtifactKey", str)
"""Path of an artifact below the root of its store: `stage/ab/<sha256>`."""

R = TypeVar("R")
RESULT_FILE = "result.json"
_logger = logging.getLogger(__name__)


def artifact_key(stage: str, version: int, work: object) -> ArtifactKey:
    """Returns the key of what `stage` makes of `work`.

    Args:
        stage: Name of the stage.
        version: Version of its code; raise it when the result of the same work changes.
        work: Frozen dataclass of all that the result depends on.
    """
    name = digest(stage, version, work)
    return ArtifactKey(f"{stage}/{name[:2]}/{name}")


@dataclass(frozen=True)
class Traffic:
    """Bytes that one thread has moved."""

    read_bytes: int = 0
    """Files read whole; ranges of opened files do not count."""
    written_bytes: int = 0


class _Meter(threading.local):
    """Counts for each thread by itself, so that work items on threads do not mix."""

    read_bytes = 0
    written_bytes = 0


class Store:
    """Artifacts in a local folder or an object store (`s3://`, `gs://`), by `pyarrow.fs`.

    Args:
        uri: Absolute local path or URI of the root; made where it does not exist.

    Raises:
        StoreError: the root cannot be opened.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._meter = _Meter()
        try:
            self._fs, self._root = pafs.FileSystem.from_uri(uri)
            self._fs.create_dir(self._root, recursive=True)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"cannot open the store {uri}: {error}; give an absolute path, s3:// or gs://",
                uri=uri,
            ) from error

    def _path(self, key: ArtifactKey, name: str) -> str:
        return posixpath.join(self._root, key, name)

    def traffic(self) -> Traffic:
        """Returns what the calling thread has read and written so far."""
        return Traffic(self._meter.read_bytes, self._meter.written_bytes)

    def write(self, key: ArtifactKey, name: str, data: bytes | memoryview | pa.Buffer) -> None:
        """Writes one file of an artifact under a temporary name, then renames it.

        Raises:
            StoreError: the file cannot be written (disk full, no permission).
        """
        path = self._path(key, name)
        local = isinstance(self._fs, pafs.LocalFileSystem)
        target = f"{path}.{uuid.uuid4().hex}.tmp" if local else path
        try:
            self._fs.create_dir(posixpath.dirname(path), recursive=True)
            with self._fs.open_output_stream(target) as stream:
                stream.write(data)
            if local:
                self._fs.move(target, path)
            self._meter.written_bytes += memoryview(data).nbytes
        except OSError as error:
            if local:
                with contextlib.suppress(OSError):
                    self._fs.delete_file(target)
            raise StoreError(
                f"cannot write {name} of {key} to {self.uri}: {error}; "
                "free space, or change --store",
                key=key,
                uri=self.uri,
            ) from error

    def read(self, key: ArtifactKey, name: str) -> pa.Buffer:
        """Reads one file of an artifact.

        Raises:
            StoreError: the file is missing or cannot be read.
        """
        try:
            with self._fs.open_input_file(self._path(key, name)) as stream:
                data = stream.read_buffer()
            self._meter.read_bytes += data.size
            return data
        except OSError as error:
            raise StoreError(
                f"cannot read {name} of {key} in {self.uri}: {error}; run again to make it anew",
                key=key,
                uri=self.uri,
            ) from error

    def holds(self, key: ArtifactKey, name: str) -> bool:
        """Returns whether a file of an artifact is there.

        Raises:
            StoreError: the store cannot be asked (no permission, no connection).
        """
        try:
            return self._fs.get_file_info(self._path(key, name)).type == pafs.FileType.File
        except OSError as error:
            raise StoreError(
                f"cannot look for {name} of {key} in {self.uri}: {error}; see that the store can "
                "be reached and read",
                key=key,
                uri=self.uri,
            ) from error

    def finished(self, stage: str) -> tuple[ArtifactKey, ...]:
        """Returns the keys of the finished artifacts of a stage, ascending.

        Raises:
            StoreError: the store cannot be listed (no permission, no connection).
        """
        selector = pafs.FileSelector(
            posixpath.join(self._root, stage), allow_not_found=True, recursive=True
        )
        try:
            found = self._fs.get_file_info(selector)
        except OSError as error:
            raise StoreError(
                f"cannot list {stage} in {self.uri}: {error}; see that the store can be reached "
                "and read",
                uri=self.uri,
            ) from error
        keys = {
            "/".join(info.path.split("/")[-4:-1])
            for info in found
            if info.type == pafs.FileType.File and info.base_name == RESULT_FILE
        }
        return tuple(ArtifactKey(key) for key in sorted(keys))

    def remove(self, key: ArtifactKey) -> None:
        """Removes an artifact, finished or not, where it is there.

        Raises:
            StoreError: it cannot be removed.
        """
        path = posixpath.join(self._root, key)
        try:
            if self._fs.get_file_info(path).type == pafs.FileType.Directory:
                self._fs.delete_dir(path)
        except OSError as error:
            raise StoreError(
                f"cannot remove {key} from {self.uri}: {error}", key=key, uri=self.uri
            ) from error

    @contextlib.contextmanager
    def open(self, key: ArtifactKey, name: str) -> Generator[pa.NativeFile]:
        """Opens one file of an artifact to read parts of it.

        Raises:
            StoreError: the file is missing or cannot be read.
        """
        try:
            with self._fs.open_input_file(self._path(key, name)) as stream:
                yield stream
        except OSError as error:
            raise StoreError(
                f"cannot read {name} of {key} in {self.uri}: {error}; run again to make it anew",
                key=key,
                uri=self.uri,
            ) from error

    def commit(self, key: ArtifactKey, result: object) -> None:
        """Writes the result of an artifact, which makes it whole."""
        self.write(key, RESULT_FILE, to_json(result))

    def result(self, key: ArtifactKey, kind: type[R]) -> R | None:
        """Returns the result of a finished artifact, or None where it is not finished.

        A result that cannot be decoded (a damaged disk) counts as not finished and is logged.

        Raises:
            StoreError: the store cannot be read.
        """
        if not self.holds(key, RESULT_FILE):
            return None
        try:
            return from_json(self.read(key, RESULT_FILE).to_pybytes(), kind)
        except msgspec.DecodeError as error:
            _logger.warning("%s in %s is damaged (%s); it is made anew", key, self.uri, error)
            return None
