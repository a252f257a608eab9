"""Media that are not what they say: refused by a process that has little to lose."""

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.worker.inspection import inspected_inputs
from cluster.worker.task import (
    Bounds,
    FileSpec,
    InputSpec,
    JobKind,
    ReconstructSpec,
    Task,
    save_task,
)
from worldloom.errors import InputError, LimitError, TrajectoryError
from worldloom.synthetic import SceneSpec, build_scene, write_scene


def task_of(folder: Path, media: Path, cameras: Path | None = None, **bounds: float) -> Task:
    files = {"m": FileSpec(str(media), media.name)}
    if cameras is not None:
        files["c"] = FileSpec(str(cameras), cameras.name)
    source = InputSpec("m", None if cameras is None else "c")
    task = Task(
        "job",
        JobKind.RECONSTRUCT,
        str(folder / "scene"),
        files,
        ReconstructSpec((source,)),
        bounds=replace(Bounds(), **bounds),
    )
    folder.mkdir()
    save_task(task, folder)
    return task


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corner")
    spec = SceneSpec(layout="corner", frames=4, width_px=96, height_px=64, supersampling=1)
    write_scene(build_scene(spec), folder)
    return folder


def test_good_media_are_laid_out_under_their_names(scene: Path, tmp_path: Path):
    task = task_of(tmp_path / "job", scene / "video.mp4", scene / "camera.json")
    (found,) = inspected_inputs(task, tmp_path / "job")
    assert found.trajectory is not None
    assert [Path(found.media).name, Path(found.trajectory).name] == ["video.mp4", "camera.json"]
    assert Path(found.media).read_bytes() == (scene / "video.mp4").read_bytes()


def test_what_takes_more_time_or_memory_than_decoders_get_is_above_a_limit(
    scene: Path, tmp_path: Path
):
    late = task_of(tmp_path / "late", scene / "video.mp4", scene / "camera.json", decoder_s=0.2)
    with pytest.raises(LimitError, match=r"0\.2 s"):
        inspected_inputs(late, tmp_path / "late")


def picture_bomb(folder: Path) -> Path:
    """A scene folder whose pictures take a few bytes, and decoded 150 MiB each."""
    (folder / "images").mkdir(parents=True)
    side = 7200
    done, data = cv2.imencode(".png", np.zeros((side, side, 3), np.uint8))
    assert done
    assert len(data) < 1 << 20
    frames: list[dict[str, object]] = []
    for n in range(2):
        (folder / "images" / f"{n}.png").write_bytes(data.tobytes())
        pose = np.eye(4)
        pose[0, 3] = n
        frames.append({"file_path": f"images/{n}.png", "transform_matrix": pose.tolist()})
    camera = {"fl_x": side, "fl_y": side, "cx": side / 2, "cy": side / 2, "w": side, "h": side}
    (folder / "transforms.json").write_text(json.dumps(camera | {"frames": frames}))
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(item for item in folder.rglob("*") if item.is_file()):
            archive.write(file, file.relative_to(folder))
    return path


def test_pictures_that_grow_when_decoded_are_refused_by_memory_alone(tmp_path: Path):
    bomb = picture_bomb(tmp_path / "bomb")
    enough = task_of(tmp_path / "enough", bomb, decoder_mib=4096)
    assert len(inspected_inputs(enough, tmp_path / "enough")) == 1
    little = task_of(tmp_path / "little", bomb, decoder_mib=baseline_mib(tmp_path) + 100)
    with pytest.raises(InputError, match="MiB"):
        inspected_inputs(little, tmp_path / "little")


def baseline_mib(folder: Path) -> int:
    """Least address space, in steps of 256 MiB, in which the decoder refuses a text as a text."""
    media = folder / "a.mp4"
    media.write_bytes(b"no video")
    for step in range(2, 17):
        task = task_of(folder / f"base{step}", media, decoder_mib=step * 256)
        try:
            inspected_inputs(task, folder / f"base{step}")
        except TrajectoryError:
            return step * 256
        except InputError:
            continue
    raise AssertionError("the decoder does not start in 4 GiB")


def test_archives_that_grow_are_refused_with_their_kind_of_error(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/0.png", bytes(100 << 20))
    task = task_of(tmp_path / "job", tmp_path / "bomb.zip")
    with pytest.raises(LimitError) as raised:
        inspected_inputs(task, tmp_path / "job")
    assert float(raised.value.ids["limit"] or 0) == Bounds().max_archive_ratio
    assert not (tmp_path / "job" / "inputs" / "0" / "unpacked").exists()


def test_an_answer_of_an_earlier_try_is_not_taken_for_this_one(tmp_path: Path, scene: Path):
    task = task_of(tmp_path / "job", scene / "video.mp4", scene / "camera.json", decoder_s=0.1)
    (tmp_path / "job" / "inspected.json").write_text('{"inputs": [{"media": "/etc/passwd"}]}')
    with pytest.raises(LimitError):
        inspected_inputs(task, tmp_path / "job")
    assert os.listdir(tmp_path / "job") == ["task.json"]
