"""Which shards of a memory a camera may see, without asking each of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from worldloom.cameras import Camera
from worldloom.memory._shards import FusedShard


class ShardIndex:
    """A tree of boxes over the shards of one memory.

    Shards ascend along the Morton order, so neighbours in it are near in space: each level joins
    the boxes of the level below two by two. A question costs the shards found times the depth of
    the tree.

    Args:
        shards: Of one memory; empty ones are left out, and their order does not matter.
    """

    def __init__(self, shards: Sequence[FusedShard]) -> None:
        kept = sorted((shard for shard in shards if shard.cells), key=lambda one: one.first_key)
        self.shards = tuple(kept)
        boxes = np.array([shard.box_in_world() for shard in kept], np.float64).reshape(-1, 2, 3)
        self._levels = [boxes]
        while len(boxes) > 1:
            pairs = np.arange(0, len(boxes), 2)
            boxes = np.stack(
                [np.minimum.reduceat(boxes[:, 0], pairs), np.maximum.reduceat(boxes[:, 1], pairs)],
                axis=1,
            )
            self._levels.append(boxes)

    def in_view(self, camera: Camera, near_m: float, far_m: float) -> tuple[FusedShard, ...]:
        """Returns the shards that may hold cells between two depths of a camera's frustum.

        Conservative: a shard is left out only if one plane of the frustum has all of it outside.
        """
        planes = _frustum_planes(camera, near_m, far_m)
        nodes = np.zeros(1, np.intp)
        for boxes in reversed(self._levels):
            nodes = nodes[nodes < len(boxes)]
            nodes = nodes[_meets(planes, boxes[nodes])]
            nodes = np.stack([2 * nodes, 2 * nodes + 1], axis=1).ravel()
        nodes = nodes[::2] // 2
        return tuple(self.shards[node] for node in nodes.tolist())


def shards_in_view(
    shards: Sequence[FusedShard], camera: Camera, near_m: float, far_m: float
) -> tuple[FusedShard, ...]:
    """Returns what `ShardIndex.in_view` does; for several views make one index."""
    return ShardIndex(shards).in_view(camera, near_m, far_m)


def _frustum_planes(camera: Camera, near_m: float, far_m: float) -> Float64[np.ndarray, "6 4"]:
    """Planes (normal | offset) in the world; points inside are on the positive side of all."""
    lens = camera.intrinsics
    left, top = -lens.cx / lens.fx, -lens.cy / lens.fy
    right, bottom = (lens.width_px - lens.cx) / lens.fx, (lens.height_px - lens.cy) / lens.fy
    inward = np.array(
        [
            [1, 0, -left, 0],
            [-1, 0, right, 0],
            [0, 1, -top, 0],
            [0, -1, bottom, 0],
            [0, 0, 1, -near_m],
            [0, 0, -1, far_m],
        ],
        np.float64,
    )
    return inward @ camera.cam_from_world


def _meets(
    planes: Float64[np.ndarray, "6 4"], boxes: Float64[np.ndarray, "n 2 3"]
) -> Bool[np.ndarray, "n"]:
    """True where no plane has all of a box outside."""
    lower, upper = boxes[:, None, 0], boxes[:, None, 1]
    furthest = np.where(planes[:, :3] > 0, upper, lower)
    return np.asarray(((planes[:, :3] * furthest).sum(axis=2) + planes[:, 3] >= 0).all(axis=1))
