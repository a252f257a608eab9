"""Union of memories is a semilattice, to the last bit, whatever the views hold."""

import functools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.analytic import camera_at
from worldloom.memory import GeometricMemory, unite, write_fused, write_rows
from worldloom.scene import DepthMap

CELL_M = 0.3


@functools.cache
def view(view_id: int) -> GeometricMemory:
    rng = np.random.default_rng(view_id)
    position = rng.uniform(-1, 1, 3)
    camera = camera_at(tuple(position), (0.0, 0.0, 0.1), width_px=12, height_px=9, focal_px=9.0)
    depth = rng.uniform(0.5, 1.5, (9, 12)) * (rng.random((9, 12)) < 0.8)
    normal = rng.normal(size=(9, 12, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    depth_map = DepthMap(
        view_id,
        camera,
        depth.astype(np.float32),
        rng.random((9, 12)).astype(np.float32),
        normal.astype(np.float32),
    )
    colors = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return GeometricMemory.from_depth(depth_map, colors, CELL_M)


def content(memory: GeometricMemory) -> tuple[bytes, bytes]:
    rows = write_rows(memory.cell_m, [memory]).to_pybytes()
    return rows, write_fused(memory.fused()).to_pybytes()


def memory_of(views: list[int]) -> GeometricMemory:
    return unite([GeometricMemory.empty(CELL_M), *map(view, views)])


some_views = st.lists(st.integers(0, 12), max_size=5)


@given(some_views, some_views)
def test_commutative(views_a: list[int], views_b: list[int]):
    a, b = memory_of(views_a), memory_of(views_b)
    assert content(a.union(b)) == content(b.union(a))


@given(some_views, some_views, some_views)
def test_associative(views_a: list[int], views_b: list[int], views_c: list[int]):
    a, b, c = memory_of(views_a), memory_of(views_b), memory_of(views_c)
    wanted = content(a.union(b, c))
    assert content(a.union(b).union(c)) == wanted
    assert content(a.union(b.union(c))) == wanted


@given(some_views)
def test_idempotent(views: list[int]):
    a = memory_of(views)
    assert content(a.union(a)) == content(a)
    assert content(a.union(GeometricMemory.empty(CELL_M))) == content(a)


@given(st.permutations(range(6)))
def test_any_order_of_views(order: list[int]):
    assert content(unite([view(i) for i in order])) == content(unite([view(i) for i in range(6)]))
