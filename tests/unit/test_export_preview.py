"""The contact sheet: every row where it belongs, whatever the views look like."""

import numpy as np
import pytest

from worldloom.errors import ExportError
from worldloom.export import PreviewView, contact_sheet, pick_views
from worldloom.render import MeshRenderer
from worldloom.scene import DepthMap, Mesh
from worldloom.synthetic import SceneSpec, SyntheticScene, build_scene


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return build_scene(SceneSpec(layout="corner", frames=2, width_px=64, height_px=48))


def preview_view(scene: SyntheticScene, index: int, known: bool = True) -> PreviewView:
    view = scene.frame(index)
    depth = view.depth * np.float32(known)
    depth_map = DepthMap(index, view.camera, depth, np.ones_like(depth), view.normal_in_world)
    return PreviewView(f"corner/{index:04d}", view.image, depth_map)


def test_rows_show_input_depth_result_and_surface(scene: SyntheticScene) -> None:
    views = [preview_view(scene, 0), preview_view(scene, 1)]
    sheet = contact_sheet(views, MeshRenderer(scene.mesh), "Title", "2 views")
    assert sheet.dtype == np.uint8
    cell = np.s_[:, 178:478]
    tops = [118 + row * 235 for row in range(4)]
    rows = [sheet[top : top + 225][cell].astype(float) for top in tops]
    truth = views[0].image.mean(axis=(0, 1))
    assert rows[0].mean(axis=(0, 1)) == pytest.approx(truth, abs=6)
    assert rows[2].mean(axis=(0, 1)) == pytest.approx(truth, abs=25)
    clay = rows[3].reshape(-1, 3)
    assert np.abs(clay[:, 0] - clay[:, 2]).max() < 25, "the surface row has no colour"
    assert len(np.unique(rows[1].reshape(-1, 3), axis=0)) > 50
    assert sheet[20:60, 28:120].max() > 200, "the title is written"
    again = contact_sheet(views, MeshRenderer(scene.mesh), "Title", "2 views")
    np.testing.assert_array_equal(sheet, again)


def test_a_failed_view_an_empty_mesh_and_a_long_name_still_give_a_sheet(
    scene: SyntheticScene,
) -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    view = preview_view(scene, 0, known=False)
    tall = PreviewView("a very long name " * 9, np.zeros((400, 50, 3), np.uint8), view.depth_map)
    sheet = contact_sheet([view, tall], MeshRenderer(empty), "t", "s")
    assert sheet.shape[1] == 2 * 28 + 150 + 2 * 310 - 10


def test_no_views_is_an_error(scene: SyntheticScene) -> None:
    with pytest.raises(ExportError, match="at least one view"):
        contact_sheet([], MeshRenderer(scene.mesh), "t", "s")


@pytest.mark.parametrize(
    ("count", "columns", "expected"), [(48, 4, (6, 18, 30, 42)), (2, 5, (0, 1)), (0, 5, ())]
)
def test_views_are_picked_evenly(count: int, columns: int, expected: tuple[int, ...]) -> None:
    assert pick_views(count, columns) == expected
