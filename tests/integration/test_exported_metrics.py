"""Ray exports our metrics, and its own, under the names that alerts and dashboard ask for."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.test_monitoring import OF_RAY, OURS

pytestmark = pytest.mark.integration

JOB = """
import sys, time, urllib.request
import ray
from ray.util.metrics import Counter, Gauge, Histogram

ray.init(num_cpus=1, include_dashboard=False, object_store_memory=10**8,
         _system_config={"metrics_report_interval_ms": 1000})
(node,) = ray.nodes()
url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


@ray.remote
class Stage:
    def report(self):
        Counter("worldloom_items_total", tag_keys=("stage", "outcome")).inc(
            2, {"stage": "depth", "outcome": "done"}
        )
        Counter("worldloom_retries_total", tag_keys=("stage",)).inc(1, {"stage": "depth"})
        Counter("worldloom_store_bytes_total").inc(7)
        Gauge("worldloom_queue_depth", tag_keys=("stage",)).set(3, {"stage": "depth"})
        Gauge("worldloom_gpu_memory_bytes").set(5)
        Histogram("worldloom_stage_seconds", boundaries=[1, 10], tag_keys=("stage",)).observe(
            4, {"stage": "depth"}
        )


stage = Stage.remote()
ray.get(stage.report.remote())
wanted = sys.argv[1:]
for _ in range(60):
    text = urllib.request.urlopen(url, timeout=5).read().decode()
    if all(name in text for name in wanted):
        break
    time.sleep(1)
print(text)
"""


def test_names_are_those_that_are_asked_for(tmp_path: Path):
    job = tmp_path / "job.py"
    job.write_text(JOB)
    wanted = {name for name in OURS if name.startswith("ray_")} | OF_RAY
    done = subprocess.run(
        [sys.executable, str(job), *wanted],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
        cwd=tmp_path,
    )
    series = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    names = {line.partition("{")[0].partition(" ")[0] for line in series}
    bases = names | {name.removesuffix("_bucket") for name in names}
    assert wanted - bases == set()
    for name, labels in OURS.items():
        if name.startswith("ray_"):
            line = next(line for line in series if line.startswith(name))
            assert all(f'{label}="' in line for label in labels), line
