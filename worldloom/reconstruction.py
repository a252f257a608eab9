"""What a reconstruction is made of: its products, and what is known of each view."""

from dataclasses import dataclass, field

from worldloom.exposure import Balance
from worldloom.learned import (
    Alignment,
    ModelCard,
)
from worldloom.registration import PoseCorrection
from worldloom.scene import (
    Chunk,
    DepthRef,
    Frame,
    Mesh,
    PointCloud,
    Splats,
    Texture,
    TextureKind,
    UnwrappedMesh,
)
from worldloom.stage import Failure, StageReport
from worldloom.texture import (
    TextureInputs,
    TextureSet,
)


@dataclass(frozen=True)
class ViewReport:
    """What is known of one view."""

    view_id: int
    name: str
    near: float
    """Depth range searched, world unit."""
    far: float
    range_points: int
    """Points that the depth range rests on."""
    range_source: str
    """Whose points: own, neighbours or scene."""
    residual_px: float | None
    """Median distance of feature matches from their epipolar lines; None without matches."""
    reprojection_residual_px: float | None
    """Median distance between features and the projections of their places, as other views have
    them in the memory, pixels of the image; None without enough of them."""
    partners: tuple[int, ...]
    angles_deg: tuple[float, ...]
    kept_share: float | None
    """Share of pixels with a confirmed depth; None where the view failed."""
    learned: Alignment | None
    """How the prediction of the depth model was aligned, or why it is not used; None without."""
    gain_rgb: tuple[float, float, float] | None
    """Exposure over that of the other views; None where it was not estimated."""
    correction: PoseCorrection | None
    """What refinement made of the given pose; None without refinement."""


@dataclass(frozen=True)
class TrainingReport:
    """What the training of a model took."""

    steps: int
    """Over all chunks."""
    seconds: float
    """In this run; next to nothing where everything was found trained."""
    gaussians: int | None
    """None where the model is none of Gaussians."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What the pipeline made."""

    frames: tuple[Frame, ...]
    depth: tuple[DepthRef, ...]
    """Depth maps, by view id; views that failed are missing."""
    min_confidence: float
    """Confidence from which on depth went into the surface, 0 to 1."""
    point_cloud: PointCloud
    mesh: Mesh
    chunks: tuple[Chunk, ...]
    """The plan that the surface was fused by."""
    voxel_m: float
    truncation_m: float
    """Distance from the surface at which the signed distance saturated, world unit."""
    cell_m: float
    balance: Balance | None
    """Exposures that were undone in all colours; None where they were taken as they are."""
    views: tuple[ViewReport, ...]
    stages: tuple[StageReport, ...]
    failures: tuple[Failure, ...]
    models: tuple[ModelCard, ...]
    """Trained models that took part, with their licences."""
    depth_note: str = "confirmed by other views"
    """Where the depth comes from, in a few words."""
    evidence: dict[str, object] = field(default_factory=dict[str, object])
    """What else decisions rest on, by name; plain JSON values or dataclasses."""
    texture_inputs: TextureInputs | None = None
    """What textures are made from, so that they can be made later as well; None where there are no
    views of a surface."""
    texture_set: TextureSet | None = None
    """References to what was made of them; None where none were made."""
    unwrapped: UnwrappedMesh | None = None
    """What the textures lie on; None where none were made."""
    textures: dict[TextureKind, Texture] = field(default_factory=dict[TextureKind, Texture])
    """By kind; empty where none were made."""
    splats: Splats | None = None
    """Gaussians; None where the method makes none, or where none could be trained."""
    training: TrainingReport | None = None
    """None where the method trains nothing."""
