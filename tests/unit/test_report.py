"""The report: one page that holds what the manifest knows, and nothing that a name smuggles in."""

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shown import FAILURE, show_folder, textured
from worldloom.errors import ConfigError, ExportError, InputError
from worldloom.export import load_manifest, load_scene
from worldloom.report import ReportConfig, write_report
from worldloom.report._figures import duration_text, label_of, metric_figures, sheets, size_text
from worldloom.report._opening import guides_for
from worldloom.report._packing import packed, quantised, unpacked
from worldloom.scene import Mesh, ReconstructedScene

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "worldloom" / "report" / "page"
QUICK = ReportConfig(turntable_frames=3, turntable_px=48)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


class Page(HTMLParser):
    """The elements of a page, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, str] = {}
        self.words = ""
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self._open and tag == self._open[-1][0]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.words += data
        elif (name := self._open[-1][1].get("id")) is not None:
            self.data[name] = self.data.get(name, "") + data

    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.elements}


def page_of(path: Path) -> Page:
    return Page(path.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scene")


@pytest.fixture(scope="module")
def scene(folder: Path) -> ReconstructedScene:
    return show_folder(folder)


@pytest.fixture(scope="module")
def page(folder: Path, scene: ReconstructedScene) -> Page:
    return page_of(write_report(folder, config=QUICK))


def test_the_page_needs_nothing_but_itself(folder: Path, page: Page):
    places = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data"} and value is not None
    ]
    assert [place for place in places if not place.startswith(("data:", "#"))] == []
    policies = [a["content"] for t, a in page.elements if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; img-src data: blob:;")
    assert "connect-src" not in policies[0]


def test_the_only_script_that_runs_is_ours(folder: Path, page: Page):
    running = [a for t, a in page.elements if t == "script" and "type" not in a]
    assert len(running) == 1
    text = (folder / "report.html").read_text()
    script = text[text.rindex("<script>") + 8 : text.rindex("</script>")]
    assert script == (PAGE / "bundle.js").read_text()
    import base64

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_key_figures_metrics_times_and_views_are_told(page: Page, scene: ReconstructedScene):
    words = re.sub(r"\s+", " ", page.words)
    for text in (
        f"{len(scene.mesh.faces):,}",
        "0.750",
        "27.5 dB",
        "not measured",
        "1 min 13 s",
        "12.5 s",
        "corner/3",
        "80 %",
        "0.75",
        "1 to 6.5",
        "corner.mp4",
        "mesh.glb",
        "sweep.window_px",
        "numpy",
        "three.js authors",
        "OpenCV: x right, y down, z forward",
        "Complete.",
    ):
        assert text in words, text
    assert "/home/someone" not in words
    pictures = [a["src"] for t, a in page.elements if t == "img" and a.get("alt", "") != ""]
    # The preview, and image and depth of four views.
    assert len(pictures) == 9
    assert {"model", "turntable", "views-table", "view-3"} <= page.ids()
    assert "failures" not in page.ids()


def test_the_model_is_the_mesh_and_the_cameras(page: Page, scene: ReconstructedScene):
    about = json.loads(page.data["model-data"])
    assert len(about["cameras"]) == 4
    assert {column["name"] for column in about["mesh"]["layout"]} >= {"x", "r", "first", "third"}
    from worldloom.report._packing import Column, Packed

    layout = tuple(Column(**column) for column in about["mesh"]["layout"])
    columns = unpacked(Packed(layout, page.data["mesh-data"]))
    steps = np.stack([columns[name] for name in "xyz"], axis=-1)
    points = np.array(about["mesh"]["low"]) + about["mesh"]["step"] * steps
    first = columns["first"]
    faces = np.stack([first, first + columns["second"], first + columns["third"]], -1) % 2**32
    corners = points[faces].reshape(-1, 9)
    camera = about["cameras"][2]
    origin = scene.cameras[2].centre_in_world - camera["centre"]
    expected = (scene.mesh.vertices_in_world[scene.mesh.faces] - origin).reshape(-1, 9)
    np.testing.assert_allclose(corners, expected, atol=about["mesh"]["step"])
    np.testing.assert_allclose(camera["forward"], scene.cameras[2].forward_in_world, atol=1e-6)


def test_a_textured_scene_brings_its_pages(tmp_path: Path, scene: ReconstructedScene):
    path = write_report(textured(scene), tmp_path / "page.html", config=QUICK)
    page = page_of(path)
    about = json.loads(page.data["model-data"])
    assert [group["id"] for group in about["mesh"]["pages"]] == ["page-0", "page-1"]
    assert {"page-0", "page-1"} <= page.ids()
    faces = len(scene.mesh.faces) // 2 * 2
    assert sum(group["count"] for group in about["mesh"]["pages"]) == faces
    few = dataclasses.replace(QUICK, max_textured_faces=10)
    plain = page_of(write_report(textured(scene), tmp_path / "plain.html", config=few))
    assert json.loads(plain.data["model-data"])["mesh"]["pages"] == []


def test_the_folder_lists_its_report_and_verifies(folder: Path, page: Page):
    records = {file.path: file for file in load_manifest(folder).files}
    assert records["report.html"].kind == "report"
    load_scene(folder, verify=True)
    write_report(folder, config=dataclasses.replace(QUICK, max_points=10))
    load_scene(folder, verify=True)
    assert [f.path for f in load_manifest(folder).files].count("report.html") == 1


def test_a_report_elsewhere_leaves_the_folder_alone(
    folder: Path, scene: ReconstructedScene, tmp_path: Path
):
    before = (folder / "scene.json").read_bytes()
    path = write_report(folder, tmp_path / "deep" / "page.html", title="My room", config=QUICK)
    assert (folder / "scene.json").read_bytes() == before
    assert "My room" in page_of(path).words


def test_hostile_names_stay_text(tmp_path: Path):
    scene = show_folder(tmp_path)
    manifest = load_manifest(tmp_path)
    hostile = {
        "metadata": {
            **scene.metadata,
            "inputs": [{"path": HOSTILE, "trajectory": HOSTILE, "frames": 1, "used": 1}],
            "warnings": [HOSTILE],
            "failures": [dataclasses.asdict(dataclasses.replace(FAILURE, message=HOSTILE))],
            "views": [
                {"view_id": view.view_id, "name": HOSTILE, "index": 0} for view in manifest.views
            ],
            "metrics": {HOSTILE: 0.5},
            "quality": {"seams": [{HOSTILE: HOSTILE}]},
            "software": {HOSTILE: HOSTILE},
            "parameters": {HOSTILE: HOSTILE},
            "files": [{"path": HOSTILE, "kind": HOSTILE, "bytes": 1, "sha256": HOSTILE}],
        },
        "cameras": dataclasses.replace(scene.cameras, frame_names=(HOSTILE,) * 4),
    }
    path = write_report(dataclasses.replace(scene, **hostile), tmp_path / "page.html", config=QUICK)
    page = page_of(path)
    assert page.words.count("<script>alert(1)</script>") >= 8
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len(scripts) == 4
    assert not [a for _, a in page.elements if "onerror" in a or "onclick" in a]
    assert json.loads(page.data["model-data"])["cameras"][0]["name"] == HOSTILE


def test_a_degraded_scene_says_so_first(tmp_path: Path):
    show_folder(tmp_path, degraded=True, failures=(FAILURE,), warnings=("poses look off",))
    page = page_of(write_report(tmp_path, config=QUICK))
    words = re.sub(r"\s+", " ", page.words)
    assert "Incomplete: 1 work item could not be made" in words
    assert "poses look off" in words
    assert words.index("the disk is full") < words.index("Views")
    assert "Complete." not in words
    # The row of the view that failed says why.
    assert words.count("the disk is full") == 2


def test_without_a_store_the_views_are_listed_without_pictures(
    tmp_path: Path, scene: ReconstructedScene
):
    page = page_of(write_report(scene, tmp_path / "page.html", config=QUICK))
    assert "the artifact store of the run was not at hand" in page.words
    assert not [a for t, a in page.elements if t == "img"]
    assert "view-3" in page.ids()


def test_a_damaged_depth_map_costs_its_pictures_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    show_folder(tmp_path)
    damaged = next((tmp_path / "artifacts" / "check").rglob("depth.npz"))
    damaged.write_bytes(b"PK")
    page = page_of(write_report(tmp_path, config=QUICK))
    assert len([a for t, a in page.elements if (a.get("alt") or "").startswith("Depth of")]) == 3
    assert "has no pictures in the report" in caplog.text


def test_a_scene_of_nothing_but_cameras_is_a_page(tmp_path: Path, scene: ReconstructedScene):
    bare = ReconstructedScene(
        Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), scene.point_cloud, scene.cameras
    )
    page = page_of(write_report(bare, tmp_path / "page.html"))
    assert "model" not in page.ids()
    assert "turntable" not in page.ids()
    assert "view-0" in page.ids()


def test_the_quality_block_is_shown_as_it_comes(tmp_path: Path, scene: ReconstructedScene):
    quality = {
        "texture_quality": 0.625,
        "chunks": [{"chunk_id": 3, "completeness": 0.5, "box": [[0, 0, 0], [1, 1, 1]]}],
        "seams": {"3-4": {"step_m": 0.002, "faces": 12}},
        "notes": "plain text is no table",
    }
    changed = dataclasses.replace(scene, metadata=scene.metadata | {"quality": quality})
    words = re.sub(
        r"\s+", " ", page_of(write_report(changed, tmp_path / "p.html", config=QUICK)).words
    )
    for text in ("0.625", "Quality: Chunks", "Quality: Seams", "3-4", "0.002", "12"):
        assert text in words, text


def test_wrong_sources_are_refused(tmp_path: Path, scene: ReconstructedScene):
    with pytest.raises(InputError, match="holds no finished scene"):
        write_report(tmp_path)
    with pytest.raises(ExportError, match="needs a path"):
        write_report(scene)
    with pytest.raises(ConfigError, match="max_faces is 2"):
        ReportConfig(max_faces=2)


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40),
    st.sampled_from([1, 2, 4]),
)
def test_packed_columns_come_back(values: list[int], width: int):
    wrapped = np.array(values, np.int64) % 2 ** (8 * width)
    columns = {"a": (wrapped, width), "b": (wrapped[::-1], 4)}
    found = unpacked(packed(columns))  # pyright: ignore
    np.testing.assert_array_equal(found["a"], wrapped)
    np.testing.assert_array_equal(found["b"], wrapped[::-1])


def test_quantised_points_are_within_half_a_step():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3)) * [1, 5, 0.1] + 1e6
    found = quantised(points, points.mean(axis=0))
    back = np.array(found.low) + found.step * found.steps + points.mean(axis=0)
    assert np.abs(back - points).max() <= 0.5001 * found.step
    assert found.steps.max() == 65535
    assert quantised(np.ones((2, 3)), np.zeros(3)).steps.max() == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str):
    assert duration_text(seconds) == text


def test_numbers_and_names_for_people():
    assert [size_text(n) for n in (812, 3_565_158, 2**31)] == ["812 B", "3.4 MiB", "2.0 GiB"]
    assert label_of("input_psnr_db") == "Input PSNR"
    assert label_of("pose_residual_px") == "Pose residual"
    (share, level, unknown) = metric_figures(
        {"completeness": 0.5, "x_levels": 7.25, "nothing": None, "text": "no", "flag": True}
    )
    assert (share.share, level.value, unknown.value) == (0.5, "7.25", "not measured")
    assert sheets("", {"a": [], "b": [1, 2], "c": {}}) == ()
    assert [guide.suffix for guide in guides_for(["a.PLY", "b/c.glb", "d.zip"])] == [".glb", ".ply"]


def test_the_script_of_the_page_is_built_from_its_sources():
    """Without npm: what it was built from is noted beside it, digest by digest."""
    stamp = subprocess.run(
        [sys.executable, "-c", "import json, stamp; print(json.dumps(stamp.stamp()))"],
        cwd=ROOT / "deploy" / "page",
        capture_output=True,
        text=True,
        check=True,
    )
    noted = json.loads((PAGE / "bundle.json").read_text())
    assert json.loads(stamp.stdout) == noted, "run deploy/page/build.sh"
    bundle = (PAGE / "bundle.js").read_text()
    assert "</script" not in bundle.lower()
    assert "SPDX-License-Identifier: MIT" in bundle
    assert f'"{noted["three"].split(".")[1]}"' in bundle
    assert len(bundle) < 700_000
    assert (PAGE / "three.LICENSE.txt").read_text().startswith("The MIT License")
