"""Depth of a panorama from files and arrays, and what is said of files that hold none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from worldloom.errors import ConfigError, InputError
from worldloom.panorama import DepthSource, distance_from_face_z, pixel_rays

HEIGHT = 32
TRUTH = np.random.default_rng(0).uniform(0.5, 9, (HEIGHT, 2 * HEIGHT)).astype(np.float32)


def read(content: Path | np.ndarray, **options: object) -> np.ndarray:
    return DepthSource(content, **options).read(2 * HEIGHT, HEIGHT)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.npy", "one.npz", "named.npz", "mm.png", "mm.tif", "m.tif"])
def test_every_kind_of_file_gives_the_same_distances(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, TRUTH[..., None])
    elif name == "one.npz":
        np.savez(path, anything=TRUTH)
    elif name == "named.npz":
        np.savez(path, depth=TRUTH, other=TRUTH * 0)
    elif name.startswith("mm"):
        cv2.imwrite(str(path), np.rint(TRUTH * 1000).astype(np.uint16))
    else:
        cv2.imwrite(str(path), TRUTH)
    np.testing.assert_allclose(read(path), TRUTH, atol=0.00051)


def test_scale_is_in_world_units_a_unit_of_the_file() -> None:
    centimetres = np.rint(TRUTH * 100).astype(np.uint16)
    np.testing.assert_allclose(read(centimetres, scale=0.01), TRUTH, atol=0.0051)
    np.testing.assert_allclose(read(TRUTH, scale=2.0), 2 * TRUTH, rtol=1e-6)


def test_depth_of_cube_faces_becomes_distance() -> None:
    """A cube around the centre has depth 2 on all of its faces."""
    distance = read(np.full((HEIGHT, 2 * HEIGHT), 2.0), kind="face-z")
    points = distance[..., None] * pixel_rays(2 * HEIGHT, HEIGHT)
    np.testing.assert_allclose(np.abs(points).max(axis=-1), 2, rtol=1e-6)
    assert distance_from_face_z(np.ones((2, 4))).max() <= np.sqrt(3)


def test_sky_is_zero_or_infinite() -> None:
    depth = TRUTH.copy()
    depth[:5], depth[5:8], depth[8:10] = 0, np.inf, 1e10
    found = read(depth)
    assert not found[:10].any()
    np.testing.assert_array_equal(found[10:], TRUTH[10:])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: np.where(np.arange(d.size).reshape(d.shape) == 7, np.nan, d), "NaN.* 1 pixels"),
        (lambda d: d * 0, "zero or infinite everywhere"),
        (lambda d: d * np.inf, "zero or infinite everywhere"),
        (lambda d: -d, "negative at 2048 pixels"),
        (lambda d: d[::2, ::2], "32x16 pixels, the panorama 64x32"),
        (lambda d: d[:1, :1], "1x1 pixels, the panorama 64x32"),
        (lambda d: np.stack([d, d, d], -1), "one channel"),
        (lambda d: d > 1, "bool, not numbers"),
    ],
)
def test_what_is_no_depth_is_refused_with_the_reason(spoil: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(spoil(TRUTH))  # type: ignore[operator]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "no.npy"
    damaged, eight, two = (tmp_path / name for name in ("bad.npz", "eight.png", "two.npz"))
    damaged.write_bytes(b"no archive")
    cv2.imwrite(str(eight), np.zeros((HEIGHT, 2 * HEIGHT), np.uint8))
    np.savez(two, a=TRUTH, b=TRUTH)
    text = tmp_path / "depth.txt"
    text.write_text("1 2 3")
    exr = tmp_path / "depth.exr"
    exr.write_bytes(b"\x76\x2f\x31\x01")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    for path, said in (
        (missing, "does not exist"),
        (damaged, "cannot be read as an array"),
        (eight, "8 bits a pixel"),
        (two, "the arrays a, b"),
        (text, "no depth that can be read"),
        (exr, "OpenEXR"),
        (broken, "damaged"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            read(path)
        assert caught.value.ids["path"] == str(path)


def test_a_scale_has_to_be_positive() -> None:
    for scale in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="depth_scale"):
            DepthSource(TRUTH, scale=scale)
