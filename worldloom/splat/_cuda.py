"""The learner on CUDA: gsplat's rasteriser, and torch for the rest.

Written against gsplat 1.5; not run where this was written, for want of a device (tests marked
`gpu`). Its results are not the same to the last bit from run to run: gsplat sums atomically.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.splat._adam import BETA_1, BETA_2, EPSILON, Moments
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._learner import Rates, TrainingView, Weights
from worldloom.splat._state import PARAMETERS, State, rows_of

_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, eq=False)
class _DeviceView:
    """A view on the device."""

    cam_from_world: torch.Tensor
    lens: torch.Tensor
    image: torch.Tensor
    judged: torch.Tensor
    depth: torch.Tensor
    depth_weight: torch.Tensor


class CudaLearner:
    """Takes steps with gsplat; the same loss and the same rates as on the CPU.

    Args:
        state: Taken over.
        weights: Of the loss.
        device: Of torch.
        around: Gaussians that are seen along with those of the state, and stay as they are.

    Raises:
        ConfigError: gsplat is not installed, or there is no device.
    """

    def __init__(
        self,
        state: State,
        weights: Weights,
        device: str = "cuda",
        around: Gaussians | None = None,
    ) -> None:
        try:
            from gsplat import rasterization
        except ImportError as error:
            raise ConfigError(
                "the cuda backend of splats needs gsplat; install worldloom[splat], or take "
                "--splat.backend cpu",
                field="backend",
            ) from error
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                "the cuda backend of splats is asked for, and this worker sees no CUDA device; "
                "give chunk workers a share of a GPU, or take --splat.backend cpu",
                field="backend",
            )
        self._rasterization: Any = rasterization
        self._weights, self._device = weights, torch.device(device)
        self._views: dict[int, _DeviceView] = {}
        self._window = _window(self._device)
        self._around = {
            name: self._tensor(getattr(around, name)) for name in PARAMETERS if around is not None
        }
        self.restore(state)

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        self._host = state
        g = state.gaussians
        self._values = {name: self._tensor(getattr(g, name), grad=True) for name in PARAMETERS}
        self._first = {n: self._tensor(rows_of(state.moments[n].first)) for n in PARAMETERS}
        self._second = {n: self._tensor(rows_of(state.moments[n].second)) for n in PARAMETERS}
        self._normals = self._tensor(state.normals)
        self._updates = self._tensor(state.updates)
        self._demand = self._tensor(state.demand)

    def state(self) -> State:
        """See `Learner.state`."""
        host = self._host
        arrays = {name: self._values[name].detach().cpu().numpy() for name in PARAMETERS}
        host.gaussians = Gaussians(**arrays)
        host.moments = {
            name: Moments(self._first[name].cpu().numpy(), self._second[name].cpu().numpy())
            for name in PARAMETERS
        }
        host.updates, host.demand = self._updates.cpu().numpy(), self._demand.cpu().numpy()
        return host

    def render(self, camera: Camera, sh_degree: int) -> Float32[np.ndarray, "h w 3"]:
        """See `Learner.render`."""
        with torch.no_grad():
            lens = camera.intrinsics
            shown, _, _ = self._rasterize(
                *(self._tensor(camera.cam_from_world), self._tensor(lens.matrix)),
                *(lens.width_px, lens.height_px, sh_degree),
            )
        return shown[0, ..., :3].cpu().numpy()

    def step(self, index: int, view: TrainingView, rates: Rates) -> float:
        """See `Learner.step`."""
        there = self._views.get(index) or self._uploaded(index, view)
        lens = view.camera.intrinsics
        shown, alpha, about = self._rasterize(
            *(there.cam_from_world, there.lens, lens.width_px, lens.height_px, rates.sh_degree)
        )
        places = [about["means2d"]]
        gain = self._tensor(self._host.gains[index], grad=True)
        all_seen = (about["radii"][0] > 0).all(dim=-1)
        seen = all_seen[: len(self._host)]
        loss = self._loss(shown[0, ..., :3] * gain.exp(), shown[0, ..., 3], alpha[0, ..., 0], there)
        if self._weights.distortion > 0:
            spread, in_image = self._spread(shown[0, ..., 3], alpha[0, ..., 0], there)
            loss = loss + self._weights.distortion * spread
            places.append(in_image)
        for place in places:
            place.retain_grad()
        (loss + self._regularization(seen, int(all_seen.sum()))).backward()
        with torch.no_grad():
            slope = torch.stack([place.grad[0] for place in places]).sum(dim=0)
            self._demand += (slope * lens.width_px).norm(dim=-1)[: len(self._host)]
            self._move(seen, rates)
            if self._weights.exposure and gain.grad is not None:
                self._adjust_gains(index, gain.grad.cpu().numpy(), rates.gains)
        self._host.step += 1
        return float(loss.detach())

    def _tensor(self, values: np.ndarray, *, grad: bool = False) -> torch.Tensor:
        dtype = torch.int32 if values.dtype.kind == "i" else torch.float32
        tensor = torch.tensor(values, dtype=dtype, device=self._device)
        return tensor.requires_grad_() if grad else tensor

    def _uploaded(self, index: int, view: TrainingView) -> _DeviceView:
        target = view.target
        self._views[index] = _DeviceView(
            self._tensor(view.camera.cam_from_world),
            self._tensor(view.camera.intrinsics.matrix),
            self._tensor(target.image),
            torch.tensor(target.judged, device=self._device),
            self._tensor(target.depth),
            self._tensor(target.depth_weight),
        )
        return self._views[index]

    def _rasterize(
        self,
        cam_from_world: torch.Tensor,
        lens: torch.Tensor,
        width_px: int,
        height_px: int,
        sh_degree: int,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        v = self._shown()
        return self._rasterization(
            *(v["means"], v["rotations"], v["log_scales"].exp(), v["logits"].sigmoid(), v["sh"]),
            *(cam_from_world[None], lens[None], width_px, height_px),
            sh_degree=sh_degree,
            render_mode="RGB+D",
            packed=False,
        )

    def _shown(self) -> dict[str, torch.Tensor]:
        """The values of the Gaussians that are seen: first those of the state, then the others."""
        if not self._around:
            return self._values
        return {name: torch.cat([self._values[name], self._around[name]]) for name in PARAMETERS}

    def _loss(
        self, shown: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor, there: _DeviceView
    ) -> torch.Tensor:
        """As `photometric_loss` and `depth_loss`."""
        w = self._weights
        judged = there.judged
        count = max(1, int(judged.sum()) * 3)
        x = torch.where(judged[..., None], shown, there.image)
        difference = (x - there.image).abs().sum() / count
        ssim = self._ssim(x, there.image)[judged].sum() / count
        known = judged & (there.depth > 0) & (alpha > 0.5)
        mean = torch.where(known, depth / alpha.clamp_min(0.5), there.depth)
        relative = (mean - there.depth).abs() / there.depth.clamp_min(1e-12)
        off = torch.where(known, relative * there.depth_weight, 0.0).mean()
        return (1 - w.ssim) * difference + w.ssim * (1 - ssim) + w.depth * off

    def _spread(
        self, depth: torch.Tensor, alpha: torch.Tensor, there: _DeviceView
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `spread_loss`; the sum of squares is a rendering of its own."""
        v = self._shown()
        height_px, width_px = depth.shape
        z = v["means"] @ there.cam_from_world[2, :3] + there.cam_from_world[2, 3]
        squares, _, about = self._rasterization(
            *(v["means"], v["rotations"], v["log_scales"].exp(), v["logits"].sigmoid()),
            *((z * z)[:, None], there.cam_from_world[None], there.lens[None], width_px, height_px),
            packed=False,
        )
        known = there.judged & (there.depth > 0)
        spread = (alpha * squares[0, ..., 0] - depth * depth).clamp_min(0)
        relative = spread / there.depth.clamp_min(1e-12) ** 2
        return torch.where(known, relative, 0.0).mean(), about["means2d"]

    def _ssim(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        def mean(values: torch.Tensor) -> torch.Tensor:
            wide = values.permute(2, 0, 1)[None]
            return torch.nn.functional.conv2d(wide, self._window, padding=5, groups=3)[0].permute(
                1, 2, 0
            )

        mx, my = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
        above = (2 * mx * my + _C1) * (2 * vxy + _C2)
        return above / ((mx * mx + my * my + _C1) * (vx + vy + _C2))

    def _regularization(self, seen: torch.Tensor, count: int) -> torch.Tensor:
        """Sums over those of the state that are seen, by how many are in all, as on the CPU."""
        w, v = self._weights, self._values
        q = torch.nn.functional.normalize(v["rotations"][seen], dim=-1)
        qw, qx, qy, qz = q.unbind(-1)
        axis = torch.stack(
            [2 * (qx * qz + qw * qy), 2 * (qy * qz - qw * qx), 1 - 2 * (qx * qx + qy * qy)], -1
        )
        normals = self._normals[seen]
        bent = normals.norm(dim=-1) - (normals * axis).sum(-1) ** 2
        return (
            w.normal * bent.sum()
            + w.opacity * v["logits"][seen].sigmoid().sum()
            + w.scale * v["log_scales"][seen].exp().sum() / 3 / w.spacing_m
        ) / max(1, count)

    def _move(self, seen: torch.Tensor, rates: Rates) -> None:
        """Adam on the rows that are seen, each with a count of its own."""
        self._updates += seen.to(torch.int32)
        count = self._updates.clamp_min(1).to(torch.float32)[:, None]
        correct_1, correct_2 = 1 - BETA_1**count, 1 - BETA_2**count
        by_name = {
            "means": rates.means,
            "log_scales": rates.log_scales,
            "rotations": rates.rotations,
            "logits": rates.logits,
        }
        rows = seen[:, None]
        for name, value in self._values.items():
            assert value.grad is not None
            slope = value.grad.reshape(len(value), -1)
            first, second = self._first[name], self._second[name]
            first.copy_(torch.where(rows, BETA_1 * first + (1 - BETA_1) * slope, first))
            second.copy_(torch.where(rows, BETA_2 * second + (1 - BETA_2) * slope**2, second))
            change = first / correct_1 / ((second / correct_2).sqrt() + EPSILON)
            rate = torch.full((change.shape[1],), rates.sh_rest, device=self._device)
            rate[:3] = rates.sh_base
            change = change * (rate if name == "sh" else by_name[name])
            value -= torch.where(rows, change, 0.0).reshape(value.shape)
            value.grad = None

    def _adjust_gains(self, index: int, slope: np.ndarray, rate: float) -> None:
        host = self._host
        host.gain_updates[index] += 1
        count = float(host.gain_updates[index])
        first, second = host.gain_moments.first[index], host.gain_moments.second[index]
        first[:] = BETA_1 * first + (1 - BETA_1) * slope
        second[:] = BETA_2 * second + (1 - BETA_2) * slope**2
        size = np.sqrt(second / (1 - BETA_2**count)) + EPSILON
        host.gains[index] -= rate * first / (1 - BETA_1**count) / size
        host.gains -= host.gains.mean(axis=0)


def _window(device: torch.device) -> torch.Tensor:
    place = torch.arange(11, dtype=torch.float32, device=device) - 5
    window = torch.exp(-(place**2) / (2 * 1.5**2))
    window = window / window.sum()
    return torch.outer(window, window)[None, None].repeat(3, 1, 1, 1)
