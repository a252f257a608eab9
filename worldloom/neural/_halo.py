"""Blocks that touch others."""

from itertools import product

import numpy as np
from jaxtyping import Int64

from worldloom.lattice import cells_from_keys, keys_from_cells


def neighbours(keys: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "m"]:
    """Returns the keys of blocks and of all that touch them, ascending."""
    steps = np.array(list(product((-1, 0, 1), repeat=3)))
    cells = (cells_from_keys(keys)[:, None] + steps).reshape(-1, 3)
    return np.unique(keys_from_cells(cells))
