from pathlib import Path

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.errors import StoreError
from worldloom.scene import DepthRef, Frame
from worldloom.store import ArtifactKey

KEY = ArtifactKey("frame/ab/abcd")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path), cache_mib=8))


def _frame(*, has_mask: bool = False) -> Frame:
    intrinsics = CameraIntrinsics(10.0, 10.0, 4.0, 3.0, 8, 6)
    return Frame(0, "a/0", "a", 0, Camera(intrinsics, np.eye(4)), KEY, has_mask)


def _put_png(bench: Bench, name: str, image: np.ndarray) -> None:
    bench.store.write(KEY, name, cv2.imencode(".png", image)[1].tobytes())


def test_numeric_libraries_use_one_thread(bench: Bench):
    assert cv2.getNumThreads() == 1
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert blas
    assert set(blas) == {1}


def test_images_are_rgb_and_area_averaged(bench: Bench):
    rgb = np.zeros((6, 8, 3), np.uint8)
    rgb[..., 0] = 200
    rgb[:, ::2, 2] = 100
    _put_png(bench, "image.png", rgb[..., ::-1])
    np.testing.assert_array_equal(bench.image(_frame(), 8, 6), rgb)
    half = bench.image(_frame(), 4, 3)
    np.testing.assert_array_equal(half, np.broadcast_to(np.uint8([200, 0, 50]), (3, 4, 3)))
    assert not half.flags.writeable
    assert bench.image(_frame(), 4, 3) is half


def test_a_pixel_holds_data_only_if_all_of_it_does(bench: Bench):
    mask = np.full((6, 8), 255, np.uint8)
    mask[0, 0] = 0
    mask[5, 7] = 128
    _put_png(bench, "mask.png", mask)
    np.testing.assert_array_equal(bench.mask(_frame(has_mask=True), 8, 6), mask == 255)
    expected = np.ones((3, 4), bool)
    expected[0, 0] = expected[2, 3] = False
    np.testing.assert_array_equal(bench.mask(_frame(has_mask=True), 4, 3), expected)


def test_without_a_mask_everything_is_data(bench: Bench):
    assert bench.mask(_frame(), 4, 3).all()
    assert bench.mask(_frame(), 4, 3).shape == (3, 4)


def test_arrays_come_back_and_are_cached(bench: Bench):
    bench.write_arrays(KEY, "x.npz", b=np.arange(3), a=np.float32([[1, np.nan]]))
    arrays = bench.arrays(KEY, "x.npz")
    assert list(arrays) == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], np.float32([[1, np.nan]]))
    assert bench.arrays(KEY, "x.npz")["b"] is arrays["b"]
    assert bench.cache.hits == 1


def test_equal_arrays_are_equal_bytes(bench: Bench):
    other = ArtifactKey("frame/ab/efgh")
    for key in (KEY, other):
        bench.write_arrays(key, "x.npz", a=np.arange(3), b=np.ones(2, np.float32))
    assert bench.store.read(KEY, "x.npz").equals(bench.store.read(other, "x.npz"))


def test_depth_maps_come_back(bench: Bench):
    fields = {
        "depth": np.float32([[1, 0], [2, 3]]),
        "confidence": np.float32([[1, 0], [0.5, 1]]),
        "normal_in_world": np.zeros((2, 2, 3), np.float32),
    }
    bench.write_arrays(KEY, "depth.npz", **fields)
    depth = bench.depth_map(DepthRef(_frame(), KEY, 2, 2))
    assert depth.view_id == 0
    assert (depth.camera.intrinsics.width_px, depth.camera.intrinsics.height_px) == (2, 2)
    for name, value in fields.items():
        np.testing.assert_array_equal(getattr(depth, name), value)


@pytest.mark.parametrize("damage", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_damaged_arrays_are_a_store_error(damage: bytes, bench: Bench):
    bench.store.write(KEY, "x.npz", damage)
    with pytest.raises(StoreError, match=r"x\.npz .* is damaged .*delete that folder") as caught:
        bench.arrays(KEY, "x.npz")
    assert caught.value.ids["key"] == KEY


def test_truncated_arrays_are_a_store_error(bench: Bench):
    bench.write_arrays(KEY, "x.npz", a=np.arange(1000))
    whole = bench.store.read(KEY, "x.npz").to_pybytes()
    bench.store.write(KEY, "x.npz", whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"):
        bench.arrays(KEY, "x.npz")


@pytest.mark.parametrize("damage", [b"", b"not an image"])
def test_a_damaged_image_is_a_store_error(damage: bytes, bench: Bench):
    bench.store.write(KEY, "image.png", damage)
    with pytest.raises(StoreError, match=r"image\.png .* is damaged"):
        bench.image(_frame(), 8, 6)


def test_a_missing_image_is_a_store_error(bench: Bench):
    with pytest.raises(StoreError, match=r"cannot read image\.png"):
        bench.image(_frame(), 8, 6)
