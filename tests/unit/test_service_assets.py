"""Files of callers over gRPC."""

import fcntl
import hashlib
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2 as details_pb2

from cluster.gateway.disk import make_draft, settle, write_part
from cluster.rpc import (
    asset_service_pb2,
)
from tests.calls import details, failure, played, stubs
from tests.gateway import Running, part
from worldloom.errors import PreconditionError


def test_an_upload_goes_on_out_of_order_and_refuses_what_is_not_right(tmp_path: Path):
    data = bytes(range(256)) * 40

    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets
        start = asset_service_pb2.StartUploadRequest(
            display_name="a.mp4", size_bytes=len(data), request_id="r1"
        )
        upload = await stub.StartUpload(start, metadata=who)
        assert (await stub.StartUpload(start, metadata=who)).name == upload.name
        start.size_bytes += 1
        error = await failure(stub.StartUpload(start, metadata=who))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        await stub.UploadPart(part(upload.name, 4096, data[4096:8192]), metadata=who)
        broken = part(upload.name, 0, data[:4096])
        broken.crc32c ^= 1
        assert (await failure(stub.UploadPart(broken, metadata=who))).code() is (
            grpc.StatusCode.DATA_LOSS
        )
        for offset in (-1, len(data), len(data) - 4095):
            bad = part(upload.name, offset, data[:4096])
            error = await failure(stub.UploadPart(bad, metadata=who))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            fields = details(error, details_pb2.BadRequest).field_violations
            assert [item.field for item in fields] == ["offset_bytes"]
        commit = asset_service_pb2.CommitUploadRequest(
            name=upload.name, sha256=hashlib.sha256(data).digest()
        )
        error = await failure(stub.CommitUpload(commit, metadata=who))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        query = asset_service_pb2.GetUploadRequest(name=upload.name)
        spans = (await stub.GetUpload(query, metadata=who)).received
        assert [(span.start_bytes, span.end_bytes) for span in spans] == [(4096, 8192)]
        await stub.UploadPart(part(upload.name, 8192, data[8192:]), metadata=who)
        answer = await stub.UploadPart(part(upload.name, 0, data[:5000]), metadata=who)
        assert answer.received_bytes == len(data)
        commit.sha256 = bytes(32)
        error = await failure(stub.CommitUpload(commit, metadata=who))
        assert error.code() is grpc.StatusCode.DATA_LOSS
        assert not (await stub.GetUpload(query, metadata=who)).received
        await stub.UploadPart(part(upload.name, 0, data), metadata=who)
        commit.sha256 = hashlib.sha256(data).digest()
        asset = await stub.CommitUpload(commit, metadata=who)
        assert await stub.CommitUpload(commit, metadata=who) == asset
        ask = asset_service_pb2.DownloadAssetRequest(name=asset.name, offset_bytes=100)
        pieces = [piece async for piece in stub.DownloadAsset(ask, metadata=who)]
        assert b"".join(piece.data for piece in pieces) == data[100:]
        # Of another caller nothing is to be seen.
        bob = gateway.token("bob")
        for call in (
            stub.GetUpload(query, metadata=bob),
            stub.GetAsset(asset_service_pb2.GetAssetRequest(name=asset.name), metadata=bob),
            stub.UploadPart(part(upload.name, 0, data), metadata=bob),
        ):
            assert (await failure(call)).code() is grpc.StatusCode.NOT_FOUND
        found = await stub.ListAssets(asset_service_pb2.ListAssetsRequest(), metadata=bob)
        assert not found.assets

    played(tmp_path, test)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".ssh", "a\\b", "a\n", "x" * 201, "a:b"])
def test_a_file_name_is_a_name_and_no_path(tmp_path: Path, name: str):
    async def test(gateway: Running) -> None:
        request = asset_service_pb2.StartUploadRequest(display_name=name, size_bytes=1)
        call = stubs(gateway).assets.StartUpload(request, metadata=gateway.token())
        error = await failure(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error, details_pb2.BadRequest).field_violations[0].field == "display_name"

    played(tmp_path, test)


def test_imports_come_from_below_a_named_folder_alone(tmp_path: Path):
    allowed = tmp_path / "allowed"
    (allowed / "sub").mkdir(parents=True)
    (allowed / "sub" / "a.mp4").write_bytes(b"video")
    (tmp_path / "secret").write_bytes(b"secret")
    (allowed / "link").symlink_to(tmp_path / "secret")
    (allowed / "away").symlink_to(tmp_path)

    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway).assets

        def ask(root: str, name: str) -> Any:
            request = asset_service_pb2.ImportAssetRequest(import_root=root, object=name)
            return stub.ImportAsset(request, metadata=who)

        asset = await ask("films", "sub/a.mp4")
        assert asset.sha256 == hashlib.sha256(b"video").digest()
        for name in ("link", "away/secret", "sub", "none", "sub/none"):
            assert (await failure(ask("films", name))).code() is grpc.StatusCode.NOT_FOUND, name
        for name in ("../secret", "/etc/passwd", "sub//a.mp4", "", ".", "a\0b"):
            error = await failure(ask("films", name))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, name
        assert (await failure(ask("/etc", "passwd"))).code() is grpc.StatusCode.NOT_FOUND

    played(tmp_path / "data", test, import_roots={"films": allowed})


def test_nothing_is_written_into_a_file_that_is_being_committed(tmp_path: Path):
    draft, target, data = tmp_path / "draft", tmp_path / "xy" / "asset", b"right" * 100
    right = hashlib.sha256(data).digest()
    make_draft(draft)
    write_part(draft, 0, memoryview(data), google_crc32c.value(data))
    with draft.open("rb") as other:
        # Another gateway writes a part.
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(PreconditionError):
            settle(draft, target, right)
    with draft.open("rb") as other:
        # Another gateway commits.
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PreconditionError):
            write_part(draft, 0, b"wrong", google_crc32c.value(b"wrong"))
    assert not settle(draft, target, bytes(32))
    assert settle(draft, target, right)
    with pytest.raises(PreconditionError):
        write_part(draft, 0, b"wrong", google_crc32c.value(b"wrong"))
    assert not draft.exists()
    # A commit that was cut off before its entry in the table goes on.
    assert settle(draft, target, right)
    assert not settle(draft, target, bytes(32))
    assert target.read_bytes() == data


def test_parts_that_race_with_a_commit_never_reach_the_asset(tmp_path: Path):
    right, wrong = bytes(1 << 16), b"x" * (1 << 16)
    sha256 = hashlib.sha256(right).digest()
    committed = threading.Event()

    def spoil(draft: Path) -> None:
        while not committed.is_set():
            with suppress(PreconditionError):
                write_part(draft, 0, wrong, google_crc32c.value(wrong))
                write_part(draft, 0, right, google_crc32c.value(right))
            # A commit has to find a moment in which nobody writes.
            time.sleep(0.01)

    for n in range(20):
        draft, target = tmp_path / f"draft{n}", tmp_path / f"asset{n}"
        make_draft(draft)
        committed.clear()
        writers = [threading.Thread(target=spoil, args=(draft,)) for _ in range(2)]
        for writer in writers:
            writer.start()
        done, end_s = False, time.monotonic() + 20
        while not done and time.monotonic() < end_s:
            with suppress(PreconditionError):
                done = settle(draft, target, sha256)
        committed.set()
        for writer in writers:
            writer.join()
        assert done
        assert target.read_bytes() == right
        assert not draft.exists()
