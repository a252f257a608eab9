"""Files past the page cache, and the processes that compute their digests."""

import errno
import fcntl
import hashlib
import io
import itertools
import json
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.gateway import checker, direct
from cluster.gateway.digests import Digests
from worldloom.errors import ServiceError

_BLOCK = 4096


def _random(count: int) -> bytes:
    return np.random.default_rng(count).bytes(count)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 3 * _BLOCK), min_size=1, max_size=8),
    st.integers(0, 2),
    st.randoms(use_true_random=False),
)
def test_parts_of_any_size_in_any_order_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], blocks: int, order: random.Random
):
    data = _random(sum(sizes) + blocks * _BLOCK)
    cuts = [0, *np.cumsum([blocks * _BLOCK, *sizes]).tolist()]
    spans = [(a, b) for a, b in itertools.pairwise(cuts) if b > a]
    order.shuffle(spans)
    path = tmp_path_factory.mktemp("direct") / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        for start, end in spans:
            direct.write_at(fd, memoryview(data)[start:end], start)
        assert b"".join(bytes(piece) for piece in direct.pieces(fd)) == data
    finally:
        os.close(fd)
    assert path.read_bytes() == data


def test_more_than_the_stage_holds_and_an_end_within_a_block(tmp_path: Path):
    data = _random(9 * (1 << 20) + 123)
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        direct.write_at(fd, memoryview(data), 0)
        assert b"".join(bytes(piece) for piece in direct.pieces(fd)) == data
    finally:
        os.close(fd)
    assert path.read_bytes() == data


@pytest.mark.parametrize("where", ["flag", "write"])
def test_a_disk_that_takes_nothing_past_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    pwrite = os.pwrite

    def refuse(fd: int, data: bytes, offset: int) -> int:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "unaligned")
        return pwrite(fd, data, offset)

    if where == "flag":
        monkeypatch.setattr(direct, "_set_direct", lambda fd, wanted: False)  # pyright: ignore
    else:
        monkeypatch.setattr(os, "pwrite", refuse)
    data = _random(3 * _BLOCK + 5)
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        direct.write_at(fd, memoryview(data), 0)
    finally:
        os.close(fd)
    assert path.read_bytes() == data


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="full"):
            direct.write_at(fd, memoryview(bytes(2 * _BLOCK)), 0)
    finally:
        os.close(fd)


def test_a_thread_that_gets_no_time_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checker, "_PATIENCE_S", 0.01)
    path, data = tmp_path / "file", _random(9 << 20)
    path.write_bytes(data)
    right = hashlib.sha256(data).digest()
    ended = threading.Event()
    with ThreadPoolExecutor(1) as starved:
        starved.submit(ended.wait)
        assert checker.sha256_of(path, starved) == right
        ended.set()
    slow = checker.pieces

    def dawdling(fd: int) -> object:
        for n, piece in enumerate(slow(fd)):
            if n == 1 and threading.current_thread() is not threading.main_thread():
                # It sleeps within the second piece, until the other one has lost its patience.
                threading.Event().wait(0.3)
            yield piece

    monkeypatch.setattr(checker, "pieces", dawdling)
    monkeypatch.setattr(checker, "_LEAST_BYTES_PER_S", 1e9)
    with ThreadPoolExecutor(1) as idle:
        assert checker.sha256_of(path, idle) == right
    assert checker.sha256_of(path) == right


def test_the_checker_answers_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    name = tmp_path / "a line\nand another"
    name.write_bytes(b"content")
    asked = b"".join(json.dumps(str(path)).encode() + b"\n" for path in (name, tmp_path / "none"))
    answers = io.BytesIO()
    checker.serve(io.BytesIO(asked), answers)
    assert answers.getvalue().decode().split("\n") == [
        hashlib.sha256(b"content").hexdigest(),
        "",
        "",
    ]
    assert "No such file" in capsys.readouterr().err


def test_digests_of_several_threads_and_of_a_process_that_was_ended(tmp_path: Path):
    paths = [tmp_path / str(n) for n in range(6)]
    for n, path in enumerate(paths):
        path.write_bytes(_random(100_000 + n))
    digests = Digests(2)
    try:
        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(digests.sha256, paths))
        assert found == [hashlib.sha256(path.read_bytes()).digest() for path in paths]
        with pytest.raises(ServiceError, match="could not be checked"):
            digests.sha256(tmp_path / "none")
        children = [digests._places.get() for _ in range(2)]  # pyright: ignore[reportPrivateUsage]
        for child in children:
            if child is not None:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
            digests._places.put(child)  # pyright: ignore[reportPrivateUsage]
        assert digests.sha256(paths[0]) == found[0]
        assert digests.sha256(paths[1]) == found[1]
    finally:
        digests.close()
