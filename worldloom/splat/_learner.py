"""A learner: takes single steps on Gaussians; one for the CPU, one for CUDA."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from worldloom.cameras import Camera
from worldloom.splat._config import SplatConfig
from worldloom.splat._loss import Target
from worldloom.splat._state import State


@dataclass(frozen=True, eq=False)
class TrainingView:
    """A view that Gaussians are to look like."""

    camera: Camera
    """At the size of the target."""
    target: Target


@dataclass(frozen=True)
class Rates:
    """Rates of one step."""

    means: float
    """World unit."""
    log_scales: float
    rotations: float
    logits: float
    sh_base: float
    """Of degree 0."""
    sh_rest: float
    gains: float
    sh_degree: int
    """Degree that takes part."""


@runtime_checkable
class Learner(Protocol):
    """Takes steps on a state that it may keep on a device."""

    def step(self, index: int, view: TrainingView, rates: Rates) -> float:
        """Takes one step towards view number `index`; returns its loss."""
        ...

    def render(self, camera: Camera, sh_degree: int) -> Float32[np.ndarray, "h w 3"]:
        """Returns what a camera sees, without any exposure."""
        ...

    def state(self) -> State:
        """Returns the state as it is now, on the host."""
        ...

    def restore(self, state: State) -> None:
        """Goes on from another state, which it takes over."""
        ...


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss, and the length that sizes are measured in."""

    ssim: float
    depth: float
    distortion: float
    normal: float
    opacity: float
    scale: float
    spacing_m: float
    exposure: bool


def weights_of(config: SplatConfig, spacing_m: float) -> Weights:
    """Returns the weights of settings; `spacing_m` is the spacing of the seeds, world unit."""
    return Weights(
        config.ssim_weight,
        config.depth_weight,
        config.distortion_weight,
        config.normal_weight,
        config.opacity_weight,
        config.scale_weight,
        spacing_m,
        config.exposure,
    )
