"""The state of training: all that the next step depends on, and nothing else."""

import io
import math
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Int, Int32

from worldloom.splat._adam import Moments, no_moments
from worldloom.splat._gaussians import Gaussians

PARAMETERS: tuple[str, ...] = tuple(field.name for field in fields(Gaussians))


@dataclass(frozen=True, eq=False)
class Best:
    """The best state that the validation views have seen."""

    step: int
    psnr_db: float
    """Mean over the validation views; -inf before the first look."""
    gaussians: Gaussians


@dataclass(eq=False)
class State:
    """Gaussians under way; its arrays change in place."""

    step: int
    """Steps done."""
    gaussians: Gaussians
    normals: Float32[np.ndarray, "n 3"]
    """Unit normals of the seeds, world; 0 = none."""
    moments: dict[str, Moments]
    """Of Adam, by the name of the parameter; rows flattened."""
    updates: Int32[np.ndarray, "n"]
    """Steps that showed each Gaussian."""
    demand: Float32[np.ndarray, "n"]
    """How much images asked each Gaussian to be more than one, since the last growth."""
    gains: Float32[np.ndarray, "views 3"]
    """Logarithm of what is left of the exposure of each view."""
    gain_moments: Moments
    gain_updates: Int32[np.ndarray, "views"]
    seeds: int
    """Gaussians that it began with: growth is a share of them."""
    best: Best | None = None
    looks_since_best: int = 0

    def __len__(self) -> int:
        return len(self.gaussians)

    def select(self, rows: Int[np.ndarray, "m"]) -> "State":
        """Returns the state of some of the Gaussians, with no best; copies, but for the gains."""
        none_fresh = np.zeros(len(rows), bool)
        return State(
            step=self.step,
            gaussians=self.gaussians.select(rows),
            normals=self.normals[rows],
            moments={name: self.moments[name].select(rows, none_fresh) for name in PARAMETERS},
            updates=self.updates[rows],
            demand=self.demand[rows],
            gains=self.gains,
            gain_moments=self.gain_moments,
            gain_updates=self.gain_updates,
            looks_since_best=self.looks_since_best,
            seeds=round(self.seeds * len(rows) / max(1, len(self))),
        )


def rows_of(values: np.ndarray) -> np.ndarray:
    """Returns parameters as [n c], a view on the same memory."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def new_state(gaussians: Gaussians, normals: Float32[np.ndarray, "n 3"], views: int) -> State:
    """Returns the state before the first step."""
    count = len(gaussians)
    return State(
        step=0,
        gaussians=gaussians,
        normals=normals,
        moments={
            name: no_moments(count, rows_of(getattr(gaussians, name)).shape[1])
            for name in PARAMETERS
        },
        updates=np.zeros(count, np.int32),
        demand=np.zeros(count, np.float32),
        gains=np.zeros((views, 3), np.float32),
        gain_moments=no_moments(views, 3),
        gain_updates=np.zeros(views, np.int32),
        seeds=count,
    )


def state_bytes(state: State) -> bytes:
    """Returns a state as the bytes of an `.npz` file."""
    arrays: dict[str, np.ndarray] = {
        "step": np.array([state.step, state.looks_since_best, state.seeds]),
        "normals": state.normals,
        "updates": state.updates,
        "demand": state.demand,
        "gains": state.gains,
        "gains_first": state.gain_moments.first,
        "gains_second": state.gain_moments.second,
        "gain_updates": state.gain_updates,
    }
    for name in PARAMETERS:
        arrays[name] = getattr(state.gaussians, name)
        arrays[f"{name}_first"] = state.moments[name].first
        arrays[f"{name}_second"] = state.moments[name].second
    if state.best is not None:
        arrays["best"] = np.array([state.best.step, state.best.psnr_db])
        for name in PARAMETERS:
            arrays[f"best_{name}"] = getattr(state.best.gaussians, name)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def state_from_bytes(data: bytes) -> State:
    """Returns what `state_bytes` wrote.

    Raises:
        ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile: the bytes are no state.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    best = None
    if "best" in arrays:
        kept = Gaussians(**{name: arrays[f"best_{name}"] for name in PARAMETERS})
        best = Best(int(arrays["best"][0]), float(arrays["best"][1]), kept)
    return State(
        step=int(arrays["step"][0]),
        gaussians=Gaussians(**{name: arrays[name] for name in PARAMETERS}),
        normals=arrays["normals"],
        moments={
            name: Moments(arrays[f"{name}_first"], arrays[f"{name}_second"]) for name in PARAMETERS
        },
        updates=arrays["updates"],
        demand=arrays["demand"],
        gains=arrays["gains"],
        gain_moments=Moments(arrays["gains_first"], arrays["gains_second"]),
        gain_updates=arrays["gain_updates"],
        seeds=int(arrays["step"][2]),
        best=best,
        looks_since_best=int(arrays["step"][1]),
    )
