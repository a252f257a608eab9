"""What reads files of strangers, as functions of one path, and valid files of each kind."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.constellation import ring_of_cameras
from tests.ingest_media import coded_image, coded_video
from worldloom.cameras import (
    CameraTrajectory,
    load_colmap_points,
    load_poses,
    load_trajectory,
    save_trajectory,
)
from worldloom.export import read_cloud_ply, read_mesh_ply, write_cloud, write_mesh
from worldloom.ingest import IngestLimits, Picture, decode_picture
from worldloom.ingest._pictures import probe_picture
from worldloom.ingest._video import decode_frames, probe_video
from worldloom.panorama._depth_file import DepthSource
from worldloom.scene import Mesh, PointCloud

LIMITS = IngestLimits(max_pixels=1_000_000, max_frames=200, max_file_mib=8, max_image_mib=8)


def read_trajectory(path: Path) -> None:
    load_trajectory(path)


def read_poses(path: Path) -> None:
    load_poses(path)


def read_points(path: Path) -> None:
    load_colmap_points(path)


def read_video(path: Path) -> None:
    video = probe_video(path, LIMITS)
    for _ in decode_frames(path, video.frame_count, LIMITS, wanted=lambda _: True):
        pass


def read_picture(path: Path) -> None:
    picture: Picture = probe_picture(path, LIMITS)
    decode_picture(picture, path.read_bytes())


def read_depth(path: Path) -> None:
    DepthSource(path).read(8, 4)


READERS: dict[str, Callable[[Path], object]] = {
    "trajectory": read_trajectory,
    "poses": read_poses,
    "points": read_points,
    "video": read_video,
    "picture": read_picture,
    "depth": read_depth,
    "mesh": read_mesh_ply,
    "cloud": read_cloud_ply,
}


@dataclass(frozen=True)
class Specimen:
    """A valid input of a few kilobytes."""

    reader: str
    entry: str
    files: dict[str, bytes]
    text: bool = False


_TRAJECTORY_FILES = {
    "worldstereo": "camera.json",
    "worldstereo-panorama": "cameras.json",
    "worldmirror": "camera_params.json",
    "transforms": "transforms.json",
    "colmap-binary": "sparse",
    "colmap-text": "sparse",
    "opencv": "camera.xml",
    "opencv-yaml": "camera.yml",
    "tum": "poses.txt",
}


def trajectories(folder: Path) -> dict[str, Specimen]:
    """One trajectory in every format."""
    trajectory = CameraTrajectory(tuple(ring_of_cameras(3)), (0, 1, 2), name="walk")
    specimens: dict[str, Specimen] = {}
    for name, entry in _TRAJECTORY_FILES.items():
        place = folder / name / entry
        save_trajectory(trajectory, place, name.removesuffix("-yaml"))
        files = [place] if place.is_file() else sorted(place.iterdir())
        content = {str(p.relative_to(folder / name)): p.read_bytes() for p in files}
        reader = "poses" if name == "tum" else "trajectory"
        specimens[name] = Specimen(reader, entry, content, name != "colmap-binary")
    return specimens


def pictures(folder: Path) -> dict[str, Specimen]:
    """One image in every format, and the kinds that decoders treat apart."""
    image = coded_image(37)
    kinds = {
        "png": cv2.imencode(".png", image)[1].tobytes(),
        "png-16": cv2.imencode(".png", image.astype(np.uint16) * 257)[1].tobytes(),
        "png-alpha": cv2.imencode(".png", np.dstack([image, image[..., 0]]))[1].tobytes(),
        "jpg": cv2.imencode(".jpg", image)[1].tobytes(),
        "webp": cv2.imencode(".webp", image)[1].tobytes(),
        "bmp": cv2.imencode(".bmp", image)[1].tobytes(),
        "tif": cv2.imencode(".tif", image)[1].tobytes(),
        "png-palette": _pillow(Image.fromarray(image).quantize(16), "PNG"),
        "tif-lzw": _pillow(Image.fromarray(image), "TIFF", compression="tiff_lzw"),
    }
    named = {kind: f"a.{kind.partition('-')[0]}" for kind in kinds}
    return {
        kind: Specimen("picture", named[kind], {named[kind]: data}) for kind, data in kinds.items()
    }


def _pillow(image: Image.Image, kind: str, **options: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def videos(folder: Path) -> dict[str, Specimen]:
    """A second of video in every container."""
    specimens: dict[str, Specimen] = {}
    for suffix in (".mp4", ".webm", ".mkv", ".mov"):
        path = coded_video(folder / f"a{suffix}", 6)
        specimens[suffix[1:]] = Specimen("video", path.name, {path.name: path.read_bytes()})
    return specimens


def models(folder: Path) -> dict[str, Specimen]:
    """A mesh and a cloud as PLY, COLMAP points, depth as arrays and pictures."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    colors, ones = np.full((4, 3), 7, np.uint8), np.ones(4)
    write_mesh(Mesh(corners, faces, colors), folder / "mesh.ply")
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    cloud = PointCloud(corners, normals, colors, ones.astype(np.float32), ones.astype(np.int32))
    write_cloud(cloud, folder / "cloud.ply")
    depth = np.full((4, 8), 2.5, np.float32)
    np.save(folder / "depth.npy", depth)
    np.savez_compressed(folder / "depth.npz", depth=depth)
    cv2.imwrite(str(folder / "depth.png"), (depth * 1000).astype(np.uint16))
    cv2.imwrite(str(folder / "depth.tif"), depth)
    named = {"mesh.ply": "mesh", "cloud.ply": "cloud"}
    files = ("mesh.ply", "cloud.ply", "depth.npy", "depth.npz", "depth.png", "depth.tif")
    return {
        name: Specimen(named.get(name, "depth"), name, {name: (folder / name).read_bytes()})
        for name in files
    }


def colmap_points() -> dict[str, Specimen]:
    """Points of a COLMAP model, both forms."""
    row = np.array([1, 2], np.uint64)
    binary = b"".join(
        [
            np.uint64(2).tobytes(),
            *(
                number.tobytes()
                + np.array([0.5, 1.5, 2.5]).tobytes()
                + bytes([10, 20, 30])
                + np.float64(0.5).tobytes()
                + np.uint64(1).tobytes()
                + np.array([1, 0], np.int32).tobytes()
                for number in row
            ),
        ]
    )
    text = b"# points\n1 0.5 1.5 2.5 10 20 30 0.5 1 0\n2 0.5 1.5 2.5 10 20 30 0.5 1 0\n"
    empty = {"sparse/cameras": b"\0" * 8, "sparse/images": b"\0" * 8}
    return {
        "binary": Specimen(
            "points",
            "sparse",
            {f"{name}.bin": data for name, data in empty.items()} | {"sparse/points3D.bin": binary},
        ),
        "text": Specimen(
            "points",
            "sparse",
            {f"{name}.txt": b"#\n" for name in empty} | {"sparse/points3D.txt": text},
            text=True,
        ),
    }


def json_of(specimen: Specimen) -> object:
    return json.loads(specimen.files[specimen.entry])
