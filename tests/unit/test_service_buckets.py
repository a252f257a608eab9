"""Imports from object stores: S3 by moto on loopback, and what is read of the API of GCS."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import grpc
import pytest
from moto.server import ThreadedMotoServer

from cluster.cli._serve import _root
from cluster.gateway.config import Quotas
from cluster.gateway.imports import Bucket, copy_in
from cluster.rpc import asset_service_pb2
from tests.calls import failure, played, stubs
from tests.gateway import Running
from worldloom.errors import ConfigError, NotFoundError, QuotaError, ServiceError

VIDEO = bytes(range(256)) * 9000


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client: Any = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="films")
    client.put_object(Bucket="films", Key="shown/day/a.mp4", Body=VIDEO)
    client.put_object(Bucket="films", Key="shown/empty.mp4", Body=b"")
    client.put_object(Bucket="films", Key="hidden/b.mp4", Body=b"hidden")
    options = f"scheme=http&endpoint_override={host}:{port}&region=us-east-1"
    yield Bucket(f"s3://key:secret@films/shown?{options}")
    server.stop()


def test_a_file_of_a_bucket_becomes_an_asset_and_nothing_beside_it(s3: Bucket, tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets

        def ask(name: str, root: str = "films", request_id: str = "") -> Any:
            request = asset_service_pb2.ImportAssetRequest(
                import_root=root, object=name, request_id=request_id
            )
            return stub.ImportAsset(request, metadata=who)

        asset = await ask("day/a.mp4", request_id="one")
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
            self.answer(404, b'{"error": {"code": 404, "message": "no such object"}}')
        elif "alt=media" in parts.query or "/o/" not in path:
            self.answer(200, VIDEO, "application/octet-stream")
        else:
            about = {
                "kind": "storage#object",
                "name": "shown/a.mp4",
                "bucket": "films",
                "size": str(len(VIDEO)),
                "generation": "1",
                "updated": "2026-01-01T00:00:00Z",
            }
            self.answer(200, json.dumps(about).encode())

    def answer(self, code: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


def test_a_file_of_google_cloud_storage_is_copied(tmp_path: Path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gcs)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    bucket = Bucket(
        f"gs://anonymous@films/shown?scheme=http&endpoint_override=127.0.0.1:{port}"
        "&retry_limit_seconds=3"
    )
    try:
        made = copy_in(bucket, ["a.mp4"], tmp_path / "copy", len(VIDEO), lambda: False)
        assert made.sha256 == hashlib.sha256(VIDEO).digest()
        assert (tmp_path / "copy").read_bytes() == VIDEO
        with pytest.raises(NotFoundError):
            copy_in(bucket, ["b.mp4"], tmp_path / "none", 10, lambda: False)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "text", ["a", "a=", "=/tmp", "a=/none/here", "a=http://films/x", "a=s3://", "a=file:///etc"]
)
def test_roots_are_folders_or_buckets(text: str):
    with pytest.raises(ConfigError):
        _root(text)


def test_roots_have_names(tmp_path: Path):
    assert _root(f"a={tmp_path}") == ("a", tmp_path.resolve())
    assert _root("b=gs://films/x=y") == ("b", Bucket("gs://films/x=y"))
