"""Many seeded runs with kills: `python -m tests.chaos --runs 50`."""

import argparse
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.killing import chaos_run, undisturbed


def main() -> int:
    """Runs, prints a line a run and a table in the end; 1 where any scene differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    options = parser.parse_args()
    same, victims, starts = 0, Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="worldloom-chaos-") as name:
        folder = Path(name)
        source, reference = undisturbed(folder)
        print(f"undisturbed, inline: {reference}", flush=True)
        for seed in range(options.seed, options.seed + options.runs):
            run = chaos_run(seed, source, folder / "run")
            shutil.rmtree(folder / "run")
            same += run.digest == reference
            victims.update(kill.victim for kill in run.kills)
            starts += run.starts
            told = ", ".join(f"{kill.victim} at {kill.after_s:.1f} s" for kill in run.kills)
            print(f"seed {seed}: {run.digest} {run.seconds:.0f} s, killed: {told}", flush=True)
    killed = ", ".join(f"{count} {victim}s" for victim, count in sorted(victims.items()))
    print(f"{same} of {options.runs} identical; killed: {killed}; {starts} starts")
    return 0 if same == options.runs else 1


if __name__ == "__main__":
    raise SystemExit(main())
