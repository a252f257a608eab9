"""Layered meshes of panoramas with exact distances."""

import numpy as np
import pytest
import trimesh

from tests.balls import BallRoom, turned
from worldloom.errors import ConfigError, ReconstructionError
from worldloom.panorama import (
    DistancePanorama,
    LayerConfig,
    LayeredSurface,
    layered_surface,
    pixel_rays,
)
from worldloom.panorama._grid import grid_height, sphere_faces, sphere_grid
from worldloom.render import RayCaster
from worldloom.scene import Mesh

ROOM = BallRoom()
POSE = turned(40, 12, (0.2, -0.1, 0.1))
HEIGHT = 128


def surface(
    distance: np.ndarray,
    image: np.ndarray | None = None,
    config: LayerConfig | None = None,
    pose: np.ndarray = POSE,
) -> LayeredSurface:
    """A layered surface with full confidence."""
    if image is None:
        image = np.full((*distance.shape, 3), 120, np.uint8)
    panorama = DistancePanorama(distance, (distance > 0).astype(np.float32))
    return layered_surface(image, panorama, pose, config or LayerConfig())


@pytest.fixture(scope="module")
def room() -> LayeredSurface:
    image, distance = ROOM.panorama(HEIGHT, POSE)
    return surface(distance, image)


def shown_part(made: LayeredSurface) -> Mesh:
    return Mesh(
        made.mesh.vertices_in_world[: made.shown_vertices], made.mesh.faces[: made.shown_faces]
    )


def boundary_edges(faces: np.ndarray) -> np.ndarray:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, number = np.unique(pairs, axis=0, return_counts=True)
    return unique[number == 1]


@pytest.mark.parametrize("height", [16, 24, 33, 50, 64, 100, 128])
def test_a_sphere_is_closed_at_any_size(height: int) -> None:
    """No edge at the seam, no hole at the poles, one side facing the centre everywhere."""
    made = surface(np.full((height, 2 * height), 2.0, np.float32), pose=np.eye(4))
    mesh = trimesh.Trimesh(made.mesh.vertices_in_world, made.mesh.faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2
    # Faces look inwards, so the volume is negative.
    assert -mesh.volume == pytest.approx(4 / 3 * np.pi * 8, rel=16 / height**2 + 0.02)
    assert made.shown_faces == len(made.mesh.faces)
    normals = made.mesh.normals_in_world
    assert normals is not None
    towards = -made.mesh.vertices_in_world / 2
    assert ((normals * towards).sum(axis=1) > 0.98).all()
    assert mesh.area_faces.min() > 1e-3 * np.median(mesh.area_faces), "no slivers at the poles"


def test_the_grid_has_even_triangles_up_to_the_poles() -> None:
    grid = sphere_grid(256)
    faces = sphere_faces(grid, np.ones(len(grid.rays)))
    corners = grid.rays[faces]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert sides.max() < 2.4 * np.pi / 256
    assert (sides.max(axis=1) / sides.min(axis=1)).max() < 5
    assert len(grid.rays) < 0.8 * 256 * 512


def test_vertices_lie_on_the_truth_and_colours_are_theirs(room: LayeredSurface) -> None:
    points = room.mesh.vertices_in_world[: room.shown_vertices]
    footprint = np.linalg.norm(points - POSE[:3, 3], axis=1) * np.pi / HEIGHT
    assert (ROOM.off_surface(points) / footprint).max() < 0.01
    assert room.mesh.colors is not None
    error = room.mesh.colors[: room.shown_vertices].astype(float) - ROOM.colors(points)
    poles = np.abs((points - POSE[:3, 3]) @ POSE[:3, 1]) > 0.999 * np.linalg.norm(
        points - POSE[:3, 3], axis=1
    )
    assert np.abs(error[~poles]).max() <= 1


def test_the_ball_is_cut_from_the_wall_and_nothing_else_is(room: LayeredSurface) -> None:
    shown = shown_part(room)
    faces = shown.vertices_in_world[shown.faces]
    middle = ROOM.off_surface(faces.mean(axis=1))
    size = np.linalg.norm(faces - np.roll(faces, 1, axis=1), axis=2).max(axis=1)
    assert (middle < 0.5 * size).all(), "no face spans from the ball to the wall"
    rim = np.unique(boundary_edges(shown.faces))
    rays = shown.vertices_in_world[rim] - POSE[:3, 3]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    towards = np.array(ROOM.ball_m) - POSE[:3, 3]
    away = np.degrees(np.arccos(rays @ towards / np.linalg.norm(towards)))
    outline = np.degrees(np.arcsin(ROOM.radius_m / np.linalg.norm(towards)))
    assert len(rim) > 20
    assert np.abs(away - outline).max() < 3 * 180 / HEIGHT, "the only rim is the outline"


def test_the_wall_goes_on_behind_the_ball() -> None:
    """Planes are carried on as planes: what is filled in lies on the wall, and closes it."""
    flat = BallRoom(ball_m=(0.2, -0.1, 1.3))
    image, distance = flat.panorama(HEIGHT, POSE)
    made = surface(distance, image, LayerConfig(reach_deg=45.0))
    filled = made.mesh.vertices_in_world[made.shown_vertices :]
    assert len(filled) > 300
    reach = np.linalg.norm(filled - POSE[:3, 3], axis=1)
    assert (flat.off_walls(filled) / (reach * np.pi / HEIGHT)).max() < 0.3
    assert (
        reach > 1.0095 * flat.distance((filled - POSE[:3, 3]) / reach[:, None], POSE[:3, 3])
    ).all()
    assert made.mesh.colors is not None
    error = made.mesh.colors[made.shown_vertices :].astype(float) - flat.colors(filled)
    assert np.abs(error).mean() < 25, "colours are blurred, not made up"
    # Seen with the ball taken away, the wall has no hole.
    radius = np.linalg.norm(made.mesh.vertices_in_world - np.array(flat.ball_m), axis=1)
    ball = np.abs(radius - flat.radius_m) < 1e-4
    rest = made.mesh.faces[~ball[made.mesh.faces].any(axis=1)]
    assert ball.sum() > 300
    assert len(boundary_edges(rest)) == 0


def test_in_a_corner_what_is_filled_in_stays_behind_and_near(room: LayeredSurface) -> None:
    """The ball of this room hides where floor and wall meet; both go on, to about there."""
    filled = room.mesh.vertices_in_world[room.shown_vertices :]
    reach = np.linalg.norm(filled - POSE[:3, 3], axis=1)
    rays = (filled - POSE[:3, 3]) / reach[:, None]
    assert len(filled) > 50
    assert (reach > 1.0095 * ROOM.distance(rays, POSE[:3, 3])).all()
    assert np.percentile(ROOM.off_walls(filled), 95) < 0.15


def test_the_cloud_tells_what_was_seen_from_what_was_filled_in(room: LayeredSurface) -> None:
    cloud = room.cloud
    filled = cloud.count == 0
    assert set(cloud.count.tolist()) == {0, 1}
    assert filled.sum() == len(room.mesh.vertices_in_world) - room.shown_vertices
    assert cloud.confidence[filled].max() <= LayerConfig().filled_confidence
    assert cloud.confidence[filled].min() > 0
    assert set(np.round(cloud.confidence[~filled], 3).tolist()) == {0.5, 1.0}
    assert (cloud.confidence[~filled] == 0.5).mean() < 0.05, "beside the outline only"


def test_from_the_centre_there_is_no_gap_between_three_things_one_behind_the_other() -> None:
    """Each outline is closed by what is right behind it, also where a second layer is behind that:
    the middle thing hides the wall, and is hidden by the near one.
    """
    rays = pixel_rays(256, 128)
    distance = np.full((128, 256), 4.0, np.float32)
    distance[rays @ np.array([0.0, 0.0, 1.0]) > np.cos(np.radians(25))] = 2.0
    aside = np.array([np.sin(np.radians(22)), 0, np.cos(np.radians(22))])
    distance[rays @ aside > np.cos(np.radians(7))] = 1.5
    made = surface(distance, pose=np.eye(4))
    caster = RayCaster(made.mesh.vertices_in_world, made.mesh.faces)
    directions = np.random.default_rng(0).normal(size=(20_000, 3))
    hits = caster.cast(np.zeros_like(directions), directions)
    # Where outlines cross, a triangle sees all three, and stays open.
    assert (hits.face >= 0).mean() > 0.9997
    assert made.shown_faces < len(made.mesh.faces)
    assert len(np.unique(np.sort(made.mesh.faces, axis=1), axis=0)) == len(made.mesh.faces)


def test_no_reach_no_second_layer() -> None:
    image, distance = ROOM.panorama(64, POSE)
    made = surface(distance, image, LayerConfig(reach_deg=0.0))
    assert made.shown_vertices == len(made.mesh.vertices_in_world)
    assert made.shown_faces == len(made.mesh.faces)


def test_a_thin_pole_is_not_stretched_to_the_wall() -> None:
    distance = np.full((64, 128), 4.0, np.float32)
    distance[:, 30] = 1.5
    made = surface(distance, pose=np.eye(4))
    reach = np.linalg.norm(made.mesh.vertices_in_world, axis=1)[made.mesh.faces]
    assert (reach.max(axis=1) / reach.min(axis=1)).max() < 1.1


def test_a_floor_to_the_horizon_stays_whole_and_the_sky_is_left_out() -> None:
    rays = pixel_rays(512, 256)
    down = rays[..., 1] > 0.02
    distance = np.where(down, 1.6 / np.where(down, rays[..., 1], 1), 0).astype(np.float32)
    made = surface(distance, pose=np.eye(4))
    points = made.mesh.vertices_in_world
    np.testing.assert_allclose(points[:, 1], 1.6, rtol=1e-4)
    rim = boundary_edges(made.mesh.faces)
    level = points[np.unique(rim), 1] / np.linalg.norm(points[np.unique(rim)], axis=1)
    assert level.max() < 0.05, "the floor ends at the horizon only"


def test_noise_of_a_percent_tears_nothing() -> None:
    image, distance = ROOM.panorama(HEIGHT, POSE)
    noisy = distance * np.random.default_rng(0).normal(1, 0.01, distance.shape).astype(np.float32)
    made = surface(noisy, image)
    whole = surface(distance, image)
    assert made.shown_faces > 0.97 * whole.shown_faces


def test_numbers_are_numbers_whatever_comes() -> None:
    rng = np.random.default_rng(3)
    distance = rng.uniform(0.01, 100, (32, 64)).astype(np.float32)
    distance[rng.uniform(size=distance.shape) < 0.3] = 0
    distance[8:24] = 2.0
    made = surface(distance, config=LayerConfig(reach_deg=30.0))
    for values in (made.mesh.vertices_in_world, made.mesh.normals_in_world, made.cloud.confidence):
        assert np.isfinite(values).all()
    assert made.mesh.faces.max() < len(made.mesh.vertices_in_world)
    assert len(np.unique(made.mesh.faces)) == len(made.mesh.vertices_in_world)


def test_nothing_to_join_is_an_error() -> None:
    distance = np.zeros((32, 64), np.float32)
    distance[10:22:4, 2::4] = 2.0
    with pytest.raises(ReconstructionError, match="no three neighbouring pixels"):
        surface(distance)


def test_grids_are_no_finer_than_the_panorama_and_round_where_they_are_coarser() -> None:
    assert grid_height(512, 900.0) == 512
    assert grid_height(500, 900.0) == 500
    assert grid_height(2048, 843.0) == 832
    assert grid_height(40, 1.0) == 32
    assert grid_height(20, 1.0) == 20


@pytest.mark.parametrize(
    "change", [{"max_jump": 0.0}, {"reach_deg": 60.0}, {"filled_confidence": 2.0}]
)
def test_bad_settings_are_refused_by_name(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        LayerConfig(**change)
    assert caught.value.ids["field"] in change
