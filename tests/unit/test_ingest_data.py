"""Ingest of recorded scenes; they are no part of the project, so these tests skip without them."""

import json
import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import InputError
from worldloom.ingest import IngestLimits, ingest, open_sources
from worldloom.scene import Frame
from worldloom.store import Store

pytestmark = pytest.mark.data
LIMITS = IngestLimits()


def ingested(store: Path, *inputs: Path, every: int = 1) -> tuple[Frame, ...]:
    sources = open_sources(inputs, limits=LIMITS, missing_images="skip")
    return ingest(
        sources,
        Store(str(store)),
        every=every,
        limits=LIMITS,
        on_progress=lambda _: None,
        workers=2,
    )


def check_poses(frames: tuple[Frame, ...], path: Path) -> None:
    extrinsics = np.array(json.loads(path.read_text())["extrinsic"])
    for frame in frames:
        np.testing.assert_allclose(
            frame.camera.cam_from_world, extrinsics[frame.index], rtol=0, atol=2e-5
        )


def test_atrium(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "atrium" / "traj0"
    frames = ingested(tmp_path, place / "video.mp4", every=5)
    assert [frame.index for frame in frames] == list(range(0, 100, 5))
    assert {frame.trajectory for frame in frames} == {"traj0"}
    check_poses(frames, place / "camera.json")
    lens = frames[0].camera.intrinsics
    assert (lens.width_px, lens.height_px, lens.fx) == (640, 480, 440.442215)
    bench = Bench(BenchConfig(str(tmp_path)))
    with av.open(str(place / "video.mp4")) as container:
        for index, expected in enumerate(container.decode(video=0)):
            if index % 5 == 0:
                image = bench.image(frames[index // 5], 640, 480)
                assert np.array_equal(image, expected.to_ndarray(format="rgb24"))
    both = open_sources([shared_data / "atrium"], limits=LIMITS)
    assert [(source.name, len(source)) for source in both] == [("traj0", 100), ("traj1", 100)]


def test_worldstereo_kitchen(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "worldstereo" / "kitchen"
    tracks = ["renders/traj_eloop", "renders/traj_left", "renders/traj_right", "renders/traj_up"]
    sources = open_sources([place], limits=LIMITS)
    assert [(source.name, len(source)) for source in sources] == [(name, 21) for name in tracks]
    frames = ingested(tmp_path, place, every=10)
    kept = [(frame.trajectory, frame.index) for frame in frames]
    assert kept == [(track, index) for track in tracks for index in (0, 10, 20)]
    bench = Bench(BenchConfig(str(tmp_path)))
    for track, frame in zip(tracks, frames[1::3], strict=True):
        check_poses((frame,), place / track / "camera.json")
        assert frame.has_mask
        data = bench.mask(frame, 768, 512)
        assert 0.2 < data.mean() < 0.8
        # The flat grey of the holes is not in what counts as data.
        grey = (np.abs(bench.image(frame, 768, 512).astype(int) - 126) <= 2).all(axis=-1)
        deep_in_hole = cv2.erode((~data).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert grey[deep_in_hole].mean() > 0.9
        assert grey[data].mean() < 0.003


def test_worldstereo_subway(shared_data: Path) -> None:
    sources = open_sources([shared_data / "worldstereo" / "subway"], limits=LIMITS)
    bank, *videos = sources
    assert (bank.name, len(bank), bank.mask) == ("pano_bank", 27, None)
    names = [f"reconstruct_{v}/traj{t}" for v in range(2) for t in range(2)]
    names += [f"view{v}/traj{t}" for v in range(3) for t in range(3)]
    assert [(source.name, len(source)) for source in videos] == [(name, 21) for name in names]
    assert all(source.mask is not None for source in videos)


def test_fox(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"17 of the 67 images .*images/0005\.jpg \(frame 4\)"):
        open_sources([shared_data / "fox"], limits=LIMITS)
    (source,) = open_sources([shared_data / "fox"], limits=LIMITS, missing_images="skip")
    assert len(source) == 50
    frames = ingested(tmp_path, shared_data / "fox", every=10)
    assert [frame.index for frame in frames] == [0, 10, 20, 30, 40, 60]
    document = json.loads((shared_data / "fox" / "transforms.json").read_text())
    listed = {entry["file_path"]: entry["transform_matrix"] for entry in document["frames"]}
    names = dict(zip(source.trajectory.frame_indices, source.trajectory.frame_names, strict=True))
    for frame in frames:
        name = names[frame.index]
        centre = np.array(listed[name])[:3, 3]
        np.testing.assert_allclose(frame.camera.centre_in_world, centre, atol=1e-9)
        assert not frame.camera.intrinsics.is_distorted
        assert (frame.camera.intrinsics.width_px, frame.camera.intrinsics.height_px) == (1080, 1920)


def test_kitchen_rgbd_and_fountain(
    shared_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        frames = ingested(tmp_path, shared_data / "kitchen_rgbd", every=9)
    assert [frame.name for frame in frames] == [f"kitchen_rgbd/{i:04d}" for i in range(0, 63, 9)]
    check_poses(frames, shared_data / "kitchen_rgbd" / "camera.json")
    frames = ingested(tmp_path, shared_data / "fountain" / "images")
    assert [frame.name for frame in frames] == [f"fountain/{i:04d}" for i in range(11)]
    check_poses(frames, shared_data / "fountain" / "camera.json")
    lens = frames[0].camera.intrinsics
    # A surveyed principal point lies off the centre; it is not a sign of another resolution.
    assert (lens.fx, lens.cx, lens.width_px, lens.height_px) == (689.87, 380.2975, 768, 512)
    assert "rescaled" not in caplog.text
