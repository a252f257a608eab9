"""What a job is asked to do, as it is kept; and the task that its process gets."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster.gateway.config import GatewayConfig
from cluster.worker.task import (
    CameraSpec,
    CloudSpec,
    FileSpec,
    JobKind,
    MeshSpec,
    OptimizeSpec,
    ReconstructSpec,
    RefineSpec,
    RenderSpec,
    SplatSpec,
    Task,
)
from worldloom.codec import from_json
from worldloom.errors import InputError


@dataclass(frozen=True)
class JobSpec:
    """What a job is asked to do; the part that its kind needs is set."""

    kind: JobKind
    scene_id: str | None = None
    """Scene that it works on; None for a reconstruction, which makes one."""
    reconstruct: ReconstructSpec | None = None
    mesh: MeshSpec | None = None
    cloud: CloudSpec | None = None
    splats: SplatSpec | None = None
    cameras: CameraSpec | None = None
    refine: RefineSpec | None = None
    optimize: OptimizeSpec | None = None
    render: RenderSpec | None = None

    @property
    def assets(self) -> tuple[str, ...]:
        """Ids of the assets that it reads, each once."""
        if self.reconstruct is None:
            return ()
        named = [
            asset
            for source in self.reconstruct.inputs
            for asset in (source.media, source.trajectory)
            if asset is not None
        ]
        return tuple(dict.fromkeys(named))

    def task(
        self, job_id: str, scene_folder: Path, files: dict[str, FileSpec], config: GatewayConfig
    ) -> Task:
        """Returns the task of the process.

        Args:
            job_id: The job.
            scene_folder: Of the scene that it makes or works on.
            files: Assets by id.
            config: How jobs are run.
        """
        return Task(
            job=job_id,
            kind=self.kind,
            scene_folder=str(scene_folder),
            files=files,
            reconstruct=self.reconstruct,
            mesh=self.mesh,
            cloud=self.cloud,
            splats=self.splats,
            cameras=self.cameras,
            refine=self.refine,
            optimize=self.optimize,
            render=self.render,
            runner=config.runner,
            ray_workers=config.ray_workers,
            store_uri=config.store_uri,
            bounds=config.bounds,
        )


def spec_from_text(text: str) -> JobSpec:
    """Returns a spec as the table holds it.

    Raises:
        InputError: it was kept by a version that is not understood.
    """
    try:
        return from_json(text.encode(), JobSpec)
    except msgspec.DecodeError as error:
        raise InputError(
            f"what this job is asked to do cannot be read ({error}): another version of the "
            "service kept it; create it again"
        ) from error
