"""The viewer in a browser: no complaint, the scene drawn, layers, measuring, a running job."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import Opened, painted_share, pixels
from tests.corner import corner_frames
from tests.shown import SPEC, put_view, show_folder, surface_splats
from worldloom.bench import Bench, BenchConfig
from worldloom.synthetic import build_scene
from worldloom.viewer import Viewer, ViewerConfig

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(100),
    # Sockets that a server closes with its loop are found by the collector later.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
QUICK = ViewerConfig(poll_s=0.2, image_px=48)


@contextmanager
def serving(folder: Path, *, live: bool = False) -> Iterator[Viewer]:
    viewer = Viewer(folder, port=18_080, live=live, config=QUICK)
    thread = threading.Thread(target=viewer.run)
    thread.start()
    try:
        yield viewer
    finally:
        viewer.stop()
        thread.join(10)
    assert not thread.is_alive()


def visit(opened: Opened, viewer: Viewer) -> None:
    opened.page.goto(f"http://127.0.0.1:{viewer.port}")
    opened.page.get_by_text("Worldloom").first.wait_for(timeout=20_000)


def canvas(opened: Opened) -> np.ndarray:
    box = opened.page.locator("canvas").first.bounding_box()
    assert box is not None
    return pixels(opened.page.locator("canvas").first)[:, : round(0.6 * box["width"])]


def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.2)


def switch(opened: Opened, label: str) -> None:
    opened.page.get_by_label(label, exact=True).click()


def test_a_scene_is_shown_and_its_layers_switch(opened: Opened, folder: Path):
    with serving(folder) as viewer:
        visit(opened, viewer)
        until(lambda: painted_share(canvas(opened)) > 0.05)
        assert opened.complaints == []
        elsewhere = [u for u in opened.requests if "127.0.0.1" not in u and u.startswith("http")]
        assert elsewhere == []
        for name in ("Points", "Memory shards", "Chunks", "Seams", "Bare surface", "Wireframe"):
            before = canvas(opened)
            switch(opened, name)
            until(lambda before=before: np.abs(canvas(opened) - before).mean() > 0.02)
            switch(opened, name)
        opened.page.get_by_role("button", name="Go there").click()
        until(lambda: painted_share(canvas(opened)) > 0.5)
        assert opened.page.locator("img[alt=Depth]").count() == 1
        with opened.page.expect_download(timeout=30_000) as download:
            opened.page.get_by_role("button", name="Save picture").click()
        assert download.value.suggested_filename == "worldloom.png"
        assert opened.complaints == []


def test_splats_are_drawn(opened: Opened, tmp_path: Path):
    splats = surface_splats(build_scene(SPEC).mesh)
    show_folder(tmp_path / "scene", splats)
    with serving(tmp_path / "scene") as viewer:
        visit(opened, viewer)
        until(lambda: painted_share(canvas(opened)) > 0.05)
        switch(opened, "Mesh")
        until(lambda: painted_share(canvas(opened)) < 0.05)
        switch(opened, "Splats")
        until(lambda: painted_share(canvas(opened)) > 0.1)
        # viser 1.1 keeps its Gaussians in a texture, so that three finds no positions to bound.
        assert [text for text in opened.complaints if "computeBoundingSphere" not in text] == []


def test_two_clicks_measure_a_distance(opened: Opened, folder: Path):
    with serving(folder) as viewer:
        visit(opened, viewer)
        until(lambda: painted_share(canvas(opened)) > 0.05)
        opened.page.get_by_role("button", name="Go there").click()
        until(lambda: painted_share(canvas(opened)) > 0.5)
        switch(opened, "Two clicks")
        opened.page.get_by_text("Click the first place.").wait_for()
        for x, y, told in ((250, 300, "Click the second place."), (420, 420, "Distance:")):
            # Two clicks at once would be a double click, on a browser that draws slowly.
            opened.page.wait_for_timeout(3000)
            opened.page.mouse.click(x, y)
            opened.page.get_by_text(told).wait_for(timeout=10_000)
        text = opened.page.get_by_text("Distance:").inner_text()
        assert 0.05 < float(text.split()[1]) < 10


def test_a_running_job_appears_as_it_goes(opened: Opened, tmp_path: Path):
    complete = tmp_path / "complete"
    show_folder(complete)
    running = tmp_path / "running"
    running.mkdir()
    with serving(running, live=True) as viewer:
        visit(opened, viewer)
        opened.page.get_by_text("Waiting for the first depth map").wait_for(timeout=20_000)
        # The store comes to be, then a depth map that is not whole, then its result.
        bench = Bench(BenchConfig(str(running.resolve() / "artifacts")))
        frames, depths = corner_frames(bench, SPEC)
        result = put_view(bench, frames[0], depths[0])
        time.sleep(1.0)
        assert opened.page.get_by_text("Depth of 1 views").count() == 0
        bench.store.commit(result.depth.artifact, result)
        opened.page.get_by_text("Depth of 1 views").wait_for(timeout=20_000)
        until(lambda: painted_share(canvas(opened)) > 0.01)
        assert not viewer.is_whole
        for path in complete.iterdir():
            if path.is_file() and path.name != "scene.json":
                (running / path.name).write_bytes(path.read_bytes())
        (complete / "scene.json").rename(running / "scene.json")
        until(lambda: viewer.is_whole)
        opened.page.get_by_text("4 views").wait_for(timeout=20_000)
        until(lambda: painted_share(canvas(opened)) > 0.05)
        assert opened.complaints == []
