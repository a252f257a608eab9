import subprocess
import sys

import pytest

HEAVY = {
    "ray",
    "grpc",
    "google.protobuf",
    "open3d",
    "torch",
    "transformers",
    "matplotlib",
    "actors",
    "cluster",
}

# Imported only where a device is asked for (test_sweep_backends.py sees to it), or where a field is
# fitted.
LIST_IMPORTED = """
import pkgutil, sys
import worldloom
device = {f"worldloom.depth._{noun}" for noun in ("torch_sweep", "triton_kernels", "triton_sweep")}
device.add("worldloom.splat._cuda")
for noun in ("chunk", "field", "grids", "loss", "seed", "trainer"):
    device.add(f"worldloom.neural._{noun}")
if sys.argv[1] == "all":
    for module in pkgutil.walk_packages(worldloom.__path__, "worldloom."):
        if module.name not in device:
            __import__(module.name)
print(*sys.modules)
"""


@pytest.mark.parametrize("extent", ["root", "all"])
def test_worldloom_imports_without_scheduler_wire_and_heavy_libraries(extent: str):
    command = [sys.executable, "-c", LIST_IMPORTED, extent]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    assert HEAVY & set(done.stdout.split()) == set()
