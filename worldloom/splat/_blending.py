"""Kernels: projected Gaussians blended front to back in tiles, and the gradients back.

A tile is 8 pixels wide, as many as a vector register has lanes: the innermost loops have a fixed
length and no branch. Each pair of a Gaussian and a tile has a slot of its own for gradients, and
the slots of a Gaussian are summed in the order of its tiles: there is no atomic sum, so the result
does not depend on threads. Thresholds are gsplat's: alpha is at most 0.999 and at least 1/255, and
a ray ends before its transmittance falls to 1e-4.
"""

import numba
import numpy as np

TILE_PX = 8
SLOPES = 10
"""Gradients of a projected Gaussian: of its first ten columns, see `project`."""
_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)
_MIN_ALPHA, _MAX_ALPHA = np.float32(1 / 255), np.float32(0.999)
_MIN_TRANSMITTANCE = np.float32(1e-4)
_FAST = {"contract", "nsz", "reassoc", "arcp"}
# exp(-8 t) by the Chebyshev polynomial of exp(-t) on [0, 0.75], to the eighth power: relative error
# 2e-6, and nothing but products and sums, so it runs in lanes.
_EIGHTH, _FURTHEST = np.float32(0.125), np.float32(6)
_E0, _E1, _E2 = np.float32(0.99999991), np.float32(-0.9999917), np.float32(0.49986902)
_E3, _E4, _E5 = np.float32(-0.16590583), np.float32(0.03964097), np.float32(-0.00576105)


@numba.njit(cache=True, nogil=True)
def order_by_depth(depth: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the Gaussians that are seen by depth, then by number: a radix sort."""
    count = 0
    for n in range(len(depth)):
        count += boxes[n, 2] > 0
    keys, ids = np.empty(count, np.uint32), np.empty(count, np.int32)
    bits = depth.view(np.uint32)
    count = 0
    for n in range(len(depth)):
        if boxes[n, 2] > 0:
            keys[count], ids[count] = bits[n], n
            count += 1
    other_keys, other_ids = np.empty_like(keys), np.empty_like(ids)
    starts = np.empty(2048, np.int64)
    for shift in (0, 11, 22):
        starts[:] = 0
        for i in range(count):
            starts[(keys[i] >> shift) & 2047] += 1
        total = 0
        for digit in range(2048):
            size = starts[digit]
            starts[digit] = total
            total += size
        for i in range(count):
            digit = (keys[i] >> shift) & 2047
            other_keys[starts[digit]], other_ids[starts[digit]] = keys[i], ids[i]
            starts[digit] += 1
        keys, other_keys = other_keys, keys
        ids, other_ids = other_ids, ids
    return ids


@numba.njit(cache=True, nogil=True)
def sort_into_tiles(
    order: np.ndarray, boxes: np.ndarray, columns: int, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lists the Gaussians of each tile, front to back.

    Returns:
        `starts` [tiles + 1] and `ids`: those of tile t are `ids[starts[t]:starts[t + 1]]`.
        `slot_starts` [n + 1] and `slots`: where in `ids` Gaussian i stands are
        `slots[slot_starts[i]:slot_starts[i + 1]]`, by tile.
    """
    counts = np.zeros(columns * rows + 1, np.int64)
    slot_starts = np.zeros(len(boxes) + 1, np.int64)
    for i in range(len(order)):
        box = boxes[order[i]]
        x0, x1 = box[0] // TILE_PX, (box[2] - 1) // TILE_PX + 1
        y0, y1 = box[1] // TILE_PX, (box[3] - 1) // TILE_PX + 1
        slot_starts[order[i] + 1] = (x1 - x0) * (y1 - y0)
        for y in range(y0, y1):
            for x in range(x0, x1):
                counts[y * columns + x + 1] += 1
    starts, slot_starts = np.cumsum(counts), np.cumsum(slot_starts)
    ids, slots = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int64)
    free = starts[:-1].copy()
    for i in range(len(order)):
        box = boxes[order[i]]
        slot = slot_starts[order[i]]
        for y in range(box[1] // TILE_PX, (box[3] - 1) // TILE_PX + 1):
            for x in range(box[0] // TILE_PX, (box[2] - 1) // TILE_PX + 1):
                tile = y * columns + x
                ids[free[tile]], slots[slot] = order[i], free[tile]
                free[tile] += 1
                slot += 1
    return starts, ids, slot_starts, slots


@numba.njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def blend(
    first: int,
    step: int,
    projected: np.ndarray,
    boxes: np.ndarray,
    starts: np.ndarray,
    ids: np.ndarray,
    columns: int,
    image: np.ndarray,
    remaining: np.ndarray,
    last: np.ndarray,
) -> None:
    """Blends every `step`-th tile.

    Writes `image` [h w 5] (r, g, b, depth, depth squared; sums of weight times value), `remaining`
    [h w] (the transmittance) and `last` [h w] (1 + number in the tile's list of the last seen).
    """
    height, width = remaining.shape
    # Of each row: r, g, b, depth, light, whether the ray goes on, last seen, place, depth squared;
    # by lane.
    rows = np.empty((8, 9, 8), np.float32)
    for tile in range(first, len(starts) - 1, step):
        left, top = (tile % columns) * TILE_PX, (tile // columns) * TILE_PX
        rows[:] = _ZERO
        rows[:, 4:6] = _ONE
        for x in range(8):
            rows[:, 7, x] = np.float32(left + x) + _HALF
        for slot in range(starts[tile], starts[tile + 1]):
            if (slot - starts[tile]) % 16 == 15 and not rows[:, 5].any():
                break
            n = ids[slot]
            number = np.float32(slot - starts[tile] + 1)
            g = projected[n]
            mx, my, opacity = g[0], g[1], g[5]
            a, b, c = _HALF * g[2], g[3], _HALF * g[4]
            r_, g_, b_, z_ = g[6], g[7], g[8], g[9]
            zz = z_ * z_
            for y in range(max(boxes[n, 1] - top, 0), min(boxes[n, 3] - top, 8)):
                dy = np.float32(top + y) + _HALF - my
                across, base = b * dy, c * dy * dy
                row = rows[y]
                for x in range(8):
                    dx = row[7, x] - mx
                    s = (a * dx + across) * dx + base
                    s = s if s > _ZERO else _ZERO
                    t = (s if s < _FURTHEST else _FURTHEST) * _EIGHTH
                    e = _E0 + t * (_E1 + t * (_E2 + t * (_E3 + t * (_E4 + t * _E5))))
                    e = e * e
                    e = e * e
                    alpha = opacity * (e * e)
                    alpha = alpha if alpha < _MAX_ALPHA else _MAX_ALPHA
                    alpha = (alpha if alpha >= _MIN_ALPHA else _ZERO) * row[5, x]
                    light = row[4, x]
                    after = light * (_ONE - alpha)
                    goes_on = after > _MIN_TRANSMITTANCE
                    weight = alpha * light if goes_on else _ZERO
                    row[0, x] += weight * r_
                    row[1, x] += weight * g_
                    row[2, x] += weight * b_
                    row[3, x] += weight * z_
                    row[8, x] += weight * zz
                    row[4, x] = after if goes_on else light
                    row[5, x] = row[5, x] if goes_on else _ZERO
                    row[6, x] = number if weight > _ZERO else row[6, x]
        for y in range(min(8, height - top)):
            for x in range(min(8, width - left)):
                for channel in range(4):
                    image[top + y, left + x, channel] = rows[y, channel, x]
                image[top + y, left + x, 4] = rows[y, 8, x]
                remaining[top + y, left + x] = rows[y, 4, x]
                last[top + y, left + x] = np.int32(rows[y, 6, x])


@numba.njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def blend_back(  # noqa: C901, a kernel is one loop nest
    first: int,
    step: int,
    projected: np.ndarray,
    boxes: np.ndarray,
    starts: np.ndarray,
    ids: np.ndarray,
    columns: int,
    remaining: np.ndarray,
    last: np.ndarray,
    image_slope: np.ndarray,
    alpha_slope: np.ndarray,
    slot_slopes: np.ndarray,
) -> None:
    """Carries gradients of `image` [h w 5] and of alpha = 1 - `remaining` [h w] back, tile by tile.

    Writes `slot_slopes` [slots 10], one row a pair of tile and Gaussian.
    """
    height, width = remaining.shape
    # Of each row: gradients by r, g, b, depth; light, value behind, last seen, place; then what it
    # adds to the ten sums of a Gaussian; then the gradient by depth squared; by lane. All in one
    # array, so that the compiler sees that nothing overlaps, and uses the lanes.
    rows, sums = np.empty((8, 19, 8), np.float32), np.empty(80, np.float32)
    flat = rows.reshape(8, 152)
    for tile in range(first, len(starts) - 1, step):
        left, top = (tile % columns) * TILE_PX, (tile // columns) * TILE_PX
        rows[:] = _ZERO
        rows[:, 4] = _ONE
        for x in range(8):
            rows[:, 7, x] = np.float32(left + x) + _HALF
        furthest = 0
        for y in range(min(8, height - top)):
            for x in range(min(8, width - left)):
                for channel in range(4):
                    rows[y, channel, x] = image_slope[top + y, left + x, channel]
                rows[y, 18, x] = image_slope[top + y, left + x, 4]
                rows[y, 4, x] = remaining[top + y, left + x]
                # What stands behind counts by what it would change; so does alpha itself.
                rows[y, 5, x] = -alpha_slope[top + y, left + x] * remaining[top + y, left + x]
                rows[y, 6, x] = np.float32(last[top + y, left + x])
                furthest = max(furthest, last[top + y, left + x])
        for slot in range(starts[tile] + furthest, starts[tile + 1]):
            slot_slopes[slot] = _ZERO
        for slot in range(starts[tile] + furthest - 1, starts[tile] - 1, -1):
            n = ids[slot]
            number = np.float32(slot - starts[tile] + 1)
            g = projected[n]
            mx, my, opacity = g[0], g[1], g[5]
            a, b, c = _HALF * g[2], g[3], _HALF * g[4]
            r_, g_, b_, z_ = g[6], g[7], g[8], g[9]
            sums[:] = _ZERO
            for y in range(max(boxes[n, 1] - top, 0), min(boxes[n, 3] - top, 8)):
                dy = np.float32(top + y) + _HALF - my
                across, base = b * dy, c * dy * dy
                row = rows[y]
                for x in range(8):
                    dx = row[7, x] - mx
                    s = (a * dx + across) * dx + base
                    s = s if s > _ZERO else _ZERO
                    t = (s if s < _FURTHEST else _FURTHEST) * _EIGHTH
                    e = _E0 + t * (_E1 + t * (_E2 + t * (_E3 + t * (_E4 + t * _E5))))
                    e = e * e
                    e = e * e
                    full = opacity * (e * e)
                    alpha = full if full < _MAX_ALPHA else _MAX_ALPHA
                    alpha = alpha if alpha >= _MIN_ALPHA else _ZERO
                    alpha = alpha if row[6, x] >= number else _ZERO
                    inverse = _ONE / (_ONE - alpha)
                    before = row[4, x] * inverse
                    weight = alpha * before
                    dr, dg, db, dz = row[0, x], row[1, x], row[2, x], row[3, x]
                    bent = row[18, x] * z_
                    value = dr * r_ + dg * g_ + db * b_ + (dz + bent) * z_
                    # Gradient by the exponent; none where alpha is cut.
                    steep = alpha * (before * value - row[5, x] * inverse)
                    steep = steep if full < _MAX_ALPHA else _ZERO
                    row[5, x] += weight * value
                    row[4, x] = before
                    row[8, x] = weight * dr
                    row[9, x] = weight * dg
                    row[10, x] = weight * db
                    row[11, x] = weight * (dz + bent + bent)
                    row[12, x] = steep
                    row[13, x] = steep * dx
                    row[14, x] = steep * dy
                    row[15, x] = steep * dx * dx
                    row[16, x] = steep * dx * dy
                    row[17, x] = steep * dy * dy
                added = flat[y]
                for i in range(80):
                    sums[i] += added[64 + i]
            for k in range(0, 80, 8):
                for half in (4, 2, 1):
                    for lane in range(half):
                        sums[k + lane] += sums[k + lane + half]
            out = slot_slopes[slot]
            out[0] = g[2] * sums[40] + b * sums[48]
            out[1] = b * sums[40] + g[4] * sums[48]
            out[2], out[3], out[4] = -_HALF * sums[56], -sums[64], -_HALF * sums[72]
            out[5] = sums[32] / opacity
            out[6], out[7], out[8], out[9] = sums[0], sums[8], sums[16], sums[24]


@numba.njit(cache=True, nogil=True)
def gather_slopes(
    first: int,
    step: int,
    rows: np.ndarray,
    slot_starts: np.ndarray,
    slots: np.ndarray,
    slot_slopes: np.ndarray,
    slopes: np.ndarray,
) -> None:
    """Sums the slots of every `step`-th of the Gaussians `rows`, in the order of its tiles."""
    for row in range(first, len(rows), step):
        n = rows[row]
        slopes[row] = _ZERO
        for k in range(slot_starts[n], slot_starts[n + 1]):
            for column in range(SLOPES):
                slopes[row, column] += slot_slopes[slots[k], column]
