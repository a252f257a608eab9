"""The kernels of `_triton_sweep`: windows of the view, warps of the partners, correlation.

Hypotheses lie in memory in groups, side by side, so that one wide load and one weight, which is
computed where it is used, serve a whole group whatever the shift in the window. All images carry a
border as wide as the reach of the window: the loops test nothing.
"""

# Triton's language is untyped, and what pyright sees of a kernel is not what is compiled.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportUnnecessaryComparison=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false

import triton
import triton.language as tl


@triton.jit
def own_kernel(
    grey,
    distance,
    own,
    height,
    width,
    levels,
    noise,
    REACH: tl.constexpr,
    STRIDE: tl.constexpr,
    SIDE: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Of the windows of the view: 1 / sum of weights, mean above the centre, variance + noise."""
    pixels = height * width
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    tile = tl.minimum(at, pixels - 1)
    padded_width = width + 2 * REACH
    corner = grey + tile // width * padded_width + tile % width
    centre = tl.load(corner + REACH * padded_width + REACH)
    total = tl.zeros((PIXELS,), tl.float32)
    mean = tl.zeros((PIXELS,), tl.float32)
    square = tl.zeros((PIXELS,), tl.float32)
    for i in range(SIDE):
        row = corner + i * STRIDE * padded_width
        for j in tl.static_range(SIDE):
            # From the centre, so that nothing large cancels.
            level = tl.load(row + j * STRIDE) - centre
            weight = tl.exp2(-tl.abs(level) * levels - tl.load(distance + i * SIDE + j))
            total += weight
            mean += weight * level
            square += weight * level * level
    share = 1.0 / total
    mean *= share
    variance = tl.maximum(square * share - mean * mean, 0.0) + noise
    tl.store(own + at, share, mask=at < pixels)
    tl.store(own + pixels + at, mean, mask=at < pixels)
    tl.store(own + 2 * pixels + at, variance, mask=at < pixels)


@triton.jit(do_not_specialize=["first"])
def warp_kernel(
    partners,
    valid,
    transfers,
    surface,
    steps,
    warped,
    inside,
    height,
    width,
    count,
    first,
    REACH: tl.constexpr,
    NEAREST: tl.constexpr,
    GROUP: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Samples one partner for a tile of pixels, the border too, and a group of hypotheses."""
    padded_width, padded = width + 2 * REACH, (width + 2 * REACH) * (height + 2 * REACH)
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    group, partner, lane = tl.program_id(1), tl.program_id(2), tl.arange(0, GROUP)
    within = (at < padded)[:, None] & (lane >= 0)[None, :]
    # Past the last hypothesis it is repeated: warped, but not stored as a cost.
    step = tl.load(steps + tl.minimum((first + group) * GROUP + lane, count - 1))
    x = (at % padded_width - REACH).to(tl.float32)[:, None]
    y = (at // padded_width - REACH).to(tl.float32)[:, None]
    inverse = tl.load(surface + at, mask=at < padded, other=0.0)[:, None] + step[None, :]
    inverse = tl.maximum(inverse, 0.0)
    a = transfers + partner * 12
    u = tl.load(a) * x + tl.load(a + 1) * y + tl.load(a + 2) + tl.load(a + 3) * inverse
    v = tl.load(a + 4) * x + tl.load(a + 5) * y + tl.load(a + 6) + tl.load(a + 7) * inverse
    z = tl.load(a + 8) * x + tl.load(a + 9) * y + tl.load(a + 10) + tl.load(a + 11) * inverse
    ahead = z > NEAREST
    scale = 1.0 / tl.where(ahead, z, 1.0)
    u = tl.where(ahead, u * scale, -1e4)
    v = tl.where(ahead, v * scale, -1e4)
    image = partner * height * width
    column, row = tl.floor(u + 0.5), tl.floor(v + 0.5)
    seen = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    nearest = tl.where(seen, row, 0.0).to(tl.int32) * width
    nearest += tl.where(seen, column, 0.0).to(tl.int32)
    held = tl.load(valid + image + nearest, mask=within & seen, other=0)
    u = tl.minimum(tl.maximum(u, 0.0), (width - 1).to(tl.float32))
    v = tl.minimum(tl.maximum(v, 0.0), (height - 1).to(tl.float32))
    left, top = tl.minimum(u.to(tl.int32), width - 2), tl.minimum(v.to(tl.int32), height - 2)
    across, down = u - left.to(tl.float32), v - top.to(tl.float32)
    corner = partners + image + top * width + left
    upper_left, upper_right = tl.load(corner), tl.load(corner + 1)
    lower_left, lower_right = tl.load(corner + width), tl.load(corner + width + 1)
    upper = upper_left + (upper_right - upper_left) * across
    lower = lower_left + (lower_right - lower_left) * across
    slot = (group * tl.num_programs(2) + partner).to(tl.int64) * padded
    out = (slot + at)[:, None] * GROUP + lane[None, :]
    tl.store(warped + out, upper + (lower - upper) * down, mask=within)
    tl.store(inside + out, held, mask=within)


@triton.jit
def _moments(
    grey,
    centre,
    distance,
    levels,
    warped,
    padded_width,
    STRIDE: tl.constexpr,
    SIDE: tl.constexpr,
    GROUP: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Weighted sums over the windows of a tile: partner, its square, its product with the view."""
    mean = tl.zeros((PIXELS, GROUP), tl.float32)
    square = tl.zeros((PIXELS, GROUP), tl.float32)
    cross = tl.zeros((PIXELS, GROUP), tl.float32)
    for i in range(SIDE):
        row = i * STRIDE * padded_width
        for j in tl.static_range(SIDE):
            level = tl.load(grey + row + j * STRIDE) - centre
            weight = tl.exp2(-tl.abs(level) * levels - tl.load(distance + i * SIDE + j))
            value = tl.load(warped + (row + j * STRIDE) * GROUP)
            weighted = weight[:, None] * value
            mean += weighted
            square += weighted * value
            cross += weighted * level[:, None]
    return mean, square, cross


@triton.jit
def _mean_cost(
    seen,
    NO_EVIDENCE: tl.constexpr,
    best_0,
    best_1,
    best_2,
    best_3,
    best_4,
    best_5,
    best_6,
    best_7,
):
    """Cost of the better half of the partners that see a point, 0 to 255."""
    half = (seen + 1) // 2
    total = tl.where(half > 0, best_0, 0.0)
    total += tl.where(half > 1, best_1, 0.0)
    total += tl.where(half > 2, best_2, 0.0)
    total += tl.where(half > 3, best_3, 0.0)
    total += tl.where(half > 4, best_4, 0.0)
    total += tl.where(half > 5, best_5, 0.0)
    total += tl.where(half > 6, best_6, 0.0)
    total += tl.where(half > 7, best_7, 0.0)
    value = 127.5 * (1.0 - total / tl.maximum(half, 1).to(tl.float32))
    value = tl.minimum(tl.maximum(value, 0.0), 255.0)
    return tl.where(seen > 0, value, NO_EVIDENCE)


@triton.jit(do_not_specialize=["first"])
def correlate_kernel(
    grey,
    distance,
    own,
    warped,
    inside,
    costs,
    height,
    width,
    count,
    first,
    partners,
    levels,
    noise,
    REACH: tl.constexpr,
    STRIDE: tl.constexpr,
    SIDE: tl.constexpr,
    HALF: tl.constexpr,
    UNSEEN: tl.constexpr,
    NO_EVIDENCE: tl.constexpr,
    GROUP: tl.constexpr,
    TILE: tl.constexpr,
):
    """Cost of a tile of pixels and a group of hypotheses, over all partners."""
    pixels, padded_width = height * width, width + 2 * REACH
    padded = padded_width * (height + 2 * REACH)
    PIXELS: tl.constexpr = TILE * TILE
    inner, columns = tl.arange(0, PIXELS), tl.cdiv(width, TILE)
    x = tl.program_id(0) % columns * TILE + inner % TILE
    y = tl.program_id(0) // columns * TILE + inner // TILE
    within = (x < width) & (y < height)
    x, y = tl.minimum(x, width - 1), tl.minimum(y, height - 1)
    group, lane = tl.program_id(1), tl.arange(0, GROUP)
    at, start = y * width + x, y * padded_width + x
    middle = REACH * padded_width + REACH
    centre = tl.load(grey + start + middle)
    share = tl.load(own + at)[:, None]
    own_mean = tl.load(own + pixels + at)[:, None]
    own_variance = tl.load(own + 2 * pixels + at)[:, None]
    # The better half of the partners, best first; ranks past HALF are compiled away.
    best_0 = tl.full((PIXELS, GROUP), UNSEEN, tl.float32)
    best_1, best_2, best_3 = best_0, best_0, best_0
    best_4, best_5, best_6, best_7 = best_0, best_0, best_0, best_0
    seen = tl.zeros((PIXELS, GROUP), tl.int32)
    for partner in range(partners):
        slot = (group * partners + partner).to(tl.int64) * padded
        place = (slot + start)[:, None] * GROUP + lane[None, :]
        mean, square, cross = _moments(
            grey + start,
            centre,
            distance,
            levels,
            warped + place,
            padded_width,
            STRIDE,
            SIDE,
            GROUP,
            PIXELS,
        )
        mean *= share
        variance = tl.maximum(square * share - mean * mean, 0.0) + noise
        score = (cross * share - own_mean * mean) / tl.sqrt(own_variance * variance)
        held = tl.load(inside + place + middle * GROUP) != 0
        score = tl.where(held, score, UNSEEN)
        seen += held.to(tl.int32)
        lower = tl.minimum(best_0, score)
        best_0 = tl.maximum(best_0, score)
        if HALF > 1:
            best_1, lower = tl.maximum(best_1, lower), tl.minimum(best_1, lower)
        if HALF > 2:
            best_2, lower = tl.maximum(best_2, lower), tl.minimum(best_2, lower)
        if HALF > 3:
            best_3, lower = tl.maximum(best_3, lower), tl.minimum(best_3, lower)
        if HALF > 4:
            best_4, lower = tl.maximum(best_4, lower), tl.minimum(best_4, lower)
        if HALF > 5:
            best_5, lower = tl.maximum(best_5, lower), tl.minimum(best_5, lower)
        if HALF > 6:
            best_6, lower = tl.maximum(best_6, lower), tl.minimum(best_6, lower)
        if HALF > 7:
            best_7 = tl.maximum(best_7, lower)
    value = _mean_cost(
        seen, NO_EVIDENCE, best_0, best_1, best_2, best_3, best_4, best_5, best_6, best_7
    )
    plane = (first + group) * GROUP + lane
    out = at.to(tl.int64)[:, None] * count + plane[None, :]
    tl.store(costs + out, value.to(tl.uint8), mask=within[:, None] & (plane < count)[None, :])
