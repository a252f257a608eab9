"""Imports from object stores: what is read of the APIs of S3 and GCS, on loopback."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import grpc
import pytest

from cluster.cli._serve import _root
from cluster.gateway.config import Quotas
from cluster.gateway.imports import Bucket, copy_in
from cluster.rpc import asset_service_pb2
from tests.calls import failure, played, stubs
from tests.gateway import Running
from worldloom.errors import ConfigError, NotFoundError, QuotaError, ServiceError

VIDEO = bytes(range(256)) * 9000


class S3(BaseHTTPRequestHandler):
    """HeadObject, GetObject with ranges and ListObjectsV2 of one bucket, as S3 answers them."""

    objects: ClassVar = {
        "/films/shown/day/a.mp4": VIDEO,
        "/films/shown/empty.mp4": b"",
        "/films/hidden/b.mp4": b"hidden",
    }

    def do_HEAD(self) -> None:
        content = self.objects.get(unquote(urlsplit(self.path).path))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        content = self.objects.get(unquote(parts.path))
        if "list-type=2" in parts.query:
            answer(self, 200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        elif content is None:
            answer(self, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif "Range" in self.headers:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            answer(self, 206, content[int(first) : int(last) + 1 if last else None])
        else:
            answer(self, 200, content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def answer(handler: BaseHTTPRequestHandler, code: int, body: bytes, kind: str = "a/b") -> None:
    handler.send_response(code)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    """A server on loopback, and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    with serving(S3) as address:
        options = f"scheme=http&endpoint_override={address}&region=us-east-1"
        yield Bucket(f"s3://key:secret@films/shown?{options}")


def test_a_file_of_a_bucket_becomes_an_asset_and_nothing_beside_it(s3: Bucket, tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets

        def ask(name: str, root: str = "films", request_id: str = "") -> Any:
            request = asset_service_pb2.ImportAssetRequest(
                import_root=root, object=name, request_id=request_id
            )
            return stub.ImportAsset(request, metadata=who)

        asset, same = await asyncio.gather(*(ask("day/a.mp4", request_id="one") for _ in range(2)))
        assert asset == same
        assert (asset.size_bytes, asset.display_name) == (len(VIDEO), "a.mp4")
        assert asset.sha256 == hashlib.sha256(VIDEO).digest()
        assert (await ask("day/a.mp4", request_id="one")).name == asset.name
        for name in ("b.mp4", "day", "hidden/b.mp4", "day/a.mp4?versionId=1"):
            assert (await failure(ask(name))).code() in (
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.INVALID_ARGUMENT,
            )
        for name in ("../hidden/b.mp4", "/films/hidden/b.mp4", "day//a.mp4", "empty.mp4"):
            assert (await failure(ask(name))).code() is grpc.StatusCode.INVALID_ARGUMENT, name
        for root in ("s3://films/hidden", "other", ""):
            error = await failure(ask("b.mp4", root))
            assert error.code() is grpc.StatusCode.NOT_FOUND
        # The second one would be above the share, and leaves nothing behind.
        assert (await failure(ask("day/a.mp4"))).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        files = [path for path in (tmp_path / "assets").rglob("*") if path.is_file()]
        assert [path.name for path in files] == [asset.name.partition("/")[2]]

    quotas = Quotas(max_bytes=len(VIDEO) + 10)
    played(tmp_path, test, import_roots={"films": s3}, quotas=quotas)


def test_bytes_are_counted_and_a_copy_that_nobody_waits_for_ends(s3: Bucket, tmp_path: Path):
    target = tmp_path / "copy"
    with pytest.raises(QuotaError):
        copy_in(s3, ["day", "a.mp4"], target, len(VIDEO) - 1, lambda: False)
    with pytest.raises(ServiceError, match="given up"):
        copy_in(s3, ["day", "a.mp4"], target, len(VIDEO), lambda: True)
    assert not target.exists()


def test_a_bucket_that_does_not_answer_is_not_named(tmp_path: Path):
    away = Bucket("s3://key:secret@films/x?scheme=http&endpoint_override=127.0.0.1:9&region=a")
    with pytest.raises(ServiceError) as raised:
        copy_in(away, ["a.mp4"], tmp_path / "copy", 10, lambda: False)
    assert not {"films", "127.0.0.1", "key"} & set(raised.value.message.split())
    assert raised.value.ids["retry_s"]


class Gcs(BaseHTTPRequestHandler):
    """`objects.get` of one bucket with one object, and its media."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if not path.endswith("films/o/shown/a.mp4") and not path.endswith("films/shown/a.mp4"):
            answer(self, 404, b'{"error": {"code": 404, "message": "no such object"}}')
        elif "alt=media" in parts.query or "/o/" not in path:
            answer(self, 200, VIDEO, "application/octet-stream")
        else:
            about = {
                "kind": "storage#object",
                "name": "shown/a.mp4",
                "bucket": "films",
                "size": str(len(VIDEO)),
                "generation": "1",
                "updated": "2026-01-01T00:00:00Z",
            }
            answer(self, 200, json.dumps(about).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def test_a_file_of_google_cloud_storage_is_copied(tmp_path: Path):
    with serving(Gcs) as address:
        bucket = Bucket(
            f"gs://anonymous@films/shown?scheme=http&endpoint_override={address}"
            "&retry_limit_seconds=3"
        )
        made = copy_in(bucket, ["a.mp4"], tmp_path / "copy", len(VIDEO), lambda: False)
        assert made.sha256 == hashlib.sha256(VIDEO).digest()
        assert (tmp_path / "copy").read_bytes() == VIDEO
        with pytest.raises(NotFoundError):
            copy_in(bucket, ["b.mp4"], tmp_path / "none", 10, lambda: False)


@pytest.mark.parametrize(
    "text", ["a", "a=", "=/tmp", "a=/none/here", "a=http://films/x", "a=s3://", "a=file:///etc"]
)
def test_roots_are_folders_or_buckets(text: str):
    with pytest.raises(ConfigError):
        _root(text)


def test_roots_have_names(tmp_path: Path):
    assert _root(f"a={tmp_path}") == ("a", tmp_path.resolve())
    assert _root("b=gs://films/x=y") == ("b", Bucket("gs://films/x=y"))
