"""The folders of jobs and scenes."""

import shutil
from pathlib import Path

from cluster.gateway.config import GatewayConfig
from cluster.gateway.specs import JobSpec
from cluster.worker.task import FileSpec, Output, save_task
from worldloom.errors import StoreError


class Folders:
    """Makes and removes what lies on the disk; all methods block.

    Args:
        config: Where.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config

    def job(self, launch_id: str) -> Path:
        """Returns the folder of a job, whichever try it is."""
        return self._config.jobs_folder / launch_id.partition("-")[0]

    def scene(self, scene_id: str) -> Path:
        """Returns the folder of a scene."""
        return self._config.scenes_folder / scene_id

    def prepare(self, job_id: str, spec: JobSpec, names: dict[str, str]) -> Path:
        """Writes the task of a job and returns its folder.

        Args:
            job_id: The job.
            spec: What it is asked to do.
            names: What the owners call its assets, by id.

        Raises:
            StoreError: the disk does not take it.
        """
        folder = self.job(job_id)
        files = {
            asset: FileSpec(str(self._config.asset_path(asset).resolve()), name)
            for asset, name in names.items()
        }
        scene_folder = self.scene(spec.scene_id or job_id).resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            save_task(spec.task(job_id, scene_folder, files, self._config), folder)
        except OSError as error:
            raise StoreError(
                f"the folder of job {job_id} cannot be written: {error.strerror}; free space",
                key=job_id,
            ) from error
        return folder

    def take_output(self, job_id: str, output: Output) -> None:
        """Moves the file that a job made to the assets, under the id of the job."""
        target = self._config.asset_path(job_id)
        source = self.job(job_id) / output.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink() or not source.resolve().is_relative_to(self.job(job_id).resolve()):
            raise StoreError(f"job {job_id} names a file outside of its folder", key=job_id)
        # After a restart between this and the entry in the table it lies there already.
        if source.exists():
            source.replace(target)

    def remove_job(self, job_id: str) -> None:
        """Removes the folder of a job."""
        shutil.rmtree(self.job(job_id), ignore_errors=True)

    def remove_scene(self, scene_id: str) -> None:
        """Removes the folder of a scene."""
        shutil.rmtree(self.scene(scene_id), ignore_errors=True)
