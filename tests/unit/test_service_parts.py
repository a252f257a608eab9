"""The parts of the service that need no wire."""

import asyncio
import io
import itertools
import json
import logging
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldloom.errors
from cluster.gateway.config import GatewayConfig
from cluster.gateway.core import open_core
from cluster.gateway.database import Database, sqlite_url
from cluster.gateway.identifiers import new_id, page_request, page_token
from cluster.gateway.launcher import LaunchState
from cluster.gateway.local_processes import LocalProcesses
from cluster.gateway.queue import Waiting, next_jobs
from cluster.gateway.records import Span
from cluster.gateway.redaction import RedactingFormatter
from cluster.gateway.server import Face
from cluster.gateway.spans import merged, missing
from cluster.gateway.status import CODES, error_of, public_text, reason_of, status_of
from cluster.gateway.tokens import Tokens
from cluster.worker.archive import unpack
from cluster.worker.confinement import Claim, holder_of, start_ticks
from cluster.worker.events import EventWriter, read_events
from cluster.worker.task import EVENTS_FILE, Bounds, JobKind, RenderSpec, Task, save_task
from worldloom.errors import (
    ConfigError,
    CredentialError,
    InputError,
    LimitError,
    StoreError,
    WorldloomError,
)
from worldloom.stage import Progress

SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: Span(pair[0], sum(pair))),
    max_size=12,
)


@given(SPANS)
def test_spans_are_merged_to_the_same_bytes_without_touching(spans: list[Span]):
    union = merged(spans)
    assert {b for s in union for b in range(s.start, s.end)} == {
        b for s in spans for b in range(s.start, s.end)
    }
    assert all(a.end < b.start for a, b in itertools.pairwise(union))


@given(SPANS, st.integers(1, 90))
def test_what_is_missing_is_the_rest(spans: list[Span], size: int):
    gaps = missing(spans, size)
    there = {b for s in spans for b in range(s.start, s.end)}
    assert {b for s in gaps for b in range(s.start, s.end)} == set(range(size)) - there


WAITING = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=20).map(
    lambda pairs: [Waiting(f"{n:03}", who, prio) for n, (who, prio) in enumerate(pairs)]
)


@given(WAITING, st.lists(st.sampled_from("abc"), max_size=6), st.integers(0, 8))
def test_nobody_gets_two_places_more_than_another_who_waits(
    waiting: list[Waiting], running: list[str], slots: int
):
    chosen = next_jobs(waiting, running, slots)
    assert len(chosen) == min(slots, len(waiting))
    owner = {job.job_id: job.principal for job in waiting}
    busy = {who: running.count(who) for who in "abc"}
    left = set(owner)
    for job_id in chosen:
        others = {owner[other] for other in left}
        assert busy[owner[job_id]] == min(busy[who] for who in others)
        busy[owner[job_id]] += 1
        left.remove(job_id)


def test_priority_is_the_order_among_the_jobs_of_one_caller():
    waiting = [Waiting("1", "a", 1), Waiting("2", "a", 3), Waiting("3", "a", 2)]
    assert next_jobs(waiting, [], 3) == ("2", "3", "1")


def test_ids_sort_by_time_and_page_tokens_come_back():
    ids = [new_id(1_700_000_000 + n) for n in range(50)]
    assert ids == sorted(ids)
    assert page_request(0, page_token(ids[3])).before_id == ids[3]
    for token in ("x", page_token("../../etc"), "é"):
        with pytest.raises(ConfigError):
            page_request(1, token)


def test_every_error_has_its_code_and_survives_the_wire():
    leaves = [
        kind
        for kind in vars(worldloom.errors).values()
        if isinstance(kind, type) and issubclass(kind, WorldloomError)
    ]
    assert set(leaves) <= set(CODES)
    reasons = {reason_of(kind.__name__) for kind in leaves}
    assert len(reasons) == len(leaves)
    for kind in leaves:
        error = kind("frame 3 is broken; encode it again", frame=3, field="a.b")
        status = status_of(error)
        assert status.code == CODES[kind].value[0]
        again = error_of(status)
        assert type(again) is kind
        assert again.message == error.message
        assert again.ids["frame"] == "3"


def test_messages_leave_folders_of_the_machine_out():
    text = "/srv/data/jobs/01ab/inputs/0/media/a.mp4: no frame; see https://x.org/a/b and 3/4"
    assert public_text(text) == "a.mp4: no frame; see https://x.org/a/b and 3/4"
    assert len(public_text("x" * 5000)) == 1000


def test_the_log_holds_no_secret():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(message)s"))
    secret = "s" * 43
    record = logging.LogRecord(
        "a", 30, "a.py", 1, "wl_%s_%s and Bearer abc.def, postgresql://u:pw@h/db",
        ("0" * 16, secret), None,
    )  # fmt: skip
    handler.emit(record)
    assert secret not in stream.getvalue()
    assert "abc.def" not in stream.getvalue()
    assert ":pw@" not in stream.getvalue()
    assert f"wl_{'0' * 16}_..." in stream.getvalue()


def zipped(path: Path, entries: dict[str, bytes], **change: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = change.get("mode", 0) << 16
            archive.writestr(info, data)
    return path


def test_a_plain_archive_is_unpacked(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"scene/camera.json": b"{}", "scene/images/1.png": b"png"})
    folder = unpack(path, tmp_path / "out", Bounds())
    assert folder == tmp_path / "out" / "scene"
    assert (folder / "images" / "1.png").read_bytes() == b"png"


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "..\\a", "C:a", "/".join("a" * 30)])
def test_an_archive_cannot_write_outside(tmp_path: Path, name: str):
    path = zipped(tmp_path / "a.zip", {name: b"x"})
    with pytest.raises(InputError):
        unpack(path, tmp_path / "out", Bounds())
    assert not (tmp_path / "out").exists()


def test_an_archive_holds_no_links(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"link": b"/etc/passwd"}, mode=0o120777)
    with pytest.raises(InputError):
        unpack(path, tmp_path / "out", Bounds())


@pytest.mark.parametrize(
    ("entries", "bounds"),
    [
        ({"bomb": bytes(50_000_000)}, Bounds()),
        ({f"{n}": b"x" for n in range(11)}, Bounds(max_archive_entries=10)),
        ({"a": os.urandom(2 << 20)}, Bounds(max_archive_mib=1)),
    ],
)
def test_an_archive_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, entries: dict[str, bytes], bounds: Bounds
):
    path = zipped(tmp_path / "a.zip", entries)
    with pytest.raises(LimitError):
        unpack(path, tmp_path / "out", bounds)
    assert not (tmp_path / "out").exists()


def test_events_come_back_whole_and_once_whatever_was_cut(tmp_path: Path):
    now = [0.0]
    writer = EventWriter(tmp_path, clock=lambda: now[0])
    for done in range(5):
        writer(Progress("depth", done, 4, 0, 0))
        now[0] += 1.0
    first = read_events(tmp_path, 0)
    assert [event.progress.done for event in first.events if event.progress] == [0, 1, 2, 3, 4]
    assert first.events[2].progress is not None
    assert first.events[2].progress.remaining_s == pytest.approx(2.0)
    with (tmp_path / EVENTS_FILE).open("ab") as stream:
        stream.write(b'{"time_s": 1, "warn')
    assert read_events(tmp_path, first.offset).events == ()
    writer.close()
    again = EventWriter(tmp_path, clock=lambda: now[0])
    again.emit(logging.LogRecord("worldloom", 30, "a.py", 1, "a warning", (), None))
    again.emit(logging.LogRecord("worldloom", 30, "a.py", 1, "a warning", (), None))
    again.close()
    rest = read_events(tmp_path, first.offset)
    assert [event.warning for event in rest.events] == ["a warning"]
    assert read_events(tmp_path, rest.offset).events == ()


def test_a_claim_is_held_by_one_process_and_ends_with_it(tmp_path: Path):
    assert holder_of(tmp_path) is None
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cluster.worker.confinement import Claim\n"
        "claim = Claim(Path(sys.argv[1])); print(claim.take(), flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        holder = holder_of(tmp_path)
        assert holder is not None
        assert (holder.pid, holder.start_ticks) == (child.pid, start_ticks(child.pid))
        assert not Claim(tmp_path).take()
    finally:
        child.kill()
        child.communicate()
    assert holder_of(tmp_path) is None
    assert Claim(tmp_path).take()


def test_a_process_outlives_its_launcher_is_found_again_and_stopped(tmp_path: Path):
    def folder_of(launch_id: str) -> Path:
        return tmp_path / launch_id

    (tmp_path / "a").mkdir()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cluster.worker.confinement import Claim\n"
        "Claim(Path(sys.argv[1])).take() or sys.exit(75)\n"
        "Path(sys.argv[1], 'up').touch(); time.sleep(60)\n"
    )
    first = LocalProcesses(folder_of)
    command = ("python", "-c", code, str(tmp_path / "a"))
    first.submit(command, "a", {"PYTHONPATH": os.pathsep.join(sys.path)}, {})
    while not (tmp_path / "a" / "up").exists():
        assert first.status("a") is LaunchState.RUNNING, first.logs("a")
        time.sleep(0.05)
    holder = holder_of(tmp_path / "a")
    assert holder is not None
    second = LocalProcesses(folder_of)
    assert second.status("a") is LaunchState.RUNNING
    # A second start finds the first.
    second.submit(command, "a", {}, {})
    assert holder_of(tmp_path / "a") == holder
    second.stop("a")
    while first.status("a") is LaunchState.RUNNING:
        time.sleep(0.05)
    assert second.status("a") is LaunchState.STOPPED
    assert second.status("a") is LaunchState.UNKNOWN


def test_a_job_above_its_memory_or_time_ends_and_says_so(tmp_path: Path):
    code = (
        "import sys, time; from cluster.worker.confinement import confine\n"
        "from cluster.worker.task import Bounds\n"
        "confine(Bounds(memory_mib=2000, duration_s=float(sys.argv[1])))\n"
        "try:\n    bytearray(4 << 30)\nexcept MemoryError:\n    print('refused', flush=True)\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "0.5"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("refused\n", 124), done.stderr


def test_the_process_of_a_job_leaves_its_error_as_its_outcome(tmp_path: Path):
    task = Task("a", JobKind.RENDER_VIEWS, str(tmp_path / "none"), render=RenderSpec())
    save_task(task, tmp_path)
    command = [sys.executable, "-m", "cluster.worker", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stderr
    outcome = json.loads((tmp_path / "result.json").read_text())
    assert outcome["error"]["kind"] == "InputError"


def test_a_token_is_kept_as_a_digest_and_known_until_it_ends(tmp_path: Path):
    path = tmp_path / "a.db"
    now = [1000.0]
    database = Database(sqlite_url(path))
    tokens = Tokens(database, clock=lambda: now[0])
    token = tokens.create("alice", lifetime_s=100.0)
    assert asyncio.run(tokens.principal(token)).name == "alice"
    secret = token.split("_", 2)[2]
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret.encode() not in files
    now[0] += 101.0
    with pytest.raises(CredentialError):
        asyncio.run(tokens.principal(token))
    with pytest.raises(ConfigError):
        tokens.create("No Name")
    database.close()


def test_a_second_gateway_on_one_folder_is_refused(tmp_path: Path):
    config = GatewayConfig(tmp_path)
    core = open_core(config, lambda folders: LocalProcesses(folders.job))
    try:
        with pytest.raises(StoreError, match="another gateway"):
            open_core(config, lambda folders: LocalProcesses(folders.job))
    finally:
        core.disk.close()
        core.database.close()


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1"])
def test_no_gateway_listens_beyond_loopback_in_the_clear_by_accident(address: str):
    with pytest.raises(ConfigError, match="tls-cert"):
        Face(address)
    with pytest.raises(ConfigError, match="no-auth"):
        Face(address, plaintext=True, auth=False)
    assert Face(address, plaintext=True).is_exposed
    assert not Face("127.0.0.1:1", auth=False).is_exposed
