"""Fitting a field, step by step, so that it can go on where it was stopped."""

import io
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldloom.neural._config import NeuralConfig
from worldloom.neural._field import DistanceField
from worldloom.neural._loss import RayBatch, total_loss
from worldloom.neural._rays import RaySet
from worldloom.neural._seed import Seed

_logger = logging.getLogger(__name__)
_OPENING = 0.5
"""Share of the steps over which the levels open, coarse to fine."""
_FIRST_LEVELS = 2.0
_LAST_RATE = 0.1
"""Learning rate at the end, of that at the start."""


@dataclass(frozen=True)
class Schedule:
    """What changes with the steps."""

    open_levels: float
    sharpness: float
    """Voxels."""
    rate: float
    """Of the learning rate."""

    @classmethod
    def at(cls, step: int, config: NeuralConfig) -> "Schedule":
        """Returns the schedule of a step, from 0."""
        done = step / config.steps
        opened = _FIRST_LEVELS + (config.levels - _FIRST_LEVELS) * min(done / _OPENING, 1.0)
        fall = config.last_sharpness / config.first_sharpness
        return cls(opened, config.first_sharpness * fall**done, _LAST_RATE**done)


class Trainer:
    """A field, its optimizer and the curve of its loss.

    What a step does depends on the seed, the number of the chunk and the number of the step, and on
    nothing that was drawn before: a run that goes on from a checkpoint is the run that was not
    stopped.

    Args:
        seed: What the field starts from.
        rays: What it learns from; at least one.
        config: Settings.
        number: Of the chunk.
        device: cpu or cuda.
    """

    def __init__(
        self, seed: Seed, rays: RaySet, config: NeuralConfig, number: int, device: str
    ) -> None:
        self._config, self._number = config, number
        self._device = torch.device(device)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + number)
        self.field = DistanceField(seed, config, len(rays.origin), generator).to(self._device)
        self._rays = rays
        self._origin = torch.from_numpy(rays.origin).to(self._device)
        tables = list(self.field.grids.parameters())
        ours = {id(table) for table in tables}
        others = [p for p in self.field.parameters() if id(p) not in ours and p.requires_grad]
        groups = [{"params": tables, "scale": 1.0}, {"params": others, "scale": 0.2}]
        self._optimizer = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-12)
        self.curve: list[float] = []
        """Mean absolute error of the colours of each step, 0 to 1."""

    @property
    def step(self) -> int:
        """Number of steps done."""
        return len(self.curve)

    def run(self, save: Callable[[bytes], None]) -> None:
        """Makes the steps that are left.

        Args:
            save: Takes a checkpoint, every so many steps.
        """
        while self.step < self._config.steps:
            self._one_step()
            if self.step % self._config.checkpoint_steps == 0 and self.step < self._config.steps:
                save(self.checkpoint())

    def checkpoint(self) -> bytes:
        """Returns the field, the state of the optimizer and the curve."""
        buffer = io.BytesIO()
        state = {
            "field": self.field.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "curve": torch.tensor(self.curve, dtype=torch.float64),
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def resume(self, data: bytes) -> None:
        """Goes on from a checkpoint; one that is damaged is left aside, with a warning."""
        try:
            state = torch.load(io.BytesIO(data), weights_only=True, map_location=self._device)
            self.field.load_state_dict(state["field"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.curve = state["curve"].tolist()
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
            _logger.warning(
                "the checkpoint of chunk %d is damaged (%s); it starts anew", self._number, error
            )

    def _one_step(self) -> None:
        config = self._config
        schedule = Schedule.at(self.step, config)
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule.rate * group["scale"]
        draw = np.random.default_rng([config.seed, self._number, self.step])
        chosen = draw.integers(0, len(self._rays), config.rays)
        jitter = draw.random((config.rays, config.samples + 1), np.float32)
        loss, color = total_loss(
            self.field,
            self._batch(chosen),
            torch.from_numpy(jitter).to(self._device),
            config,
            schedule.sharpness,
            schedule.open_levels,
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.curve.append(float(color.detach()))

    def _batch(self, chosen: np.ndarray) -> RayBatch:
        rays = self._rays

        def taken(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values[chosen]).to(self._device)

        view = taken(rays.view).long()
        return RayBatch(
            self._origin[view],
            view,
            taken(rays.direction),
            taken(rays.surface),
            taken(rays.reach),
            taken(rays.color).float() / 255,
            taken(rays.depth),
            taken(rays.confidence),
            taken(rays.normal),
        )
