"""Algebra of exports: vertices split by texture coordinates, turns between axes, text and back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signpost import signpost
from worldloom.export import Axis, export_mesh
from worldloom.export._axes import Placement, turn
from worldloom.export._model import Model, Skin, origin
from worldloom.export._pages import Page
from worldloom.export._text import decimals
from worldloom.scene import Mesh


def skinned(seed: int, vertices: int, faces: int, pages: int, places: int) -> Model:
    """Random faces whose corners share few places in the texture, or many."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, places, (faces, 3, 2)) / np.float32(places)
    # Both zeros that floats have, which are one place.
    grid = np.where((grid == 0) & (rng.random(grid.shape) < 0.5), np.float32(-0.0), grid)
    skin = Skin(
        grid.astype(np.float32),
        rng.integers(0, pages, faces).astype(np.int32),
        tuple(Page(1001 + k, {}) for k in range(pages)),
    )
    mesh = Mesh(
        rng.normal(size=(vertices, 3)), rng.integers(0, vertices, (faces, 3)).astype(np.int32)
    )
    return Model(mesh, skin, Placement(np.eye(3)), signpost().cameras)


@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 5),
)
@settings(max_examples=150)
def test_parts_hold_every_corner_and_no_vertex_twice(
    seed: int, vertices: int, faces: int, pages: int, places: int
) -> None:
    model = skinned(seed, vertices, faces, pages, places)
    assert model.skin is not None
    used = np.unique(model.skin.page)
    assert [part.page.tile - 1001 for part in model.parts if part.page] == used.tolist()
    for part, number in zip(model.parts, used, strict=True):
        own = model.skin.page == number
        assert part.uv is not None
        np.testing.assert_array_equal(part.vertex[part.faces], model.mesh.faces[own])
        np.testing.assert_array_equal(part.uv[part.faces], model.skin.uv[own] + np.float32(0))
        rows = np.column_stack([part.vertex, part.uv])
        assert len(np.unique(rows, axis=0)) == len(rows)
        assert set(part.faces.ravel().tolist()) == set(range(len(rows)))


@pytest.mark.parametrize("to", ["y", "z"])
@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z"])
def test_turns_are_rotations_that_raise_up(up: Axis, to: str) -> None:
    rotation = turn(up, "y" if to == "y" else "z")
    direction = np.zeros(3)
    direction["xyz".index(up[-1])] = -1 if up.startswith("-") else 1
    assert (rotation @ direction).tolist() == np.eye(3)["xyz".index(to)].tolist()
    np.testing.assert_array_equal(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == 1
    # Order and sign of coordinates change, and nothing else.
    assert np.abs(rotation).sum() == 3
    if up == to:
        np.testing.assert_array_equal(rotation, np.eye(3))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_single_precision_below_an_origin_keeps_a_hundred_thousandth(
    place: float, extent: float, seed: int
) -> None:
    points = place + extent * np.random.default_rng(seed).random((20, 3))
    moved = origin(points)
    kept = (points - moved).astype(np.float32).astype(np.float64) + moved
    size = np.linalg.norm(np.ptp(points, axis=0))
    # The double itself is coarser where a speck lies far away.
    assert np.abs(kept - points).max() <= 1e-5 * size + np.spacing(np.abs(points).max())


@given(st.floats(-1e7, 1e7), st.floats(1e-3, 1e5), st.integers(0, 1000))
def test_text_keeps_1e8_of_the_extent(place: float, extent: float, seed: int) -> None:
    points = place + extent * np.random.default_rng(seed).random((20, 3))
    written = np.array([[f"{value:.{decimals(points)}f}" for value in row] for row in points])
    size = np.linalg.norm(np.ptp(points, axis=0))
    assert np.abs(written.astype(float) - points).max() <= 1e-8 * size


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(1, 60))
@settings(max_examples=25)
def test_gltf_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, seed: int, vertices: int, faces: int
) -> None:
    rng = np.random.default_rng(seed)
    mesh = Mesh(
        rng.normal(size=(vertices, 3)),
        rng.integers(0, vertices, (faces, 3)).astype(np.int32),
        rng.integers(0, 256, (vertices, 3)).astype(np.uint8),
    )
    scene = dataclasses.replace(signpost(textured=False), mesh=mesh)
    path = export_mesh(scene, tmp_path_factory.mktemp("gltf") / "a.gltf", axes="world")
    document, data = json.loads(path.read_text()), Path(path.with_suffix(".bin")).read_bytes()
    primitive = document["meshes"][0]["primitives"][0]

    def values(index: int, kind: str, width: int) -> np.ndarray:
        entry = document["accessors"][index]
        start = document["bufferViews"][entry["bufferView"]]["byteOffset"]
        return np.frombuffer(data, kind, entry["count"] * width, start).reshape(-1, width)

    positions = values(primitive["attributes"]["POSITION"], "<f4", 3)
    np.testing.assert_array_equal(positions, mesh.vertices_in_world.astype(np.float32))
    np.testing.assert_array_equal(values(primitive["indices"], "<u4", 1).reshape(-1, 3), mesh.faces)
    low, high = (
        document["accessors"][primitive["attributes"]["POSITION"]][name] for name in ("min", "max")
    )
    assert (low, high) == (positions.min(axis=0).tolist(), positions.max(axis=0).tolist())
    linear = values(primitive["attributes"]["COLOR_0"], "<u2", 4) / 65535
    curved = np.where(
        linear <= 0.0031308,
        linear * 12.92,
        1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
    )
    np.testing.assert_array_equal(np.rint(curved[:, :3] * 255), mesh.colors)
