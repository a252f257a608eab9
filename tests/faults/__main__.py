"""The table of faults: `python -m tests.faults`; needs root, for network namespaces."""

import argparse
import tempfile
from pathlib import Path

from tests.chaos.killing import undisturbed
from tests.faults.hosts import can_make_hosts
from tests.faults.scenarios import SCENARIOS, run_scenario


def main() -> int:
    """Runs every scenario and prints a table; 1 where a scene differs, 2 where none can run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(SCENARIOS))
    options = parser.parse_args()
    if not can_make_hosts():
        print("network namespaces cannot be made here: run as root, with iproute2")
        return 2
    different = 0
    with tempfile.TemporaryDirectory(prefix="worldloom-faults-") as name:
        source, reference = undisturbed(Path(name))
        print("| on three hosts | seconds | starts of the job | scene |\n| --- | --- | --- | --- |")
        for scenario in [options.only] if options.only else SCENARIOS:
            run = run_scenario(scenario, source, Path(name))
            same = run.digest == reference
            different += not same
            told = "identical" if same else f"different: {run.digest}"
            print(f"| {scenario} | {run.seconds:.0f} | {run.starts} | {told} |", flush=True)
    return 0 if different == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
