"""The Triton kernels in a process of their own, since interpretation is chosen at import.

usage: python -m tests.sweep_kernels compare DEVICE WIDTH HEIGHT PARTNERS PLANES
       python -m tests.sweep_kernels compile

`compare` holds planes and a surface against the loops of the CPU, with two budgets, and prints the
differences as JSON; with DEVICE cpu it needs TRITON_INTERPRET=1. `compile` translates the kernels
for compute capability 9.0 (H100), which needs no GPU, and prints registers and spills.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tests.sweep_views import slanted_surface, sweep_views
from worldloom.depth import _sweep, _triton_kernels
from worldloom.depth._correlation import NO_EVIDENCE, UNSEEN, Window
from worldloom.depth._torch_sweep import upload
from worldloom.depth._triton_sweep import LaunchShape, triton_costs

WINDOW = Window(7, 1, 12.0)
HOPPER = GPUTarget("cuda", 90, 32)


def compare(device: str, width: int, height: int, partners: int, planes: int) -> dict[str, Any]:
    """Differences of the kernels from the CPU, and of two budgets of memory."""
    view, *others = sweep_views(width, height, partners + 1)
    on_device = upload(view, others, torch.device(device))
    flat, slanted = np.zeros_like(view.grey), slanted_surface(width, height)
    depths, offsets = np.linspace(0.2, 1, planes), np.linspace(-0.1, 0.1, 5)
    settings: dict[str, Any] = {"window": WINDOW, "noise_level": 1.5}
    expected = {
        "planes": _sweep.plane_costs(view, others, depths, **settings),
        "surface": _sweep.surface_costs(view, others, slanted, offsets, **settings),
    }
    report: dict[str, Any] = {}
    for name, surface, steps in (("planes", flat, depths), ("surface", slanted, offsets)):
        at = torch.tensor(surface, device=device)
        found, again = (
            triton_costs(on_device, at, steps, **settings, budget_mib=budget_mib)
            for budget_mib in (64, 0)
        )
        apart = np.abs(found.cpu().numpy().astype(int) - expected[name])
        report[name] = {
            "within_one": float((apart <= 1).mean()),
            "mean": float(apart.mean()),
            "evidence": float((expected[name] != NO_EVIDENCE).mean()),
            "same_for_any_budget": bool(torch.equal(found, again)),
        }
    return report


def compile_kernels() -> dict[str, dict[str, int]]:
    """Registers and spilled bytes of each kernel on an H100."""
    shape = LaunchShape()
    support = {"REACH": 3, "STRIDE": 1, "SIDE": 7}
    marks = {"UNSEEN": UNSEEN, "NO_EVIDENCE": NO_EVIDENCE}
    lanes, pixels = {"GROUP": shape.group}, {"PIXELS": 64}
    cases = {
        "own": (_triton_kernels.own_kernel, support | pixels, 4),
        "warp": (_triton_kernels.warp_kernel, {"REACH": 3, "NEAREST": 1e-6} | lanes | pixels, 4),
        "correlate": (
            _triton_kernels.correlate_kernel,
            support | lanes | marks | {"HALF": 2, "TILE": shape.tile},
            shape.warps,
        ),
    }
    return {name: _resources(*case) for name, case in cases.items()}


def _resources(kernel: Any, constants: dict[str, Any], warps: int) -> dict[str, int]:
    names: list[str] = kernel.arg_names
    bytes_of = {"valid", "inside", "costs"}
    scalars = {"levels": "fp32", "noise": "fp32"} | dict.fromkeys(
        ("height", "width", "count", "first", "partners"), "i32"
    )
    if "transfers" in names:
        del scalars["partners"]  # images there, a number in the other kernel
    types = {name: scalars.get(name, "*u8" if name in bytes_of else "*fp32") for name in names}
    types |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, types, {(names.index(n),): v for n, v in constants.items()}, {})
    for index, name in enumerate(names):
        if types[name].startswith("*") or name in {"height", "width", "count"}:
            source.attrs[(index,)] = [["tt.divisibility", 16]]
    compiled = triton.compile(source, target=HOPPER, options={"num_warps": warps})
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(compiled.asm["cubin"])
        command = [str(tool), "-res-usage", str(binary)]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = {key: int(value) for key, value in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", listing)}
    return {"registers": used["REG"], "spilled_bytes": used["STACK"] + used["LOCAL"]}


def main() -> None:
    """Prints one JSON object."""
    match sys.argv[1:]:
        case ["compare", device, *sizes]:
            if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
                sys.exit("set TRITON_INTERPRET=1 to run the kernels on a CPU")
            width, height, partners, planes = map(int, sizes)
            print(json.dumps(compare(device, width, height, partners, planes)))
        case ["compile"]:
            print(json.dumps(compile_kernels()))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
