"""`python -m cluster.worker.decoder FOLDER`: looks at the media of a job, with little to lose.

Decoders are large programs that read what strangers made. The first that meets a file is this
process: bounded in address space, time and size of files, without the database and without Ray.
"""

import os
import resource
import sys
from pathlib import Path

from cluster.worker.archive import is_archive, unpack
from cluster.worker.inspection import Inspected, LaidOut, inspected_file
from cluster.worker.task import FileSpec, InputSpec, Task, TaskError, load_task, write_whole
from worldloom.codec import to_json
from worldloom.errors import WorldloomError
from worldloom.ingest import IngestLimits, Picture, Source, decode_picture, open_sources

INPUTS_FOLDER = "inputs"
_FILE_MARGIN_MIB = 64


def main() -> None:
    """Looks at the inputs of a job and leaves what it found beside them."""
    folder = Path(sys.argv[1])
    task = load_task(folder)
    _bound(task)
    try:
        found = Inspected(inputs=inspect(task, folder / INPUTS_FOLDER))
    except WorldloomError as error:
        ids = {key: str(value) for key, value in error.ids.items() if value is not None}
        found = Inspected(error=TaskError(type(error).__name__, error.message, ids))
    except MemoryError:
        found = Inspected(is_out_of_memory=True)
    write_whole(inspected_file(folder), to_json(found))


def inspect(task: Task, folder: Path) -> tuple[LaidOut, ...]:
    """Lays the inputs of a job out, opens them, and decodes the largest picture of each.

    Args:
        task: A reconstruction.
        folder: Where archives are unpacked.

    Returns:
        Where media and trajectories lie, in the order of the inputs.

    Raises:
        WorldloomError: something cannot be opened, or is above a cap.
    """
    wanted = () if task.reconstruct is None else task.reconstruct.inputs
    inputs = tuple(_laid_out(item, task, folder / str(n)) for n, item in enumerate(wanted))
    sources = open_sources(
        [Path(item.media) for item in inputs],
        [Path(item.trajectory) for item in inputs if item.trajectory is not None],
        limits=limits_of(task),
    )
    for source in sources:
        _decode_largest(source)
    return inputs


def limits_of(task: Task) -> IngestLimits:
    """Returns the caps of a job on its media."""
    bounds = task.bounds
    return IngestLimits(
        max_pixels=bounds.max_pixels,
        max_frames=bounds.max_frames,
        max_duration_s=bounds.max_video_s,
    )


def _decode_largest(source: Source) -> None:
    # The first frame of a video is decoded when it is opened.
    if isinstance(source.media, tuple):
        pictures: tuple[Picture, ...] = source.media
        largest = max(pictures, key=lambda item: item.width_px * item.height_px)
        decode_picture(largest, largest.path.read_bytes())


def _laid_out(source: InputSpec, task: Task, folder: Path) -> LaidOut:
    """Media and trajectory of one input, under the names that their owner gave them."""
    folder.mkdir(parents=True)
    media = _placed(task.files[source.media], folder / "media")
    if is_archive(media.name):
        media = unpack(media, folder / "unpacked", task.bounds)
    if source.trajectory is None:
        return LaidOut(str(media))
    trajectory = _placed(task.files[source.trajectory], folder / "trajectory")
    if is_archive(trajectory.name):
        trajectory = unpack(trajectory, folder / "cameras", task.bounds)
    return LaidOut(str(media), str(trajectory))


def _placed(file: FileSpec, folder: Path) -> Path:
    folder.mkdir()
    place = folder / file.name
    # A link and no copy: assets never change.
    os.symlink(file.path, place)
    return place


def _bound(task: Task) -> None:
    bounds = task.bounds
    memory = bounds.decoder_mib << 20
    seconds = int(bounds.decoder_s) + 1
    largest = (bounds.max_archive_mib + _FILE_MARGIN_MIB) << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
