"""The product `Splats`."""

from dataclasses import replace

import numpy as np
import pytest

from worldloom.errors import InputError
from worldloom.scene import Splats


def some_splats(n: int = 4, degree: int = 1) -> Splats:
    rng = np.random.default_rng(n)
    turns = rng.normal(size=(n, 4)).astype(np.float32)
    return Splats(
        rng.normal(size=(n, 3)).astype(np.float32),
        rng.uniform(0.1, 1, (n, 3)).astype(np.float32),
        turns / np.linalg.norm(turns, axis=1, keepdims=True),
        rng.uniform(0, 1, n).astype(np.float32),
        rng.normal(size=(n, (degree + 1) ** 2, 3)).astype(np.float32),
    )


def test_some_of_the_splats() -> None:
    splats = some_splats(5, degree=2)
    few = splats.select(np.array([True, False, True, False, False]))
    assert (len(splats), len(few), splats.sh_degree, few.sh_degree) == (5, 2, 2, 2)
    np.testing.assert_array_equal(few.means_in_world, splats.means_in_world[[0, 2]])
    np.testing.assert_array_equal(splats.select(np.array([3, 1])).sh, splats.sh[[3, 1]])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sh", np.zeros((4, 5, 3), np.float32), "k 1, 4, 9 or 16"),
        ("opacities", np.full(4, 1.5, np.float32), "from 0 to 1"),
        ("scales_m", np.zeros((4, 3), np.float32), "above 0"),
        ("rotations", np.ones((4, 4), np.float32), "unit quaternions"),
        ("means_in_world", np.full((4, 3), np.nan, np.float32), "finite"),
    ],
)
def test_what_no_gaussian_has_is_refused(field: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(some_splats(), **{field: value})
