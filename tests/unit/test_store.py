import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from worldloom.errors import StoreError
from worldloom.store import RESULT_FILE, ArtifactKey, Store, artifact_key


@dataclass(frozen=True)
class Result:
    n: int


KEY = artifact_key("stage", 1, {"n": 1})


def _files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_key_names_stage_version_and_work():
    assert KEY.startswith("stage/")
    _, prefix, name = KEY.split("/")
    assert len(name) == 64
    assert name.startswith(prefix)
    assert artifact_key("stage", 1, {"n": 1}) == KEY
    others = [("stage", 2, {"n": 1}), ("other", 1, {"n": 1}), ("stage", 1, {"n": 2})]
    assert len({KEY, *(artifact_key(*other) for other in others)}) == 4


def test_an_artifact_is_whole_once_its_result_is_there(tmp_path: Path):
    store = Store(str(tmp_path / "deep" / "store"))
    store.write(KEY, "data.bin", b"12345")
    assert store.result(KEY, Result) is None
    assert not store.holds(KEY, RESULT_FILE)
    store.commit(KEY, Result(7))
    assert store.result(KEY, Result) == Result(7)
    assert store.read(KEY, "data.bin").to_pybytes() == b"12345"
    assert _files(tmp_path) == ["data.bin", RESULT_FILE]


@pytest.mark.parametrize("damage", [b"", b'{"n":', b'{"m": 1}', b"\x00\xff", b'{"n": "x"}'])
def test_a_damaged_result_counts_as_not_finished(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = Store(str(tmp_path))
    store.commit(KEY, Result(7))
    (tmp_path / KEY / RESULT_FILE).write_bytes(damage)
    assert store.result(KEY, Result) is None
    assert "damaged" in caplog.text
    store.commit(KEY, Result(7))
    assert store.result(KEY, Result) == Result(7)


def test_leftovers_of_killed_writers_are_harmless(tmp_path: Path):
    store = Store(str(tmp_path))
    folder = tmp_path / KEY
    folder.mkdir(parents=True)
    (folder / f"{RESULT_FILE}.0123.tmp").write_bytes(b'{"n":')
    (folder / "data.bin.4567.tmp").write_bytes(b"12")
    assert store.result(KEY, Result) is None
    store.write(KEY, "data.bin", b"12345")
    store.commit(KEY, Result(1))
    assert store.result(KEY, Result) == Result(1)
    assert store.read(KEY, "data.bin").to_pybytes() == b"12345"


def test_removing_is_idempotent(tmp_path: Path):
    store = Store(str(tmp_path))
    store.remove(KEY)
    store.commit(KEY, Result(1))
    store.remove(KEY)
    assert store.result(KEY, Result) is None


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(StoreError, match=r"data\.bin") as caught:
        Store(str(tmp_path)).read(KEY, "data.bin")
    assert caught.value.ids == {"key": KEY, "uri": str(tmp_path)}


@pytest.mark.parametrize("uri", ["relative/path", "nowhere://x/y", ""])
def test_a_root_that_cannot_be_opened_is_named(uri: str):
    with pytest.raises(StoreError, match="cannot open the store") as caught:
        Store(uri)
    assert caught.value.ids["uri"] == uri


def test_a_file_in_the_way_of_the_root_is_named(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot open the store"):
        Store(str(tmp_path / "file"))


def test_a_file_in_the_way_of_an_artifact_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    (tmp_path / "stage").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        store.commit(KEY, Result(1))


def test_a_full_disk_is_a_store_error_and_leaves_nothing(tmp_path: Path):
    """The limit on the size of files stands for the disk: a write past it fails half-way."""
    script = (
        "import resource, signal, sys\n"
        "from worldloom.errors import StoreError\n"
        "from worldloom.store import ArtifactKey, Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = Store(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "key = ArtifactKey('stage/ab/abcd')\n"
        "try:\n"
        "    store.write(key, 'data.bin', b'x' * 100_000)\n"
        "except StoreError as error:\n"
        "    assert error.ids['key'] == key\n"
        "    print(error)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "cannot write data.bin" in run.stdout
    assert "free space" in run.stdout
    assert _files(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder in which this process may not write; the super-user steps down for it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.rmdir()


def test_a_folder_without_permission_is_a_store_error(foreign_folder: Path):
    store = Store(str(foreign_folder))
    with pytest.raises(StoreError, match=r"cannot write .*denied") as caught:
        store.commit(KEY, Result(1))
    assert caught.value.ids == {"key": KEY, "uri": str(foreign_folder)}
    with pytest.raises(StoreError, match="cannot open the store"):
        Store(str(foreign_folder / "below"))


def test_two_processes_that_write_the_same_artifact_leave_it_whole(tmp_path: Path):
    """A reader looks on meanwhile: it never sees a part of a file."""
    script = (
        "import sys\n"
        "from worldloom.store import ArtifactKey, Store\n"
        "store = Store(sys.argv[1])\n"
        "for _ in range(150):\n"
        f"    store.write(ArtifactKey({KEY!r}), 'data.bin', bytes(range(256)) * 4000)\n"
        f"    store.commit(ArtifactKey({KEY!r}), {{'n': 5}})\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    writers = [subprocess.Popen(command) for _ in range(2)]
    store = Store(str(tmp_path))
    expected = bytes(range(256)) * 4000
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if store.result(KEY, Result) is not None:
            assert store.result(KEY, Result) == Result(5)
            assert store.read(KEY, "data.bin").equals(pa.py_buffer(expected))
            seen += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen > 0
    assert _files(tmp_path) == ["data.bin", RESULT_FILE]


def test_file_uris_are_folders(tmp_path: Path):
    Store(f"file://{tmp_path}").commit(ArtifactKey("stage/ab/abc"), Result(3))
    assert Store(str(tmp_path)).result(ArtifactKey("stage/ab/abc"), Result) == Result(3)
