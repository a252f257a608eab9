"""Any bytes are read or refused by name: no other exception, no crash, no hang, no flood."""

import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import wronged, wronged_json
from tests.hostile_readers import (
    READERS,
    Specimen,
    colmap_points,
    json_of,
    models,
    pictures,
    trajectories,
    videos,
)
from tests.slips import dies, floods, hangs, slips
from tests.victim import Outcome, Victim

EXAMPLES = int(os.environ.get("WORLDLOOM_FUZZ_EXAMPLES", "40"))
"""Each kind of file gets as many; `poe fuzz-files` tries more."""
MOST_CPU_S = 5.0

QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not os.environ.get("WORLDLOOM_FUZZ_EXAMPLES"),
)


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim(READERS)
    yield victim
    victim.close()


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Specimen]]:
    folder = tmp_path_factory.mktemp("specimens")
    return {
        "trajectory": trajectories(folder),
        "picture": pictures(folder),
        "video": videos(folder),
        "model": models(folder),
        "points": colmap_points(),
    }


def check(outcome: Outcome) -> None:
    assert outcome.expected, outcome
    assert outcome.cpu_s < MOST_CPU_S, outcome


KINDS = [
    *(("trajectory", name) for name in ("worldstereo", "worldstereo-panorama", "worldmirror")),
    *(("trajectory", name) for name in ("transforms", "colmap-binary", "colmap-text")),
    *(("trajectory", name) for name in ("opencv", "opencv-yaml", "tum")),
    *(("picture", name) for name in ("png", "png-16", "png-alpha", "png-palette", "jpg")),
    *(("picture", name) for name in ("webp", "bmp", "tif", "tif-lzw")),
    *(("video", name) for name in ("mp4", "webm", "mkv", "mov")),
    *(("model", name) for name in ("mesh.ply", "cloud.ply", "depth.npy", "depth.npz")),
    *(("model", name) for name in ("depth.png", "depth.tif")),
    *(("points", name) for name in ("binary", "text")),
]


def test_every_specimen_is_listed_and_can_be_read(
    specimens: dict[str, dict[str, Specimen]], victim: Victim
):
    listed = [(group, name) for group, named in specimens.items() for name in named]
    assert sorted(listed) == sorted(KINDS)
    for group, name in KINDS:
        specimen = specimens[group][name]
        outcome = victim.read(specimen.reader, specimen.entry, specimen.files)
        assert outcome.error is None, (group, name, outcome)


def test_the_victim_tells_of_crash_hang_and_flood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.victim.PATIENCE_S", 3.0)
    victim = Victim({"dies": dies, "hangs": hangs, "floods": floods, "slips": slips})
    try:
        assert victim.read("dies", "a", {"a": b""}).error == "died"
        assert victim.read("hangs", "a", {"a": b""}).error == "hangs"
        flooded = victim.read("floods", "a", {"a": b""})
        assert (flooded.error, flooded.expected) == ("MemoryError", False)
        slipped = victim.read("slips", "a", {"a": b""})
        assert (slipped.error, slipped.expected) == ("KeyError", False)
    finally:
        victim.close()


@pytest.mark.parametrize(("group", "name"), KINDS)
@pytest.mark.timeout(0)
def test_a_file_made_wrong_is_read_or_refused(
    group: str, name: str, specimens: dict[str, dict[str, Specimen]], victim: Victim
):
    specimen = specimens[group][name]
    names = sorted(specimen.files)

    @QUIET
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        hit = data.draw(st.sampled_from(names))
        changed = data.draw(wronged(specimen.files[hit], text=specimen.text))
        files = specimen.files | {hit: changed}
        check(victim.read(specimen.reader, specimen.entry, files))

    attack()


@pytest.mark.parametrize("name", [n for g, n in KINDS if g == "trajectory"][:4])
def test_json_with_other_values_is_read_or_refused(
    name: str, specimens: dict[str, dict[str, Specimen]], victim: Victim
):
    specimen = specimens["trajectory"][name]
    document = json_of(specimen)

    @QUIET
    @given(wronged_json(document))
    def attack(changed: object) -> None:
        content = json.dumps(changed).encode()
        for reader in ("trajectory", "poses"):
            check(victim.read(reader, specimen.entry, {specimen.entry: content}))

    attack()


@pytest.mark.parametrize(
    ("reader", "entry"),
    [
        ("trajectory", "camera.json"),
        ("trajectory", "a.txt"),
        ("trajectory", "a.xml"),
        ("video", "a.mp4"),
        ("picture", "a.png"),
        ("mesh", "a.ply"),
        ("depth", "a.npz"),
    ],
)
def test_any_bytes_are_read_or_refused(reader: str, entry: str, victim: Victim):
    @QUIET
    @given(st.binary(max_size=300))
    def attack(content: bytes) -> None:
        check(victim.read(reader, entry, {entry: content}))

    attack()
